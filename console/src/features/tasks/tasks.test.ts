import { describe, expect, it } from "vitest";
import type { Numbered, ProgressEvent } from "@/api/progress";
import type { TaskStatus } from "@/api/tasks";
import { DEFAULTS, toRequest, totalRows } from "@/shared/start-form/start-form";
import { NOTHING_YET, ROWS_KEPT, reduceLive } from "./task-progress";
import { merge } from "./use-live-task";

const row = (id: number, seq: number): Numbered<ProgressEvent> => ({
  type: "row",
  id,
  index: id,
  preview: { text: `row ${id}` },
  model_score: 9,
  rule_score: 9,
  final_score: 9,
  status: "accepted",
  seq,
});

describe("live events", () => {
  it("put the newest row first and keep no more than a screenful or two", () => {
    const events = Array.from({ length: ROWS_KEPT + 20 }, (_, index) => row(index, index));
    const live = reduceLive(NOTHING_YET, { type: "events", events });
    expect(live.rows).toHaveLength(ROWS_KEPT);
    expect(live.rows[0]?.id).toBe(ROWS_KEPT + 19);
  });

  it("give the same picture after a replay", () => {
    const events: Numbered<ProgressEvent>[] = [
      { type: "log", message: "started", seq: 1 },
      row(1, 2),
      row(2, 3),
      { type: "progress", current: 2, total: 4, percent: 50, accepted: 2, seq: 3 },
    ];
    const once = reduceLive(NOTHING_YET, { type: "events", events });
    expect(reduceLive(once, { type: "events", events })).toEqual(once);
  });

  it("end with the task", () => {
    const live = reduceLive(NOTHING_YET, { type: "events", events: [{ type: "complete", status: "stopped", seq: 9 }] });
    expect(live.complete).toBe("stopped");
    expect(reduceLive(live, { type: "again" }).complete).toBeNull();
  });
});

describe("answer and stream together", () => {
  const answer = { status: "running", current: 10, total: 20, accepted: 8, services: [] } as unknown as TaskStatus;

  it("follow the stream while it is ahead", () => {
    expect(merge(answer, { current: 12, accepted: 10 }, null)).toMatchObject({
      current: 12,
      accepted: 10,
      status: "running",
    });
  });

  it("never go backwards", () => {
    expect(merge(answer, { current: 9, accepted: 7 }, null)).toMatchObject({ current: 10, accepted: 8 });
  });

  it("trust the answer of a task that has ended", () => {
    const ended = { ...answer, status: "finished", current: 20 } as TaskStatus;
    expect(merge(ended, { current: 20, accepted: 1 }, "finished")).toBe(ended);
  });
});

describe("the start form", () => {
  const form = { ...DEFAULTS, fileId: "7", taskType: "qa_pairs" };

  it("counts the rows as the server does", () => {
    expect(totalRows(form, 10)).toEqual({ rows: 10, rounds: 3, variants: 3, total: 90 });
    expect(totalRows({ ...form, sampleLimit: "4", rounds: "1", variants: "2" }, 10)?.total).toBe(8);
    expect(totalRows({ ...form, sampleLimit: "40" }, 10)?.total).toBe(90);
    expect(totalRows(form, undefined)).toBeNull();
    expect(totalRows({ ...form, rounds: "" }, 10)).toBeNull();
  });

  it("leaves empty fields to the server", () => {
    expect(toRequest({ ...form, rounds: "", seed: " " })).toEqual({
      file_id: 7,
      task_type: "qa_pairs",
      language: "auto",
      dedup: "exact",
      variants_per_sample: 3,
      min_score: 8,
      max_retries: 2,
      max_concurrent: 5,
      batch_size: 5,
    });
  });

  it("sends a zero where a zero was typed", () => {
    expect(toRequest({ ...form, minScore: "0", seed: "0", evaluator: "none" })).toMatchObject({
      min_score: 0,
      seed: 0,
      evaluator_model: "none",
    });
  });
});
