import { describe, expect, it } from "vitest";
import type { Schedule } from "@/api/schedules";
import { DEFAULTS, fromRequest, toRequest } from "@/shared/start-form/start-form";
import { changeOf, formOf, payloadOf, START, wishAgain, wishOf } from "./schedule-form";
import { inZone, isOver, isZone, localIn, momentIn, timingOf, zoneNames } from "./timing";

function schedule(part: Partial<Schedule> = {}): Schedule {
  return {
    id: "s1",
    user_id: 1,
    name: "nightly",
    type: START,
    payload: { file_id: 7, task_type: "qa_pairs", data_rounds: 1 },
    cron: "0 3 * * *",
    run_at: null,
    timezone: "Asia/Shanghai",
    misfire: "once",
    enabled: true,
    next_run_at: "2026-11-22T19:00:00Z",
    last_run_at: null,
    last_job_id: null,
    created_at: "2026-11-22T00:00:00Z",
    updated_at: "2026-11-22T00:00:00Z",
    next: [],
    ...part,
  };
}

describe("a moment in a zone", () => {
  it.each([
    ["2026-11-22T09:00", "Asia/Shanghai", "2026-11-22T01:00:00.000Z"],
    ["2026-07-01T09:00", "Europe/Berlin", "2026-07-01T07:00:00.000Z"],
    ["2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00:00.000Z"],
    ["2026-11-22T09:00", "Asia/Kathmandu", "2026-11-22T03:15:00.000Z"],
    ["2026-11-22T09:00", "UTC", "2026-11-22T09:00:00.000Z"],
    // An hour after clocks went forward, and an hour before they go back.
    ["2026-03-29T03:30", "Europe/Berlin", "2026-03-29T01:30:00.000Z"],
    ["2026-10-25T01:30", "Europe/Berlin", "2026-10-24T23:30:00.000Z"],
  ])("%s in %s", (local, zone, moment) => {
    expect(momentIn(local, zone)).toBe(moment);
    expect(localIn(moment, zone)).toBe(local);
  });

  it("is none in a zone that is none, or where nothing is typed", () => {
    expect(momentIn("2026-11-22T09:00", "Mars/Olympus")).toBeNull();
    expect(momentIn("", "UTC")).toBeNull();
    expect(isZone("")).toBe(false);
    expect(zoneNames()).toContain("Asia/Shanghai");
  });

  it("is shown as clocks there show it", () => {
    expect(inZone("2026-11-22T19:00:00Z", "Asia/Shanghai", "en-GB")).toContain("03:00");
    expect(inZone("2026-11-22T16:00:00Z", "Asia/Shanghai", "en-GB")).toContain("00:00");
  });
});

describe("the schedule form", () => {
  it("sends what it holds", () => {
    const form = { ...formOf(undefined), name: " nightly ", start: { ...DEFAULTS, fileId: "7", taskType: "qa_pairs" } };
    const timing = { mode: "cron", cron: " 0  3 * * * ", moment: "", timezone: "Asia/Shanghai" } as const;
    expect(wishOf({ ...form, timing })).toMatchObject({
      name: "nightly",
      type: START,
      cron: "0 3 * * *",
      timezone: "Asia/Shanghai",
      payload: { file_id: 7, task_type: "qa_pairs" },
    });
    expect(wishOf({ ...form, name: " " })).toBeNull();
    expect(timingOf({ ...timing, mode: "once", moment: "2026-11-22T09:00" })).toEqual({
      run_at: "2026-11-22T01:00:00.000Z",
      timezone: "Asia/Shanghai",
    });
  });

  it("sends only what was changed", () => {
    const kept = schedule();
    const form = formOf(kept);
    expect(form.json).toBeNull();
    expect(changeOf(form, kept)).toEqual({});
    expect(changeOf({ ...form, enabled: false }, kept)).toEqual({ enabled: false });
    expect(changeOf({ ...form, timing: { ...form.timing, cron: "0 4 * * *" } }, kept)).toEqual({
      cron: "0 4 * * *",
      timezone: "Asia/Shanghai",
    });
    const more = { ...form, start: { ...form.start, rounds: "2" } };
    expect(changeOf(more, kept)?.payload).toMatchObject({ data_rounds: 2 });
  });

  it("shows as JSON what its fields cannot say", () => {
    const form = formOf(schedule({ payload: { file_id: 7, task_type: "qa_pairs", model: "a", fresh: 1 } }));
    expect(JSON.parse(form.json ?? "")).toMatchObject({ fresh: 1 });
    expect(payloadOf({ ...form, json: "[]" })).toEqual({ ok: false, reason: null });
    expect(payloadOf({ ...form, json: "{" })).toMatchObject({ ok: false, reason: expect.stringMatching(/./) });
  });

  it("keeps a moment to the minute of its zone", () => {
    const once = schedule({ cron: null, run_at: "2026-11-23T01:00:00Z" });
    expect(formOf(once).timing).toMatchObject({ mode: "once", moment: "2026-11-23T09:00" });
    expect(changeOf(formOf(once), once)).toEqual({});
  });

  it("can make a deleted one anew", () => {
    expect(wishAgain(schedule())).toEqual({
      name: "nightly",
      type: START,
      payload: { file_id: 7, task_type: "qa_pairs", data_rounds: 1 },
      cron: "0 3 * * *",
      timezone: "Asia/Shanghai",
      misfire: "once",
      enabled: true,
    });
  });
});

it("a schedule for one moment is over when that has passed", () => {
  const nowMs = Date.parse("2026-11-22T10:00:00Z");
  const once = { cron: null, run_at: "2026-11-22T09:00:00Z", next_run_at: null };
  expect(isOver(once, nowMs)).toBe(true);
  // Switched off before its time, or due and about to be fired.
  expect(isOver({ ...once, run_at: "2026-11-22T11:00:00Z" }, nowMs)).toBe(false);
  expect(isOver({ ...once, next_run_at: once.run_at }, nowMs)).toBe(false);
  expect(isOver({ cron: "0 3 * * *", run_at: null, next_run_at: null }, nowMs)).toBe(false);
});

describe("the start form", () => {
  it("reads back what it sends", () => {
    const form = {
      ...DEFAULTS,
      fileId: "7",
      taskType: "qa_pairs",
      models: ["a", "b"],
      directions: ["fees"],
      budget: "1.5",
      evaluator: "none",
      dedup: "near" as const,
    };
    expect(fromRequest({ ...toRequest(form) })).toEqual(form);
    expect(fromRequest({ file_id: 7, task_type: "qa_pairs", preview: true })).toBeNull();
  });
});
