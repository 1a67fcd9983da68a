/** A job's life in durations. Pure. */
import type { Attempt, JobEvent, Payload } from "@/api/jobs";

export interface HistoryLine {
  event: JobEvent;
  /** Seconds since the line before; null for the first. */
  afterS: number | null;
}

export function historyLines(events: readonly JobEvent[]): HistoryLine[] {
  return events.map((event, index) => {
    const before = events[index - 1];
    return { event, afterS: before ? secondsBetween(before.at, event.at) : null };
  });
}

export function secondsBetween(from: string | null | undefined, to: string | null | undefined): number | null {
  if (!from || !to) return null;
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

export function attemptS(attempt: Attempt, nowMs: number): number | null {
  return secondsBetween(attempt.started_at, attempt.ended_at ?? new Date(nowMs).toISOString());
}

/** The generation task that a job works on, or has started. */
export function taskOf(job: { type: string; payload?: Payload; checkpoint?: Payload | null }): string | null {
  const found = [job.payload?.task_id, job.checkpoint?.task_id].find((value) => typeof value === "string");
  return typeof found === "string" && found !== "" ? found : null;
}
