/** What happened to a job, line by line, and its attempts. */
import { useTranslation } from "react-i18next";
import type { Attempt, JobEvent } from "@/api/jobs";
import { formatDateTime, formatDuration, formatMs, NO_VALUE } from "@/shared/format";
import { isJobStatus, JOB_TONES } from "@/shared/job-state";
import { StateShape, TONE_TEXT, type Tone } from "@/ui/state";
import { attemptS, historyLines } from "./history";

const OTHER_TONES: Record<string, Tone> = {
  cancel_requested: "warn",
  handed_back: "warn",
  owner_lost: "failed",
  replayed: "running",
  discarded: "idle",
  edited: "idle",
};
const KINDS = [
  "queued",
  "running",
  "retry_wait",
  "succeeded",
  "failed",
  "dead",
  "cancelled",
  "cancel_requested",
  "handed_back",
  "owner_lost",
  "replayed",
  "discarded",
  "edited",
] as const;
type Kind = (typeof KINDS)[number];
/** As many lines as the server tells. */
const MOST = 500;

function toneOf(kind: string): Tone {
  return isJobStatus(kind) ? JOB_TONES[kind] : (OTHER_TONES[kind] ?? "idle");
}

/** Short steps in milliseconds, long ones in minutes and hours. */
export function stepWords(seconds: number | null): string {
  if (seconds === null) return NO_VALUE;
  return seconds < 60 ? formatMs(seconds * 1000) : formatDuration(seconds);
}

export function History({ events }: { events: readonly JobEvent[] }) {
  const { t } = useTranslation();
  const lines = historyLines(events);
  const word = (kind: string) => {
    const known = KINDS.find((one): one is Kind => one === kind);
    return known ? t(`jobs.event.${known}`) : kind;
  };
  const details = (event: JobEvent): string[] => {
    const data = event.data ?? {};
    const said = [data.error, data.text].filter((part) => typeof part === "string" && part !== "").join(": ");
    return [
      typeof data.worker === "string" ? data.worker : "",
      typeof data.by === "number" ? t("jobs.by", { id: data.by }) : "",
      typeof data.next === "string" && isJobStatus(data.next)
        ? t("jobs.next", { state: t(`jobs.status.${data.next}`).toLowerCase() })
        : "",
      said,
    ].filter((part) => part !== "");
  };
  return (
    <>
      {events.length >= MOST ? <p className="text-faint text-xs">{t("jobs.historyCut", { count: MOST })}</p> : null}
      <ol className="border-l pl-3" data-testid="job-history">
        {lines.map(({ event, afterS }) => {
          const more = details(event);
          return (
            <li key={event.seq} className="relative py-1 text-sm" data-kind={event.kind}>
              <span
                className={`absolute top-2 -left-[1.15rem] flex size-3 items-center justify-center bg-panel ${TONE_TEXT[toneOf(event.kind)]}`}
              >
                <StateShape tone={toneOf(event.kind)} />
              </span>
              <span className="flex flex-wrap items-baseline gap-x-2">
                <span className="font-medium">{word(event.kind)}</span>
                {afterS === null ? null : (
                  <span className="tnum text-faint text-xs">{t("jobs.after", { duration: stepWords(afterS) })}</span>
                )}
                <time dateTime={event.at} className="tnum ml-auto text-faint text-xs">
                  {formatDateTime(event.at)}
                </time>
              </span>
              {more.length > 0 ? <p className="whitespace-pre-wrap text-soft text-xs">{more.join(" · ")}</p> : null}
            </li>
          );
        })}
      </ol>
    </>
  );
}

export function Attempts({ attempts }: { attempts: readonly Attempt[] }) {
  const { t } = useTranslation();
  if (attempts.length === 0) return <p className="text-faint text-sm">{t("jobs.noAttempts")}</p>;
  const nowMs = Date.now();
  return (
    <section aria-label={t("jobs.attempts")} tabIndex={0} className="scroll-thin overflow-x-auto rounded-md border">
      <table className="w-full text-sm" data-testid="job-attempts">
        <caption className="sr-only">{t("jobs.attempts")}</caption>
        <thead>
          <tr className="text-faint text-xs">
            <th scope="col" className="h-7 w-8 px-2 text-right font-medium">
              <span aria-hidden>#</span>
              <span className="sr-only">{t("jobs.attempt")}</span>
            </th>
            <th scope="col" className="px-2 text-left font-medium">
              {t("jobs.started")}
            </th>
            <th scope="col" className="whitespace-nowrap px-2 text-right font-medium">
              {t("jobs.ran")}
            </th>
            <th scope="col" className="px-2 text-left font-medium">
              {t("jobs.outcome")}
            </th>
            <th scope="col" className="px-2 text-left font-medium max-sm:hidden">
              {t("jobs.worker")}
            </th>
          </tr>
        </thead>
        <tbody>
          {attempts.map((attempt) => (
            <tr key={attempt.started_at} className="border-t align-top">
              <td className="tnum px-2 py-1 text-right">{attempt.number}</td>
              <td className="tnum whitespace-nowrap px-2 py-1 text-soft">{formatDateTime(attempt.started_at)}</td>
              <td className="tnum whitespace-nowrap px-2 py-1 text-right">{stepWords(attemptS(attempt, nowMs))}</td>
              <td className="px-2 py-1">
                <Outcome attempt={attempt} />
              </td>
              <td className="break-all px-2 py-1 font-mono text-faint text-xs max-sm:hidden">
                {attempt.worker ?? NO_VALUE}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Outcome({ attempt }: { attempt: Attempt }) {
  const { t } = useTranslation();
  const kind = attempt.outcome ?? "running";
  const known = KINDS.find((one): one is Kind => one === kind);
  return (
    <>
      <span className={`inline-flex items-center gap-1 ${TONE_TEXT[toneOf(kind)]}`}>
        <StateShape tone={toneOf(kind)} />
        {attempt.outcome === null ? t("jobs.status.running") : known ? t(`jobs.event.${known}`) : kind}
      </span>
      {attempt.error ? (
        <p className="text-soft text-xs">
          <span className="font-mono text-failed">{attempt.error.code}</span> {attempt.error.message}
        </p>
      ) : null}
    </>
  );
}
