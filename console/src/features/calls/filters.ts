/** What the address of the calls page says, and what is asked of the server for it. Pure. */
import { CALL_STATUSES, type CallFilter, type CallStatus } from "@/api/calls";
import { numberOf, oneOf, type Search, textOf } from "@/shared/url-state";

export const SPANS = ["hour", "day", "week", "month"] as const;
export type Span = (typeof SPANS)[number];
export const WAYS = ["streamed", "plain"] as const;

const HOUR_MS = 3_600_000;
const SPAN_MS: Record<Span, number> = { hour: HOUR_MS, day: 24 * HOUR_MS, week: 168 * HOUR_MS, month: 720 * HOUR_MS };
const MINUTE_MS = 60_000;

export interface CallsUrl {
  status: CallStatus | undefined;
  span: Span | undefined;
  channel: number | undefined;
  user: number | undefined;
  model: string | undefined;
  key: string | undefined;
  surface: string | undefined;
  way: (typeof WAYS)[number] | undefined;
  slow: number | undefined;
  cached: boolean | undefined;
  mine: boolean | undefined;
  q: string | undefined;
  cursor: string | undefined;
  call: string | undefined;
}

const flag = (value: unknown) => (value === true || value === "true" ? true : undefined);

export function parseCallsUrl(search: Search): CallsUrl {
  return {
    status: oneOf(search.status, CALL_STATUSES),
    span: oneOf(search.span, SPANS),
    channel: numberOf(search.channel),
    user: numberOf(search.user),
    model: textOf(search.model),
    key: textOf(search.key),
    surface: textOf(search.surface),
    way: oneOf(search.way, WAYS),
    slow: numberOf(search.slow),
    cached: flag(search.cached),
    mine: flag(search.mine),
    q: textOf(search.q),
    cursor: textOf(search.cursor),
    call: textOf(search.call),
  };
}

export const NO_FILTERS: Omit<CallsUrl, "call"> = {
  status: undefined,
  span: undefined,
  channel: undefined,
  user: undefined,
  model: undefined,
  key: undefined,
  surface: undefined,
  way: undefined,
  slow: undefined,
  cached: undefined,
  mine: undefined,
  q: undefined,
  cursor: undefined,
};

export function isNarrowed(url: CallsUrl): boolean {
  return Object.keys(NO_FILTERS).some((name) => name !== "cursor" && url[name as keyof CallsUrl] !== undefined);
}

/** Begins are whole minutes, so that the same question is asked again rather than a new one each second. */
export function filterOf(url: CallsUrl, nowMs: number): CallFilter {
  const since = url.span && Math.floor((nowMs - SPAN_MS[url.span]) / MINUTE_MS) * MINUTE_MS;
  return {
    status: url.status,
    from: since ? new Date(since).toISOString() : undefined,
    channel_id: url.channel,
    user_id: url.user,
    model: url.model,
    key_id: url.key,
    surface: url.surface,
    stream: url.way === undefined ? undefined : url.way === "streamed",
    min_latency_ms: url.slow,
    cached: url.cached,
    mine: url.mine,
    q: url.q,
  };
}
