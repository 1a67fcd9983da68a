/** Channels, routing, calls and alerts as an administrator meets them. */
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { notify } from "@/shared/notify";
import { envelope, fakeServer, Refusal } from "./fake-server";
import { ALERT, CALL, CHANNEL, FORECAST, GATEWAY, RULE } from "./gateway";
import { ME, renderApp } from "./render-app";

const BASE = { "GET /api/me": envelope(ME), ...GATEWAY };

describe("a channel", () => {
  it("tells what keeps calls from it, its keys, its history and its last errors", async () => {
    const server = fakeServer({ ...BASE, "POST /api/v1/admin/channels/3/keys/k2/enable": CHANNEL });
    await renderApp("/channels");
    const user = userEvent.setup();
    await user.click(await screen.findByText("vllm-1"));
    const sheet = within(await screen.findByTestId("channel-sheet"));
    const lanes = await sheet.findByTestId("channel-lanes");
    expect(lanes.textContent).toContain("Breaker open…9f3c · chatagain in 5 sHTTP 503");
    expect((await sheet.findByTestId("channel-events")).textContent).toContain("Breaker opened");
    expect((await sheet.findByTestId("channel-last-errors")).textContent).toContain("502 · upstream_failed");
    expect(server.to("GET", "/api/v1/calls")[0]?.query.get("status")).toBe("failed");
    expect(sheet.getByTestId("channel-keys").textContent).toContain("the key was not accepted");
    await user.click(sheet.getByTestId("key-enable"));
    await waitFor(() => expect(server.to("POST", "/api/v1/admin/channels/3/keys/k2/enable")).toHaveLength(1));
  });

  it("is changed in parts, and says which line cannot be read", async () => {
    const server = fakeServer({ ...BASE, "PATCH /api/v1/admin/channels/3": CHANNEL });
    await renderApp("/channels?channel=3");
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("channel-part-settings"));
    const sheet = within(screen.getByTestId("channel-sheet"));
    await user.type(sheet.getByRole("textbox", { name: /Prices/, hidden: true }), "chat 1");
    await user.click(sheet.getByTestId("channel-save"));
    expect(sheet.getByText("Line 1: write “model = input / output”.")).toBeTruthy();
    expect(server.to("PATCH", "/api/v1/admin/channels/3")).toEqual([]);
    await user.clear(sheet.getByRole("textbox", { name: /Prices/, hidden: true }));
    await user.type(sheet.getByRole("textbox", { name: /Prices/, hidden: true }), "chat = 1 / 2.5");
    await user.type(sheet.getByTestId("channel-deniedModels"), "secret{Enter}");
    await user.click(sheet.getByTestId("channel-save"));
    await waitFor(() => expect(server.to("PATCH", "/api/v1/admin/channels/3")).toHaveLength(1));
    expect(server.to("PATCH", "/api/v1/admin/channels/3")[0]?.body).toEqual({
      prices: { chat: { input: 1, output: 2.5 } },
      denied: { users: [], groups: [], models: ["secret"] },
    });
  });
});

describe("who would serve a call", () => {
  it("is answered channel by channel, with reasons", async () => {
    const server = fakeServer({ ...BASE, "POST /api/v1/admin/routes/dry-run": FORECAST });
    await renderApp("/channels");
    const user = userEvent.setup();
    await user.type(await screen.findByTestId("who-model"), "chat");
    await user.click(screen.getByTestId("who-ask"));
    const lines = await screen.findAllByTestId("who-candidate");
    expect(lines.map((line) => line.dataset.verdict)).toEqual(["serves", "breaker"]);
    expect(lines[1]?.textContent).toContain("its breaker is open for 4 s more: HTTP 503");
    expect(screen.getByTestId("who-answer").textContent).toContain("Lowest latency (by the rule of model chat)");
    expect(server.to("POST", "/api/v1/admin/routes/dry-run")[0]?.body).toEqual({ model: "chat", scene: "chat" });
  });
});

describe("a file of channels", () => {
  it("is looked at before it is applied", async () => {
    const report = {
      created: ["new"],
      changed: ["vllm-1"],
      unchanged: [],
      differences: [{ name: "vllm-1", fields: [{ field: "weight", before: 2, after: 5 }] }],
      dry_run: true,
    };
    const server = fakeServer({ ...BASE, "POST /api/v1/admin/channels/import": report });
    await renderApp("/channels");
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("channels-import"));
    const file = new File(["channels:\n  - name: new\n"], "channels.yaml", { type: "text/yaml" });
    await user.upload(screen.getByTestId("import-file"), file);
    const preview = await screen.findByTestId("import-preview");
    expect(preview.textContent).toContain("weight25");
    await user.click(screen.getByTestId("import-apply"));
    await waitFor(() => expect(screen.queryByTestId("import-dialog")).toBeNull());
    const sent = server.to("POST", "/api/v1/admin/channels/import");
    expect(sent.map((one) => [one.query.get("dry_run"), one.body])).toEqual([
      ["true", "channels:\n  - name: new\n"],
      ["false", "channels:\n  - name: new\n"],
    ]);
  });

  it("that is wrong cannot be applied", async () => {
    const refused = new Refusal(400, { title: "Mend it", detail: "channels: no colon in line 3", status: 400 });
    fakeServer({ ...BASE, "POST /api/v1/admin/channels/import": refused });
    await renderApp("/channels");
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("channels-import"));
    await user.type(screen.getByTestId("import-content"), "channels");
    await user.tab();
    expect((await screen.findByRole("alert")).textContent).toContain("line 3");
    expect(screen.getByTestId("import-apply").hasAttribute("disabled")).toBe(true);
  });
});

describe("a routing rule", () => {
  it("is made for a group, and says what the server finds wrong", async () => {
    const answers = [
      new Refusal(400, { title: "Mend it", status: 400, errors: [{ field: "name", message: "is too long" }] }),
      RULE,
    ];
    const server = fakeServer({ ...BASE, "POST /api/v1/admin/routes": () => answers.shift() });
    await renderApp("/channels?tab=routing");
    const user = userEvent.setup();
    expect((await screen.findByTestId("rule")).textContent).toContain("Lowest latency");
    await user.click(screen.getByTestId("rule-add"));
    const sheet = within(await screen.findByTestId("rule-sheet"));
    await user.selectOptions(sheet.getByTestId("rule-kind"), "group");
    await user.type(sheet.getByTestId("rule-name"), "lab");
    await user.selectOptions(sheet.getByTestId("rule-strategy"), "least_errors");
    await user.selectOptions(sheet.getByTestId("rule-continues"), "on");
    await user.type(sheet.getByTestId("rule-rpm"), "60");
    await user.click(sheet.getByTestId("rule-save"));
    expect(await sheet.findByText("is too long")).toBeTruthy();
    await user.click(sheet.getByTestId("rule-save"));
    await waitFor(() => expect(screen.queryByTestId("rule-sheet")).toBeNull());
    expect(server.to("POST", "/api/v1/admin/routes")[1]?.body).toEqual({
      kind: "group",
      name: "lab",
      strategy: "least_errors",
      region: null,
      rpm: 60,
      tpm: null,
      max_concurrent: null,
      continues: true,
    });
  });
});

describe("the log of calls", () => {
  it("is narrowed and paged by the address, with one call beside it", async () => {
    const server = fakeServer(BASE);
    await renderApp("/calls?status=failed&channel=3");
    const user = userEvent.setup();
    await user.click(await screen.findByTestId("calls-older"));
    await waitFor(() => expect(server.to("GET", "/api/v1/calls").at(-1)?.query.get("cursor")).toBe("older"));
    expect(server.to("GET", "/api/v1/calls")[0]?.query.get("channel_id")).toBe("3");
    await user.selectOptions(screen.getByTestId("calls-status"), "timeout");
    await waitFor(() => expect(server.to("GET", "/api/v1/calls").at(-1)?.query.get("status")).toBe("timeout"));
    expect(server.to("GET", "/api/v1/calls").at(-1)?.query.get("cursor")).toBeNull();
    expect(screen.getByTestId("calls-csv").getAttribute("href")).toContain("status=timeout");
    await user.click(screen.getByText(CALL.model));
    const sheet = within(await screen.findByTestId("call-sheet"));
    expect(await sheet.findByText("req-1")).toBeTruthy();
    expect(sheet.getByText(/"prompt_tokens": 12/)).toBeTruthy();
  });

  it("offers a user no filters of administrators", async () => {
    const server = fakeServer({ ...BASE, "GET /api/me": envelope({ ...ME, is_admin: false, role: "user" }) });
    await renderApp("/calls");
    expect(await screen.findByTestId("call")).toBeTruthy();
    expect(screen.queryByLabelText("User id")).toBeNull();
    expect(server.asked.filter((one) => one.path.includes("/admin/"))).toEqual([]);
  });
});

describe("an alert", () => {
  it("rings the bell and is acknowledged", async () => {
    const server = fakeServer({
      ...BASE,
      [`POST /api/v1/admin/alerts/${ALERT.id}/acknowledge`]: { ...ALERT, status: "acknowledged" },
    });
    await renderApp("/alerts");
    const user = userEvent.setup();
    expect((await screen.findByTestId("alert")).textContent).toContain("vllm-1 is down");
    await waitFor(() => expect(screen.getByTestId("bell").dataset.count).toBe("1"));
    await user.click(screen.getByTestId("alert-acknowledge"));
    await waitFor(() => expect(server.to("POST", `/api/v1/admin/alerts/${ALERT.id}/acknowledge`)).toHaveLength(1));
  });

  it("says that nobody would hear of it where no way is set up", async () => {
    fakeServer({ ...BASE, "POST /api/v1/admin/alerts/test": { ways: [] } });
    const said = vi.spyOn(notify, "failed");
    await renderApp("/alerts");
    await userEvent.setup().click(await screen.findByTestId("alerts-test"));
    await waitFor(() => expect(said).toHaveBeenCalledOnce());
    expect(String(said.mock.calls[0]?.[0])).toContain("No way to notify is set up");
  });
});
