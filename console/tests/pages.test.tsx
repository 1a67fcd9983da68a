/** Pages as people meet them, over a server of a few lines. */
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import axe from "axe-core";
import { describe, expect, it } from "vitest";
import { envelope, fakeServer, list, Refusal } from "./fake-server";
import { GATEWAY } from "./gateway";
import { ME, renderApp } from "./render-app";

const TYPES = envelope({
  items: [
    {
      name: "qa_pairs",
      version: "1",
      title: "QA",
      titles: { zh: "问答", en: "Question and answer" },
      description: "",
      input_fields: [],
      schema: {},
      rules: {},
      rubric: {},
      example: {},
    },
  ],
});
const NO_USAGE = {
  from: "2026-11-21T00:00:00Z",
  to: "2026-11-22T00:00:00Z",
  totals: {
    requests: 0,
    errors: 0,
    request_tokens: 0,
    response_tokens: 0,
    total_tokens: 0,
    latency_ms_avg: null,
    latency_ms_max: null,
  },
  series: [],
  groups: [],
};
const MODEL = {
  id: 1,
  name: "sim",
  description: "",
  max_tokens: null,
  temperature: null,
  top_p: null,
  is_local: false,
  is_active: true,
};
const FILE = {
  id: 7,
  filename: "qa.jsonl",
  file_size: 2048,
  content_type: "application/x-jsonlines",
  encoding: "utf-8",
  rows: 10,
  columns: ["passage"],
  problems: [{ line: 3, reason: "not JSON" }],
  problem_count: 1,
  version: 1,
  user_id: 1,
  created_at: "2026-11-22T00:00:00Z",
  updated_at: "2026-11-22T00:00:00Z",
  language_hint: "en",
};

const JOB = {
  id: "0199a6b2-0000-7000-8000-00000000000a",
  type: "datagen.start",
  queue: "default",
  status: "failed",
  priority: 0,
  user_id: 1,
  attempt: 1,
  max_attempts: 5,
  crashes: 0,
  progress: { current: 1, total: 4, percent: 25, message: "" },
  error: { code: "file_not_found", message: "There is no sample file 2." },
  cancel_requested: false,
  schedule_id: null,
  run_at: "2026-11-22T00:00:00Z",
  created_at: "2026-11-22T00:00:00Z",
  started_at: "2026-11-22T00:00:01Z",
  finished_at: "2026-11-22T00:00:02Z",
};
const JOB_DETAIL = {
  ...JOB,
  events: [
    { seq: 1, at: JOB.created_at, kind: "queued", data: null },
    { seq: 2, at: JOB.started_at, kind: "running", data: { worker: "w", attempt: 1 } },
    { seq: 3, at: JOB.finished_at, kind: "failed", data: { error: "file_not_found", text: "<b>gone</b>" } },
  ],
  payload: { file_id: 2 },
  checkpoint: null,
  idem_key: null,
  epoch: 1,
  worker: null,
  cancel_by: null,
  request_id: null,
  published_at: null,
  publish_count: 1,
  attempts: [
    {
      number: 1,
      worker: "w",
      started_at: JOB.started_at,
      ended_at: JOB.finished_at,
      outcome: "failed",
      error: JOB.error,
    },
  ],
};
const QUEUE = {
  name: "default",
  paused: false,
  max_length: 100000,
  max_per_user: 10000,
  concurrency: null,
  waiting: 2,
  retry_wait: 0,
  running: 1,
  dead: 0,
  failed: 1,
  oldest_s: 3,
  rate_per_s: 0.5,
  tickets: null,
  types: ["datagen.run", "datagen.start"],
};
const WORKER = {
  id: "w",
  host: "mill",
  pid: 42,
  version: "0.1.0",
  roles: ["worker"],
  types: ["datagen.run"],
  capacity: 8,
  running: 1,
  draining: false,
  alive: true,
  heartbeat_age_s: 1,
  transport: {
    name: "redis",
    state: "down",
    since: "2026-11-22T00:00:00Z",
    reconnects: 2,
    published: 1,
    refused: 0,
    delivered: 1,
    redelivered: 0,
    nacked: 0,
    error: "connection refused",
  },
  started_at: "2026-11-22T00:00:00Z",
  jobs: [{ id: JOB.id, type: "datagen.run", started_at: "2026-11-22T00:00:00Z" }],
};
const SCHEDULE = {
  id: "s1",
  user_id: 1,
  name: "nightly",
  type: "datagen.start",
  payload: { file_id: 7, task_type: "qa_pairs" },
  cron: "0 3 * * *",
  run_at: null,
  timezone: "Asia/Shanghai",
  misfire: "once",
  enabled: true,
  next_run_at: "2036-11-22T19:00:00Z",
  last_run_at: "2026-11-22T00:00:00Z",
  last_job_id: JOB.id,
  created_at: "2026-11-22T00:00:00Z",
  updated_at: "2026-11-22T00:00:00Z",
  next: [],
};
const rows = (...items: unknown[]) => ({ items, total: null, next: null });

const BASE = {
  "GET /api/me": envelope(ME),
  "GET /api/tasks": list([]),
  "GET /api/task_types": TYPES,
  "GET /api/models": envelope({ items: [MODEL] }),
  "GET /api/data_files": list([FILE]),
  "GET /api/data_files/7": envelope(FILE),
  "GET /api/data_files/7/content": list(
    Array.from({ length: 10 }, (_, index) => ({ index, data: { passage: `words ${index}` } })),
  ),
  "GET /api/v1/usage": NO_USAGE,
  ...GATEWAY,
  "GET /api/v1/models": { models: [] },
  "GET /api/v1/admin/jobs": rows(JOB),
  [`GET /api/v1/admin/jobs/${JOB.id}`]: JOB_DETAIL,
  "GET /api/v1/jobs": rows(JOB),
  "GET /api/v1/admin/queues": rows(QUEUE),
  "GET /api/v1/admin/workers": rows(WORKER),
  "GET /api/v1/admin/schedules": rows(SCHEDULE),
  "GET /api/v1/schedule-firings": { next: ["2036-11-22T19:00:00Z"] },
  "GET /api/v1/keys": { items: [], total: 0, next: null },
  "GET /api/reports": list([]),
  "GET /api/generated_data": list([]),
};

async function accessible(container: Element) {
  // Colours are checked by contrast.test.ts: there is no layout here to measure them in.
  const result = await axe.run(container, {
    rules: { "color-contrast": { enabled: false }, region: { enabled: false } },
  });
  expect(
    result.violations.map((violation) => [violation.id, violation.nodes.map((node) => node.html.slice(0, 120))]),
  ).toEqual([]);
}

describe("the door", () => {
  it("asks a stranger to sign in and leads back", async () => {
    let known = false;
    const server = fakeServer({
      ...BASE,
      "GET /api/me": () => (known ? envelope(ME) : new Refusal(401, { code: 401, message: "Sign in.", detail: "" })),
      "POST /api/v1/auth/login": () => {
        known = true;
        return {
          token: "h.e30.s",
          expires_at: "2026-12-22T00:00:00Z",
          user: { id: 1, username: "admin", email: null, tokens: 1000 },
        };
      },
    });
    const { router, container } = await renderApp("/keys");
    const user = userEvent.setup();
    await user.type(await screen.findByLabelText(/user name/i), "admin");
    expect(router.state.location.search).toEqual({ next: "/keys" });
    await accessible(container);
    await user.type(screen.getByLabelText(/password/i), "secret-enough");
    await user.click(screen.getByTestId("sign-in"));
    expect(await screen.findByRole("heading", { name: "API keys" })).toBeTruthy();
    expect(router.state.location.pathname).toBe("/keys");
    expect(server.to("POST", "/api/v1/auth/login")[0]?.body).toEqual({ username: "admin", password: "secret-enough" });
  });

  it("says what is wrong and how long to wait", async () => {
    fakeServer({
      "POST /api/v1/auth/login": new Refusal(
        429,
        { type: "t", title: "Too many", detail: "Too many attempts.", status: 429 },
        { "retry-after": "60" },
      ),
    });
    await renderApp("/sign-in");
    const user = userEvent.setup();
    await user.type(await screen.findByLabelText(/user name/i), "admin");
    await user.type(screen.getByLabelText(/password/i), "wrong-password");
    await user.click(screen.getByTestId("sign-in"));
    expect((await screen.findByTestId("sign-in-error")).textContent).toBe("Too many attempts. Try again in 60 s.");
  });

  it("asks again over the page when the session ends, and keeps what was typed", async () => {
    fakeServer({
      ...BASE,
      "POST /api/v1/keys": new Refusal(401, { type: "t", title: "t", detail: "Sign in.", status: 401 }),
    });
    await renderApp("/keys");
    const user = userEvent.setup();
    await user.click((await screen.findAllByTestId("key-create"))[0] as Element);
    await user.type(screen.getByTestId("key-name"), "notebook");
    await user.click(screen.getByTestId("key-submit"));
    expect(await screen.findByTestId("sign-in-again")).toBeTruthy();
    expect((screen.getByTestId("key-name") as HTMLInputElement).value).toBe("notebook");
  });
});

describe("pages", () => {
  it.each([
    ["/", "Three steps to begin"],
    ["/samples", "Samples"],
    ["/samples/7", "qa.jsonl"],
    ["/tasks", "Tasks"],
    ["/tasks/new", "New task"],
    ["/review", "Review"],
    ["/reports", "Reports"],
    ["/channels", "Channels"],
    ["/channels?tab=routing", "Channels"],
    ["/calls", "Calls"],
    ["/alerts", "Alerts"],
    ["/local-models", "Local models"],
    ["/keys", "API keys"],
    ["/jobs", "Jobs"],
    ["/jobs?tab=jobs", "Jobs"],
    ["/jobs?tab=dead", "Jobs"],
    ["/schedules", "Schedules"],
    ["/nowhere", "There is no such page"],
  ])("%s is shown, titled and accessible", async (path, heading) => {
    fakeServer(BASE);
    const { container } = await renderApp(path);
    expect(await screen.findByRole("heading", { level: 1, name: heading })).toBeTruthy();
    await waitFor(() => expect(screen.queryByRole("status", { name: "Loading" })).toBeNull());
    await accessible(container);
  });

  it("speak Chinese", async () => {
    fakeServer(BASE);
    await renderApp("/samples", "zh");
    expect(await screen.findByRole("heading", { level: 1, name: "样本" })).toBeTruthy();
    expect(document.documentElement.lang).toBe("zh-CN");
  });

  it("show what went wrong with the request id and try again", async () => {
    let down = true;
    fakeServer({
      ...BASE,
      "GET /api/reports": () =>
        down ? new Refusal(500, { code: 500, message: "Broken.", detail: "" }, { "x-request-id": "r-42" }) : list([]),
    });
    await renderApp("/reports");
    const alert = await screen.findByRole("alert");
    expect(within(alert).getByText("Broken.")).toBeTruthy();
    expect(within(alert).getByText(/r-42/)).toBeTruthy();
    down = false;
    await userEvent.setup().click(within(alert).getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("No reports yet")).toBeTruthy();
  });
});

describe("starting a task", () => {
  it("counts the rows, sends what was chosen and opens the task", async () => {
    const server = fakeServer({
      ...BASE,
      "POST /api/start": envelope({ task_id: "task_x", status: "running" }),
      "GET /api/status/task_x": new Refusal(404, { code: 2001, message: "No such task.", detail: "" }),
    });
    const { router } = await renderApp("/tasks/new?file_id=7");
    const user = userEvent.setup();
    await screen.findByRole("option", { name: "qa.jsonl (10 rows)" });
    await user.selectOptions(
      screen.getByTestId("start-type"),
      await screen.findByRole("option", { name: "Question and answer" }),
    );
    await user.clear(screen.getByTestId("start-rounds"));
    await user.type(screen.getByTestId("start-rounds"), "2");
    await user.type(screen.getByTestId("start-directions"), "fees{Enter}");
    expect(screen.getByTestId("start-total").textContent).toContain("60 rows = 10 samples × 2 rounds × 3 variants");
    await user.click(screen.getByTestId("start-submit"));
    await waitFor(() => expect(router.state.location.pathname).toBe("/tasks/task_x"));
    expect(server.to("POST", "/api/start")[0]?.body).toMatchObject({
      file_id: 7,
      task_type: "qa_pairs",
      data_rounds: 2,
      directions: ["fees"],
    });
  });

  it("puts the server's complaints at their fields", async () => {
    fakeServer({
      ...BASE,
      "POST /api/start": new Refusal(400, {
        code: 400,
        message: "Wrong.",
        detail: "",
        errors: [{ field: "min_score", message: "must lie between 0 and 10" }],
      }),
    });
    await renderApp("/tasks/new?file_id=7&task_type=qa_pairs");
    await screen.findByRole("option", { name: "qa.jsonl (10 rows)" });
    await screen.findByRole("option", { name: "Question and answer" });
    await userEvent.setup().click(screen.getByTestId("start-submit"));
    const field = screen.getByTestId("start-min-score");
    await waitFor(() => expect(field.getAttribute("aria-invalid")).toBe("true"));
    expect(document.getElementById(field.getAttribute("aria-describedby") ?? "")?.textContent).toBe(
      "must lie between 0 and 10",
    );
  });

  it("asks for what is missing before it asks the server", async () => {
    const server = fakeServer(BASE);
    await renderApp("/tasks/new");
    await userEvent.setup().click(await screen.findByTestId("start-submit"));
    expect(await screen.findByText("Choose a sample file.")).toBeTruthy();
    expect(server.to("POST", "/api/start")).toHaveLength(0);
  });
});

describe("keys", () => {
  it("show their secret once and only close when it is saved", async () => {
    const created = {
      id: "k1",
      name: "notebook",
      key: "sk-tm-secret",
      prefix: "sk-tm-",
      last4: "cret",
      scopes: ["relay"],
      models: null,
      networks: null,
      budget: null,
      status: "active",
      expires_at: null,
      created_at: "2026-11-22T00:00:00Z",
    };
    const server = fakeServer({ ...BASE, "POST /api/v1/keys": created });
    await renderApp("/keys");
    const user = userEvent.setup();
    await user.click((await screen.findAllByTestId("key-create"))[0] as Element);
    await user.type(screen.getByTestId("key-name"), "notebook");
    await user.click(screen.getByTestId("key-submit"));
    expect((await screen.findByTestId("key-secret")).textContent).toBe("sk-tm-secret");
    expect((screen.getByTestId("key-done") as HTMLButtonElement).disabled).toBe(true);
    await user.keyboard("{Escape}");
    expect(screen.getByTestId("key-secret")).toBeTruthy();
    await user.click(screen.getByTestId("key-saved"));
    await user.click(screen.getByTestId("key-done"));
    await waitFor(() => expect(screen.queryByTestId("key-secret")).toBeNull());
    expect(server.to("POST", "/api/v1/keys")[0]?.body).toEqual({
      name: "notebook",
      type: "inference",
      scopes: ["relay"],
    });
  });
});

describe("review by keyboard", () => {
  const rows = ["needs_review", "accepted", "below_threshold"].map((status, index) => ({
    id: 30 - index,
    task_id: "task_x",
    user_id: 1,
    data_content: JSON.stringify({ question: `Q${index}`, answer: `A${index}` }),
    model_score: 8,
    rule_score: 9,
    retry_count: 0,
    generation_model: "sim",
    task_type: "qa_pairs",
    is_confirmed: false,
    created_at: "2026-11-22T00:00:00Z",
    updated_at: "2026-11-22T00:00:00Z",
    status,
    final_score: 8.4,
    rule_score_exact: 9,
    item_no: index,
    row_version: 1,
    lineage: { sample: { index, data: { passage: "words" } }, attempts: [] },
    reviewer_id: null,
    review_note: null,
    reviewed_at: null,
    direction: null,
    channel: "sim",
    input_tokens: 1,
    output_tokens: 1,
    attempts: 1,
  }));
  const done = envelope({ ok: 1, failed: [] });
  const routes = {
    ...BASE,
    "GET /api/generated_data": list(rows),
    "POST /api/generated_data/batch_review": done,
    "POST /api/generated_data/batch_confirm": done,
  };
  const active = () =>
    screen.getAllByTestId("review-row").findIndex((element) => element.getAttribute("aria-current") === "true");
  const states = () => screen.getAllByTestId("review-row").map((element) => element.getAttribute("data-status"));

  it("accepts, rejects, goes on, and takes back; no row moves", async () => {
    const server = fakeServer(routes);
    const { container } = await renderApp("/review?task_id=task_x");
    const user = userEvent.setup();
    await screen.findAllByTestId("review-row");
    await accessible(container);
    expect(active()).toBe(0);
    await user.keyboard("a");
    await waitFor(() => expect(active()).toBe(1));
    await user.keyboard("x");
    await waitFor(() => expect(active()).toBe(2));
    expect(states()).toEqual(["accepted", "rejected", "below_threshold"]);
    await waitFor(() => expect(server.to("POST", "/api/generated_data/batch_review")).toHaveLength(2));
    expect(server.to("POST", "/api/generated_data/batch_review").map((one) => one.body)).toEqual([
      { ids: [30], status: "accepted" },
      { ids: [29], status: "rejected" },
    ]);
    expect(server.to("POST", "/api/generated_data/batch_confirm").map((one) => one.body)).toEqual([
      { ids: [30], is_confirmed: true },
    ]);
    await waitFor(() => expect((screen.getByTestId("review-undo") as HTMLButtonElement).disabled).toBe(false));
    await user.keyboard("u");
    await waitFor(() => expect(states()).toEqual(["accepted", "accepted", "below_threshold"]));
    await waitFor(() => expect(active()).toBe(1));
  });

  it("decides on a range at once", async () => {
    const server = fakeServer(routes);
    await renderApp("/review?task_id=task_x");
    const user = userEvent.setup();
    await screen.findAllByTestId("review-row");
    await user.keyboard("{Shift>}J{/Shift}");
    expect(await screen.findByText("2 rows selected")).toBeTruthy();
    await user.keyboard("x");
    await waitFor(() =>
      expect(server.to("POST", "/api/generated_data/batch_review")[0]?.body).toEqual({
        ids: [30, 29],
        status: "rejected",
      }),
    );
  });

  it("shows the row as it was when the server refuses", async () => {
    fakeServer({
      ...routes,
      "POST /api/generated_data/batch_review": new Refusal(409, { code: 409, message: "Busy.", detail: "" }),
    });
    await renderApp("/review?task_id=task_x");
    const user = userEvent.setup();
    await screen.findAllByTestId("review-row");
    await user.keyboard("x");
    await waitFor(() => expect(states()[0]).toBe("needs_review"));
    expect((screen.getByTestId("review-undo") as HTMLButtonElement).disabled).toBe(true);
  });

  it("edits by field and leaves the keys alone meanwhile", async () => {
    const server = fakeServer({
      ...routes,
      "POST /api/generated_data/batch_update": envelope({
        ok: 1,
        failed: [],
        items: [{ ...rows[0], data_content: '{"question":"Q0","answer":"ax"}', row_version: 2 }],
      }),
    });
    await renderApp("/review?task_id=task_x");
    const user = userEvent.setup();
    await screen.findAllByTestId("review-row");
    await user.keyboard("e");
    const answer = await screen.findByLabelText("Field answer");
    await user.clear(answer);
    await user.type(answer, "ax");
    expect(active()).toBe(0);
    await user.keyboard("{Control>}{Enter}{/Control}");
    await waitFor(() => expect(screen.queryByTestId("review-editor")).toBeNull());
    expect(server.to("POST", "/api/generated_data/batch_update")[0]?.body).toEqual({
      items: [{ id: 30, data_content: { question: "Q0", answer: "ax" }, row_version: 1 }],
    });
    expect(server.to("POST", "/api/generated_data/batch_review")).toHaveLength(0);
  });

  it("keeps filters in the address", async () => {
    const server = fakeServer(routes);
    const { router } = await renderApp("/review?task_id=task_x");
    const user = userEvent.setup();
    await screen.findAllByTestId("review-row");
    await user.selectOptions(screen.getByTestId("filter-status"), "rejected");
    await waitFor(() => expect(router.state.location.search).toEqual({ task_id: "task_x", status: "rejected" }));
    await waitFor(() => expect(server.to("GET", "/api/generated_data").at(-1)?.query.get("status")).toBe("rejected"));
  });
});

describe("a job", () => {
  it("is shown whole beside the list, with nothing in it taken for markup", async () => {
    fakeServer(BASE);
    await renderApp(`/jobs?tab=dead&job=${JOB.id}`);
    const sheet = await screen.findByTestId("job-sheet");
    expect((await within(sheet).findByTestId("job-payload")).textContent).toContain('"file_id": 2');
    expect(within(sheet).getByText(/<b>gone<\/b>/)).toBeTruthy();
    expect(within(sheet).getByTestId("job-history").querySelectorAll("li")).toHaveLength(3);
    await accessible(sheet);
  });

  it("is replayed with another payload only when that is JSON and differs", async () => {
    const server = fakeServer({ ...BASE, [`POST /api/v1/admin/jobs/${JOB.id}/replay`]: { ...JOB, status: "queued" } });
    await renderApp(`/jobs?tab=dead&job=${JOB.id}`);
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("job-edit"));
    const act = screen.getByTestId("payload-act") as HTMLButtonElement;
    expect(act.disabled).toBe(true);
    const text = screen.getByTestId("payload-text");
    await user.clear(text);
    await user.type(text, "[[1]");
    expect(screen.getByText("A payload is a JSON object: { … }.")).toBeTruthy();
    await user.clear(text);
    await user.type(text, '{{"file_id": 7}');
    expect(screen.getByTestId("payload-diff").textContent).toContain("file_id");
    await user.type(text, "{Control>}{Enter}{/Control}");
    await waitFor(() => expect(server.to("POST", `/api/v1/admin/jobs/${JOB.id}/replay`)).toHaveLength(1));
    expect(server.to("POST", `/api/v1/admin/jobs/${JOB.id}/replay`)[0]?.body).toEqual({ payload: { file_id: 7 } });
  });

  it("of many is replayed after a dry run that says how many", async () => {
    const answers = [
      { matching: 34, changed: 0, sample: [JOB] },
      { matching: 34, changed: 34, sample: [JOB] },
    ];
    const server = fakeServer({ ...BASE, "POST /api/v1/admin/jobs/replay": () => answers.shift() });
    await renderApp("/jobs?tab=dead&type=datagen.start");
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("replay-all"));
    expect((await screen.findByTestId("batch-count")).textContent).toContain("34 jobs will be replayed");
    await user.click(screen.getByTestId("batch-confirm"));
    await waitFor(() => expect(screen.queryByTestId("batch")).toBeNull());
    expect(server.to("POST", "/api/v1/admin/jobs/replay").map((one) => one.body)).toEqual([
      { filter: { type: "datagen.start" }, dry_run: true },
      { filter: { type: "datagen.start" }, dry_run: false },
    ]);
  });

  it("of one's own is all that a user sees", async () => {
    const server = fakeServer({ ...BASE, "GET /api/me": envelope({ ...ME, is_admin: false, role: "user" }) });
    await renderApp("/jobs");
    expect(await screen.findByRole("heading", { level: 1, name: "My jobs" })).toBeTruthy();
    expect(await screen.findByTestId("job")).toBeTruthy();
    expect(screen.queryByTestId("jobs-tab-dead")).toBeNull();
    expect(server.asked.filter((one) => one.path.includes("/admin/"))).toEqual([]);
  });
});

describe("a schedule", () => {
  it("says what is missing, and is sent with its times", async () => {
    const server = fakeServer({ ...BASE, "POST /api/v1/schedules": SCHEDULE });
    const { container } = await renderApp("/schedules?open=new");
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("schedule-save"));
    expect(screen.getByText("Give it a name.")).toBeTruthy();
    expect(screen.getByText("Choose a sample file.")).toBeTruthy();
    expect(server.to("POST", "/api/v1/schedules")).toEqual([]);
    await user.type(screen.getByTestId("schedule-name"), "nightly");
    await user.selectOptions(await screen.findByTestId("start-file"), "7");
    await user.selectOptions(screen.getByTestId("start-type"), "qa_pairs");
    await user.selectOptions(screen.getByTestId("schedule-preset"), "workdays");
    expect((await screen.findByTestId("schedule-firings")).textContent).toMatch(/2036/);
    await accessible(container.ownerDocument.querySelector("[data-testid=schedule-sheet]") ?? container);
    await user.click(screen.getByTestId("schedule-save"));
    await waitFor(() => expect(server.to("POST", "/api/v1/schedules")).toHaveLength(1));
    expect(server.to("POST", "/api/v1/schedules")[0]?.body).toMatchObject({
      name: "nightly",
      type: "datagen.start",
      cron: "0 9 * * 1-5",
      misfire: "once",
      payload: { file_id: 7, task_type: "qa_pairs" },
    });
  });
});
