/** When a schedule fires, as the form holds it. Pure. */
import type { Schedule } from "@/api/schedules";

export const PRESETS = {
  hourly: "0 * * * *",
  nightly: "0 3 * * *",
  workdays: "0 9 * * 1-5",
  weekly: "0 3 * * 1",
  monthly: "0 3 1 * *",
} as const;
export type Preset = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as Preset[];

export interface TimingForm {
  mode: "cron" | "once";
  cron: string;
  /** As a `datetime-local` field holds it, in `timezone`. */
  moment: string;
  timezone: string;
}

export type Timing = { cron: string; timezone: string } | { run_at: string; timezone: string };

/** The reader's own zone, by its IANA name. */
export function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

export function zoneNames(): string[] {
  return [...new Set(["UTC", ...Intl.supportedValuesOf("timeZone")])];
}

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return name !== "";
  } catch {
    return false; // That is how Intl says so.
  }
}

/** Minutes by which `timeZone` is ahead of UTC at a moment. */
function offsetMinutes(atMs: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(atMs);
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((one) => one.type === type)?.value);
  const local = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  return Math.round((local - Math.floor(atMs / 1000) * 1000) / 60_000);
}

/** The moment at which clocks in a zone show `local` ("2026-11-22T09:00"); null where it is none. */
export function momentIn(local: string, timeZone: string): string | null {
  const asUtc = Date.parse(`${local}Z`);
  if (local === "" || Number.isNaN(asUtc) || !isZone(timeZone)) return null;
  // The offset is that of the moment itself, which is not known yet: a second look settles it around a change.
  const guess = asUtc - offsetMinutes(asUtc, timeZone) * 60_000;
  return new Date(asUtc - offsetMinutes(guess, timeZone) * 60_000).toISOString();
}

/** What clocks in a zone show at a moment, for a `datetime-local` field. */
export function localIn(moment: string, timeZone: string): string {
  const at = Date.parse(moment);
  if (Number.isNaN(at) || !isZone(timeZone)) return "";
  return new Date(at + offsetMinutes(at, timeZone) * 60_000).toISOString().slice(0, 16);
}

/** What is sent; null while it is incomplete. */
export function timingOf(form: TimingForm): Timing | null {
  const timezone = form.timezone.trim();
  if (form.mode === "cron") {
    const cron = form.cron.trim().replace(/\s+/g, " ");
    return cron === "" ? null : { cron, timezone };
  }
  const moment = momentIn(form.moment, timezone);
  return moment === null ? null : { run_at: moment, timezone };
}

export function timingForm(schedule: Schedule | undefined): TimingForm {
  if (!schedule) return { mode: "cron", cron: PRESETS.nightly, moment: "", timezone: ownZone() };
  const { cron, run_at, timezone } = schedule;
  return {
    mode: cron === null ? "once" : "cron",
    cron: cron ?? PRESETS.nightly,
    moment: run_at === null ? "" : localIn(run_at, timezone),
    timezone,
  };
}

/** It was for one moment, and that has passed. */
export function isOver(schedule: Pick<Schedule, "cron" | "run_at" | "next_run_at">, nowMs: number): boolean {
  const { cron, run_at, next_run_at } = schedule;
  return cron === null && next_run_at === null && run_at !== null && Date.parse(run_at) <= nowMs;
}

/** A moment as clocks in a zone show it, in the reader's language. */
export function inZone(moment: string, timeZone: string, locale: string): string {
  const zone = isZone(timeZone) ? timeZone : "UTC";
  return new Intl.DateTimeFormat(locale, {
    weekday: "short",
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone: zone,
  }).format(Date.parse(moment));
}
