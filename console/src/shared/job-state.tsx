/** How a job's state is shown, and the way to one, wherever its id is known. */
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { JobStatus } from "@/api/jobs";
import { StateBadge, type Tone } from "@/ui/state";

export const JOB_TONES: Record<JobStatus, Tone> = {
  queued: "idle",
  retry_wait: "warn",
  running: "running",
  succeeded: "done",
  failed: "failed",
  dead: "failed",
  cancelled: "idle",
};

export function isJobStatus(value: string): value is JobStatus {
  return value in JOB_TONES;
}

export function isJobWaiting(status: JobStatus): boolean {
  return status === "queued" || status === "retry_wait";
}

/** Failed for good, or out of attempts: what may be replayed or discarded. */
export function isDeadLetter(status: JobStatus): boolean {
  return status === "failed" || status === "dead";
}

export function JobBadge({ status, stopping }: { status: JobStatus; stopping?: boolean }) {
  const { t } = useTranslation();
  if (stopping)
    return (
      <StateBadge tone="warn" testId="job-status">
        {t("jobs.stopping")}
      </StateBadge>
    );
  return (
    <StateBadge tone={JOB_TONES[status]} title={t(`jobs.statusHint.${status}`)} testId="job-status">
      {t(`jobs.status.${status}`)}
    </StateBadge>
  );
}

/** Ids begin with the time, so it is their end that tells neighbours apart. */
export function shortJobId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}

export function JobLink({ id, className }: { id: string; className?: string }) {
  const { t } = useTranslation();
  return (
    <Link
      to="/jobs"
      search={{ tab: "jobs", job: id }}
      title={id}
      aria-label={t("jobs.openJob", { id })}
      data-testid="job-link"
      className={className ?? "font-mono text-accent-text text-xs hover:underline"}
    >
      {shortJobId(id)}
    </Link>
  );
}
