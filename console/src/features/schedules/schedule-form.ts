/** What the schedule form holds, and what is sent for it. Pure. */
import type { Payload } from "@/api/jobs";
import type { Misfire, Schedule, ScheduleChange, ScheduleWish } from "@/api/schedules";
import { fromRequest, DEFAULTS as START_DEFAULTS, type StartForm, toRequest } from "@/shared/start-form/start-form";
import { type TimingForm, timingForm, timingOf } from "./timing";

/** What a user may schedule. */
export const START = "datagen.start";
export const MISFIRES = ["once", "skip", "all"] as const satisfies readonly Misfire[];

export interface ScheduleForm {
  name: string;
  type: string;
  start: StartForm;
  /** The payload as text, while it is edited as JSON. */
  json: string | null;
  timing: TimingForm;
  misfire: Misfire;
  enabled: boolean;
}

export function formOf(schedule: Schedule | undefined): ScheduleForm {
  const start = schedule?.type === START ? fromRequest(schedule.payload) : null;
  return {
    name: schedule?.name ?? "",
    type: schedule?.type ?? START,
    start: start ?? START_DEFAULTS,
    json: schedule && !start ? JSON.stringify(schedule.payload, null, 2) : null,
    timing: timingForm(schedule),
    misfire: schedule?.misfire ?? "once",
    enabled: schedule?.enabled ?? true,
  };
}

export type Read = { ok: true; payload: Payload } | { ok: false; reason: string | null };

/** The payload; `reason` is the parser's, or null where the JSON is no object. */
export function payloadOf(form: Pick<ScheduleForm, "json" | "start">): Read {
  if (form.json === null) return { ok: true, payload: { ...toRequest(form.start) } };
  try {
    const value: unknown = JSON.parse(form.json);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { ok: false, reason: null };
    return { ok: true, payload: value as Payload };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The wish, or null while something is missing. */
export function wishOf(form: ScheduleForm): ScheduleWish | null {
  const read = payloadOf(form);
  const timing = timingOf(form.timing);
  const name = form.name.trim();
  if (!read.ok || timing === null || name === "") return null;
  return { name, type: form.type, payload: read.payload, misfire: form.misfire, enabled: form.enabled, ...timing };
}

/** What to send of a changed form: only what differs, so that the program's own schedules can be re-timed. */
export function changeOf(form: ScheduleForm, schedule: Schedule): ScheduleChange | null {
  const wish = wishOf(form);
  if (!wish) return null;
  const change: ScheduleChange = {};
  if (wish.name !== schedule.name) change.name = wish.name;
  if (!same(wish.payload, formPayload(schedule))) change.payload = wish.payload;
  if (wish.misfire !== schedule.misfire) change.misfire = wish.misfire;
  if (wish.enabled !== schedule.enabled) change.enabled = wish.enabled;
  const before = timingOf(timingForm(schedule));
  const after = timingOf(form.timing);
  if (!same(before, after) && after !== null) Object.assign(change, after);
  return change;
}

/** What an unchanged form says, which may spell out a default that the kept payload leaves out. */
function formPayload(schedule: Schedule): Payload {
  const read = payloadOf(formOf(schedule));
  return read.ok ? read.payload : schedule.payload;
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A deleted schedule made anew. */
export function wishAgain(schedule: Schedule): ScheduleWish {
  const { name, type, payload, cron, run_at, timezone, misfire, enabled } = schedule;
  return { name, type, payload, timezone, misfire, enabled, ...(cron === null ? { run_at } : { cron }) };
}
