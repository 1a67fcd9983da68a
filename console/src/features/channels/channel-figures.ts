/** Figures of a channel that several views show. Pure. */
import type { Channel, ChannelStats } from "@/api/channels";

/** The share of failed calls: of late where the server knows it, else of all since it started. */
export function errorShare(channel: Pick<Channel, "requests" | "errors" | "error_rate">): number | null {
  if (channel.error_rate !== null && channel.error_rate !== undefined) return channel.error_rate;
  return channel.requests > 0 ? channel.errors / channel.requests : null;
}

const HOURS = 24;
const HOUR_MS = 3_600_000;

/** A channel's mean latency hour by hour, the last day; 0 where nothing was called. */
export function latencyTrend(stats: ChannelStats | undefined, until: string | undefined): number[] {
  if (!stats || !until) return [];
  const end = Date.parse(until);
  const known = new Map(stats.hours.map((hour) => [Date.parse(hour.hour), hour.latency_ms_avg ?? 0]));
  return Array.from({ length: HOURS }, (_, index) => known.get(end - (HOURS - index) * HOUR_MS) ?? 0);
}
