/** What the address says about the lists of jobs, and what is asked of the server for it. Pure. */
import { type DeadFilter, JOB_STATES, type JobFilter, type JobStatus } from "@/api/jobs";
import { numberOf, oneOf, type Search, textOf } from "@/shared/url-state";

export const TABS = ["overview", "jobs", "dead"] as const;
export type Tab = (typeof TABS)[number];
export const SPANS = ["1h", "24h", "7d", "custom"] as const;
export type Span = (typeof SPANS)[number];
export const LOST = ["failed", "dead"] as const satisfies readonly JobStatus[];

export interface JobsUrl {
  tab: Tab;
  /** Some states, by comma; empty means all of them. */
  status: string;
  type?: string;
  queue?: string;
  user?: number;
  error?: string;
  span?: Span;
  from?: string;
  to?: string;
  q?: string;
  /** The job that is open beside the list. */
  job?: string;
}

export const NO_FILTERS = {
  status: "",
  type: undefined,
  queue: undefined,
  user: undefined,
  error: undefined,
  span: undefined,
  from: undefined,
  to: undefined,
  q: undefined,
} satisfies Partial<JobsUrl>;

export function parseJobsUrl(search: Search): JobsUrl {
  const user = numberOf(search.user);
  return {
    tab: oneOf(search.tab, TABS) ?? "overview",
    status: statesOf(textOf(search.status) ?? "").join(","),
    type: textOf(search.type),
    queue: textOf(search.queue),
    user: user !== undefined && Number.isInteger(user) && user > 0 ? user : undefined,
    error: textOf(search.error),
    span: oneOf(search.span, SPANS),
    from: momentOf(search.from),
    to: momentOf(search.to),
    q: textOf(search.q),
    job: textOf(search.job),
  };
}

function momentOf(value: unknown): string | undefined {
  const text = textOf(value);
  return text !== undefined && !Number.isNaN(Date.parse(text)) ? text : undefined;
}

/** Those words of `status` that are states, in their usual order. */
export function statesOf(status: string): JobStatus[] {
  const named = new Set(status.split(","));
  return JOB_STATES.filter((state) => named.has(state));
}

export function withState(status: string, state: JobStatus, on: boolean): string {
  return statesOf(status)
    .filter((one) => one !== state)
    .concat(on ? [state] : [])
    .join(",");
}

const SPAN_MS: Record<Exclude<Span, "custom">, number> = { "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000 };
const MINUTE_MS = 60_000;

/** From and to as moments. A span ends now and begins at a whole minute, so that asking again asks the same. */
export function timesOf(url: Pick<JobsUrl, "span" | "from" | "to">, nowMs: number): { from?: string; to?: string } {
  if (url.span === undefined) return {};
  if (url.span !== "custom")
    return { from: new Date(Math.floor((nowMs - SPAN_MS[url.span]) / MINUTE_MS) * MINUTE_MS).toISOString() };
  return { from: utc(url.from), to: utc(url.to) };
}

function utc(moment: string | undefined): string | undefined {
  return moment === undefined ? undefined : new Date(moment).toISOString();
}

/** What the list asks for. Dead letters are the failed and the dead, unless one of the two is chosen. */
export function listFilter(url: JobsUrl, nowMs: number): JobFilter {
  const states = url.tab === "dead" ? lostStates(url.status) : statesOf(url.status);
  return tidy({
    status: states.join(","),
    type: url.type,
    queue: url.queue,
    user_id: url.user,
    error_code: url.error,
    q: url.q,
    ...timesOf(url, nowMs),
  });
}

function lostStates(status: string): JobStatus[] {
  const chosen = statesOf(status).filter((state) => state === "failed" || state === "dead");
  return chosen.length > 0 ? chosen : [...LOST];
}

/** The same narrowing for acting on all that match. Text cannot be part of it. */
export function deadFilter(url: JobsUrl, nowMs: number): DeadFilter {
  const states = lostStates(url.status);
  const only = states.length === 1 ? oneOf(states[0], LOST) : undefined;
  return tidy({
    status: only,
    type: url.type,
    queue: url.queue,
    user_id: url.user,
    error_code: url.error,
    ...timesOf(url, nowMs),
  });
}

export function isNarrowed(url: JobsUrl): boolean {
  return Object.keys(NO_FILTERS).some((key) => {
    const value = url[key as keyof typeof NO_FILTERS];
    return value !== undefined && value !== "";
  });
}

function tidy<T extends object>(filter: T): T {
  const kept = Object.entries(filter).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(kept) as T;
}
