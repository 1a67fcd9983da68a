/** Usage as figures and curves. Pure. */
import type { Usage, UsageHour } from "@/api/usage";

export const SERIES = ["requests", "tokens", "latency"] as const;
export type SeriesName = (typeof SERIES)[number];

const HOUR_MS = 3_600_000;

/** The change against before as a share, or null where there is nothing to compare with. */
export function changeOf(now: number | null | undefined, before: number | null | undefined): number | null {
  return now == null || before == null || before === 0 ? null : (now - before) / before;
}

export function errorRate(totals: Usage["totals"]): number | null {
  return totals.requests > 0 ? totals.errors / totals.requests : null;
}

const VALUE: Record<SeriesName | "errors", (hour: UsageHour) => number> = {
  requests: (hour) => hour.requests,
  tokens: (hour) => hour.total_tokens,
  latency: (hour) => hour.latency_ms_avg ?? 0,
  errors: (hour) => hour.errors,
};

/** One point for every hour between the two moments; the server leaves out hours without calls. */
export function hourlyPoints(series: readonly UsageHour[], fromMs: number, toMs: number, name: SeriesName | "errors") {
  const known = new Map(series.map((hour) => [Math.floor(Date.parse(hour.hour) / HOUR_MS), VALUE[name](hour)]));
  const first = Math.floor(fromMs / HOUR_MS);
  const last = Math.floor(toMs / HOUR_MS);
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    x: (first + index) * HOUR_MS,
    y: known.get(first + index) ?? 0,
  }));
}
