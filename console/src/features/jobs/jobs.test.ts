import { describe, expect, it } from "vitest";
import type { Job } from "@/api/jobs";
import { groupErrors } from "./error-groups";
import { deadFilter, isNarrowed, listFilter, parseJobsUrl, timesOf, withState } from "./filters";
import { historyLines, secondsBetween, taskOf } from "./history";
import { jsonDiff, MAX_PAYLOAD_BYTES, readPayload } from "./json-diff";
import { jobPatch, patchPages } from "./live-jobs";
import { addRates, KEPT, NO_RATES } from "./rates";

const NOW = Date.parse("2026-11-22T10:00:30Z");

function job(part: Partial<Job>): Job {
  return {
    id: "1",
    type: "datagen.start",
    queue: "default",
    status: "failed",
    priority: 0,
    user_id: 1,
    attempt: 1,
    max_attempts: 5,
    crashes: 0,
    progress: { current: 0, total: 0, percent: 0, message: "" },
    error: { code: "not_found", message: "gone" },
    cancel_requested: false,
    schedule_id: null,
    run_at: "2026-11-22T09:00:00Z",
    created_at: "2026-11-22T09:00:00Z",
    started_at: "2026-11-22T09:00:01Z",
    finished_at: "2026-11-22T09:00:02Z",
    ...part,
  };
}

describe("the address", () => {
  it("is read with what it does not know left out", () => {
    const url = parseJobsUrl({ tab: "nowhere", status: "dead,odd,queued", user: "-3", from: "yesterday", span: "1h" });
    expect(url).toMatchObject({ tab: "overview", status: "queued,dead", user: undefined, from: undefined, span: "1h" });
    expect(isNarrowed(url)).toBe(true);
    expect(isNarrowed(parseJobsUrl({ tab: "jobs", job: "x" }))).toBe(false);
  });

  it("asks for dead letters on their tab, whichever states the other list was narrowed to", () => {
    const url = parseJobsUrl({ tab: "dead", status: "running", type: "datagen.start", q: "x" });
    expect(listFilter(url, NOW)).toEqual({ status: "failed,dead", type: "datagen.start", q: "x" });
    expect(deadFilter(url, NOW)).toEqual({ type: "datagen.start" });
    expect(deadFilter({ ...url, status: "dead" }, NOW)).toEqual({ status: "dead", type: "datagen.start" });
  });

  it("turns spans into moments that stay the same within a minute", () => {
    expect(timesOf({ span: "1h" }, NOW)).toEqual({ from: "2026-11-22T09:00:00.000Z" });
    expect(timesOf({ span: "1h" }, NOW + 20_000)).toEqual(timesOf({ span: "1h" }, NOW));
    expect(timesOf({ from: "2026-11-22T09:00:00Z" }, NOW)).toEqual({});
    expect(timesOf({ span: "custom", to: "2026-11-22T09:00:00+08:00" }, NOW).to).toBe("2026-11-22T01:00:00.000Z");
  });

  it("keeps chosen states in their order", () => {
    expect(withState("dead", "queued", true)).toBe("dead,queued");
    expect(parseJobsUrl({ status: withState("dead", "queued", true) }).status).toBe("queued,dead");
    expect(withState("queued,dead", "queued", false)).toBe("dead");
  });
});

describe("a payload", () => {
  it("is compared place by place", () => {
    const before = { a: 1, gone: true, deep: { list: [1, 2], "odd key": null } };
    const after = { a: 2, deep: { list: [1, 3, 4], "odd key": null }, fresh: "x" };
    expect(jsonDiff(before, after)).toEqual([
      { path: "a", kind: "changed", before: "1", after: "2" },
      { path: "gone", kind: "removed", before: "true" },
      { path: "deep.list[1]", kind: "changed", before: "2", after: "3" },
      { path: "deep.list[2]", kind: "added", after: "4" },
      { path: "fresh", kind: "added", after: '"x"' },
    ]);
    expect(jsonDiff({ "odd key": { b: 1 } }, { "odd key": { b: 1 } })).toEqual([]);
    expect(jsonDiff({ "odd key": 1 }, {})[0]?.path).toBe('["odd key"]');
    expect(jsonDiff({ a: [] }, { a: {} })).toEqual([{ path: "a", kind: "changed", before: "[]", after: "{}" }]);
  });

  it("is not misled by keys that objects inherit", () => {
    expect(jsonDiff({}, JSON.parse('{"toString": 1}'))).toEqual([{ path: "toString", kind: "added", after: "1" }]);
  });

  it("must be an object that fits", () => {
    expect(readPayload('{"a": 1}')).toEqual({ ok: true, value: { a: 1 } });
    expect(readPayload("[1]")).toEqual({ ok: false, problem: { kind: "shape" } });
    expect(readPayload("null")).toEqual({ ok: false, problem: { kind: "shape" } });
    expect(readPayload("{a: 1}")).toMatchObject({ ok: false, problem: { kind: "syntax" } });
    const large = readPayload(JSON.stringify({ text: "字".repeat(MAX_PAYLOAD_BYTES / 3) }));
    expect(large).toMatchObject({ ok: false, problem: { kind: "size" } });
  });
});

describe("dead letters", () => {
  it("are grouped by type and code, the largest group first, with the newest words", () => {
    const groups = groupErrors([
      job({ id: "1", error: { code: "a", message: "old" }, finished_at: "2026-11-22T09:00:00Z" }),
      job({ id: "2", error: { code: "a", message: "new" }, finished_at: "2026-11-22T09:30:00Z" }),
      job({ id: "3", type: "samples.sweep", error: { code: "a", message: "other" } }),
      job({ id: "4", error: null }),
    ]);
    expect(groups.map((group) => [group.type, group.code, group.count])).toEqual([
      ["datagen.start", "a", 2],
      ["datagen.start", "", 1],
      ["samples.sweep", "a", 1],
    ]);
    expect(groups[0]).toMatchObject({ message: "new", lastAt: "2026-11-22T09:30:00Z" });
  });
});

describe("a live event", () => {
  const pages = (...items: Job[]) => ({ pages: [{ items }], pageParams: [null] });

  it("moves the job that is shown, and only that", () => {
    const shown = pages(job({ id: "1", status: "running" }), job({ id: "2", status: "queued" }));
    const patch = jobPatch({
      job_id: "1",
      status: "running",
      progress: { current: 3, total: 0, percent: null, message: "three" },
    });
    const moved = patch && patchPages(shown, patch);
    expect(moved?.pages[0]?.items[0]?.progress).toEqual({ current: 3, total: 0, percent: 0, message: "three" });
    expect(moved?.pages[0]?.items[0]?.error?.code).toBe("not_found");
    expect(moved?.pages[0]?.items[1]).toBe(shown.pages[0]?.items[1]);
  });

  it("tells how it ended", () => {
    const patch = jobPatch({
      job_id: "1",
      status: "succeeded",
      error: null,
      attempt: 2,
      finished_at: "2026-11-22T09:00:09Z",
    });
    expect(patch).toEqual({
      id: "1",
      status: "succeeded",
      error: null,
      attempt: 2,
      finished_at: "2026-11-22T09:00:09Z",
    });
  });

  it("of a job that is not shown, or that says nothing known, changes nothing", () => {
    const shown = pages(job({ id: "1" }));
    expect(patchPages(shown, { id: "9", status: "dead" })).toBe(shown);
    expect(jobPatch({ job_id: "1", status: "thinking" })).toBeNull();
    expect(jobPatch({})).toBeNull();
  });
});

describe("a job's history", () => {
  it("tells how long each step took", () => {
    const at = (second: number) => `2026-11-22T09:00:0${second}Z`;
    const lines = historyLines([
      { seq: 1, at: at(0), kind: "queued", data: null },
      { seq: 2, at: at(2), kind: "running", data: null },
      { seq: 3, at: at(2), kind: "succeeded", data: null },
    ]);
    expect(lines.map((line) => line.afterS)).toEqual([null, 2, 0]);
    expect(secondsBetween(at(3), at(1))).toBe(0);
    expect(secondsBetween(null, at(1))).toBeNull();
  });

  it("names the task that the job is for", () => {
    expect(taskOf({ type: "datagen.run", payload: { task_id: "task_1" } })).toBe("task_1");
    expect(taskOf({ type: "datagen.start", payload: { file_id: 1 }, checkpoint: { task_id: "task_2" } })).toBe(
      "task_2",
    );
    expect(taskOf({ type: "samples.sweep", payload: {} })).toBeNull();
    expect(taskOf({ type: "x", payload: { task_id: 7 } })).toBeNull();
  });
});

it("rates are kept for the queues there are, a minute or two of them", () => {
  let rates = NO_RATES;
  for (let index = 0; index < KEPT + 5; index += 1) rates = addRates(rates, [{ name: "default", rate_per_s: index }]);
  expect(rates.get("default")).toHaveLength(KEPT);
  expect(rates.get("default")?.at(-1)).toBe(KEPT + 4);
  expect(addRates(rates, [{ name: "other", rate_per_s: 1 }]).has("default")).toBe(false);
});
