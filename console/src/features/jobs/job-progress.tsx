/** How far a job has got; nothing where it does not say. */
import { useTranslation } from "react-i18next";
import type { Job } from "@/api/jobs";
import { formatNumber } from "@/shared/format";
import { JOB_TONES } from "@/shared/job-state";
import { Meter } from "@/ui/progress";

export function JobProgress({ job, wide }: { job: Pick<Job, "progress" | "status" | "type">; wide?: boolean }) {
  const { t } = useTranslation();
  const { current, total, percent, message } = job.progress;
  if (total <= 0) return message === "" ? null : <span className="text-soft text-xs">{message}</span>;
  const tone = JOB_TONES[job.status];
  return (
    <span className="flex items-center gap-2" title={message || undefined}>
      <span className={wide ? "flex-1" : "w-20 shrink-0"}>
        <Meter value={current} limit={total} label={`${job.type}: ${t("jobs.progress")}`} tone={tone} />
      </span>
      <span className="tnum shrink-0 text-soft text-xs">
        {wide ? `${formatNumber(current)} / ${formatNumber(total)} · ` : null}
        {formatNumber(percent, 1)}%
      </span>
    </span>
  );
}
