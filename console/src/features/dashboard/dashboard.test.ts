import { describe, expect, it } from "vitest";
import type { Channel } from "@/api/channels";
import type { LocalModel } from "@/api/local-models";
import type { TaskItem } from "@/api/tasks";
import { problemsOf } from "./problems";
import { changeOf, hourlyPoints } from "./usage-figures";

describe("usage", () => {
  it("has a point for every hour, also for those without calls", () => {
    const hour = {
      hour: "2026-11-22T02:00:00Z",
      requests: 5,
      errors: 1,
      request_tokens: 1,
      response_tokens: 1,
      total_tokens: 9,
      latency_ms_avg: 20,
      latency_ms_max: 30,
    };
    const points = hourlyPoints(
      [hour],
      Date.parse("2026-11-22T00:10:00Z"),
      Date.parse("2026-11-22T03:10:00Z"),
      "tokens",
    );
    expect(points.map((point) => point.y)).toEqual([0, 0, 9, 0]);
  });

  it("compares only where there is something to compare with", () => {
    expect(changeOf(15, 10)).toBe(0.5);
    expect(changeOf(15, 0)).toBeNull();
    expect(changeOf(null, 10)).toBeNull();
  });
});

describe("problems", () => {
  it("name channels that do not answer, failed models and tasks that failed or wait", () => {
    const channel = (part: Partial<Channel>) =>
      ({ name: "c", status: "enabled", breaker: "closed", status_reason: null, last_error: null, ...part }) as Channel;
    const found = problemsOf(
      [
        {
          task_id: "t1",
          status: "failed",
          error_message: "no model",
          finished_at: "2026-11-22T00:00:00Z",
          paused_reason: null,
        } as TaskItem,
        { task_id: "t2", status: "running", paused_reason: "no service", error_message: null } as TaskItem,
        { task_id: "t3", status: "running", paused_reason: null, error_message: null } as TaskItem,
      ],
      [
        channel({}),
        channel({ name: "down", breaker: "open", last_error: "refused" }),
        channel({ name: "off", status: "disabled", breaker: "open" }),
      ],
      [{ name: "m", status: "failed", error: "not a GGUF\nmore", detail: "" } as LocalModel],
    );
    expect(
      found.map((problem) => [problem.kind, problem.kind === "task" ? problem.id : problem.name, problem.text]),
    ).toEqual([
      ["channel", "down", "refused"],
      ["model", "m", "not a GGUF"],
      ["task", "t1", "no model"],
      ["task", "t2", "no service"],
    ]);
  });
});
