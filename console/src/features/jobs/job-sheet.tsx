/** One job beside the list: everything that is known of it, and what can be done. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowRight, Ban, Pencil, RotateCcw, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { type JobDetail, jobQuery, type OwnJob, ownJobQuery } from "@/api/jobs";
import { CopyButton } from "@/shared/copy";
import { isDeadLetter, isJobWaiting, JobBadge } from "@/shared/job-state";
import { pretty } from "@/shared/row-text";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { Facts, SkeletonRows } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { secondsBetween, taskOf } from "./history";
import { Attempts, History, stepWords } from "./job-history";
import { JobProgress } from "./job-progress";
import { PayloadEditor } from "./payload-editor";
import { REFRESH_MS } from "./refresh";
import { useJobActs } from "./use-job-acts";

/** One's own job tells less than an administrator sees. */
type Shown = OwnJob & Partial<Omit<JobDetail, keyof OwnJob>>;
const ICON = "size-3.5";

function useJob(id: string, all: boolean) {
  const goesOn = (job: Shown | undefined) =>
    job && (job.status === "running" || isJobWaiting(job.status)) ? REFRESH_MS : false;
  const any = useQuery({ ...jobQuery(id), enabled: all, refetchInterval: (query) => goesOn(query.state.data) });
  const own = useQuery({ ...ownJobQuery(id), enabled: !all, refetchInterval: (query) => goesOn(query.state.data) });
  const { error, refetch } = all ? any : own;
  const job: Shown | undefined = all ? any.data : own.data;
  return { job, error, refetch };
}

export function JobSheet({ id, all, onClose }: { id: string; all: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const { job, error, refetch } = useJob(id, all);
  const [editing, setEditing] = useState(false);
  const acts = useJobActs(job, all, () => setEditing(false));
  return (
    <Dialog
      open
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      place="side"
      wide
      sticky={editing}
      title={
        <span className="flex flex-wrap items-center gap-2">
          <span>{job?.type ?? t("jobs.job")}</span>
          {job ? <JobBadge status={job.status} stopping={job.cancel_requested} /> : null}
        </span>
      }
      description={
        <span className="flex items-center gap-1 font-mono text-xs" data-testid="job-id">
          {id} <CopyButton text={id} label={t("jobs.copyId")} />
        </span>
      }
      closeLabel={t("act.close")}
      testId="job-sheet"
      footer={job && !editing ? <Acts job={job} all={all} acts={acts} onEdit={() => setEditing(true)} /> : undefined}
    >
      {error && !job ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : !job ? (
        <SkeletonRows rows={8} label={t("state.loading")} />
      ) : (
        <div className="flex flex-col gap-4">
          <JobFacts job={job} />
          {job.error ? (
            <div className="rounded-md bg-failed-soft px-3 py-2 text-sm" data-testid="job-error">
              <p className="font-mono text-failed text-xs">{job.error.code}</p>
              <p className="whitespace-pre-wrap text-failed">{job.error.message}</p>
            </div>
          ) : null}
          {job.payload === undefined ? null : editing ? (
            <PayloadEditor
              payload={job.payload}
              checkpointed={job.checkpoint !== null}
              busy={acts.replay.isPending || acts.save.isPending}
              act={isDeadLetter(job.status) ? t("jobs.act.replayEdited") : t("jobs.act.savePayload")}
              onAct={(payload) =>
                isDeadLetter(job.status) ? acts.replay.mutate(payload) : acts.save.mutate(change(job, payload))
              }
              onSave={isDeadLetter(job.status) ? (payload) => acts.save.mutate(change(job, payload)) : undefined}
              onCancel={() => setEditing(false)}
            />
          ) : (
            <Block title={t("jobs.payload")} aside={<CopyButton text={pretty(job.payload)} label={t("act.copy")} />}>
              <Json value={job.payload} testId="job-payload" />
            </Block>
          )}
          {job.checkpoint ? (
            <Block title={t("jobs.checkpoint")} hint={t("jobs.checkpointHint")}>
              <Json value={job.checkpoint} />
            </Block>
          ) : null}
          {job.attempts ? (
            <Block title={t("jobs.attempts")}>
              <Attempts attempts={job.attempts} />
            </Block>
          ) : null}
          <Block title={t("jobs.history")}>
            <History events={job.events} />
          </Block>
        </div>
      )}
    </Dialog>
  );
}

/** Saving may be undone only where nothing else is lost by it. */
function change(job: Shown, payload: JobDetail["payload"]) {
  return { before: job.payload ?? {}, payload, undo: !job.checkpoint };
}

function Acts({
  job,
  all,
  acts,
  onEdit,
}: {
  job: Shown;
  all: boolean;
  acts: ReturnType<typeof useJobActs>;
  onEdit: () => void;
}) {
  const { t } = useTranslation();
  const waits = isJobWaiting(job.status);
  const lost = all && isDeadLetter(job.status);
  const task = taskOf(job);
  const cancellable = waits || (job.status === "running" && !job.cancel_requested);
  if (!task && !lost && !cancellable) return null;
  return (
    <>
      {task ? (
        <Link
          to="/tasks/$taskId"
          params={{ taskId: task }}
          className="mr-auto inline-flex items-center gap-1 text-accent-text text-sm hover:underline"
          data-testid="job-task"
        >
          {t("jobs.toTask", { id: task })}
          <ArrowRight aria-hidden className={ICON} />
        </Link>
      ) : null}
      {cancellable ? (
        <Button
          icon={<Ban aria-hidden className={ICON} />}
          busy={acts.cancel.isPending}
          onClick={() => void acts.askCancel()}
          data-testid="job-cancel"
        >
          {t("jobs.act.cancel")}
        </Button>
      ) : null}
      {lost ? (
        <Button
          icon={<Trash2 aria-hidden className={ICON} />}
          busy={acts.discard.isPending}
          onClick={() => void acts.askDiscard()}
          data-testid="job-discard"
        >
          {t("jobs.act.discard")}
        </Button>
      ) : null}
      {all && (waits || lost) ? (
        <Button icon={<Pencil aria-hidden className={ICON} />} onClick={onEdit} data-testid="job-edit">
          {t("jobs.act.editPayload")}
        </Button>
      ) : null}
      {lost ? (
        <Button
          look="primary"
          icon={<RotateCcw aria-hidden className={ICON} />}
          busy={acts.replay.isPending}
          onClick={() => acts.replay.mutate(undefined)}
          data-testid="job-replay"
        >
          {t("jobs.act.replay")}
        </Button>
      ) : null}
    </>
  );
}

function JobFacts({ job }: { job: Shown }) {
  const { t } = useTranslation();
  const waits = isJobWaiting(job.status);
  const facts: ({ label: string; value: ReactNode } | false)[] = [
    { label: t("jobs.queue"), value: job.queue },
    { label: t("jobs.user"), value: job.user_id === null ? t("jobs.system") : `#${job.user_id}` },
    {
      label: t("jobs.attempts"),
      value: job.max_attempts === null ? job.attempt : `${job.attempt} / ${job.max_attempts}`,
    },
    job.crashes > 0 && { label: t("jobs.crashes"), value: job.crashes },
    { label: t("jobs.priority"), value: job.priority },
    { label: t("jobs.made"), value: <Time at={job.created_at} /> },
    waits && { label: t("jobs.runAt"), value: <Time at={job.run_at} /> },
    { label: t("jobs.started"), value: <Time at={job.started_at} /> },
    job.started_at !== null && {
      label: t("jobs.waited"),
      value: stepWords(secondsBetween(job.created_at, job.started_at)),
    },
    job.finished_at !== null && { label: t("jobs.finished"), value: <Time at={job.finished_at} /> },
    job.finished_at !== null && {
      label: t("jobs.ran"),
      value: stepWords(secondsBetween(job.started_at, job.finished_at)),
    },
    job.publish_count !== undefined && {
      label: t("jobs.published"),
      value: t("jobs.publishedTimes", { count: job.publish_count }),
    },
    Boolean(job.worker) && { label: t("jobs.worker"), value: <Mono text={job.worker} /> },
    job.schedule_id !== null && {
      label: t("jobs.schedule"),
      value: (
        <Link
          to="/schedules"
          search={{ open: job.schedule_id }}
          className="font-mono text-accent-text text-xs hover:underline"
        >
          …{job.schedule_id.slice(-8)}
        </Link>
      ),
    },
    Boolean(job.idem_key) && { label: t("jobs.idemKey"), value: <Mono text={job.idem_key} /> },
    Boolean(job.request_id) && { label: t("jobs.requestId"), value: <Mono text={job.request_id} /> },
  ];
  return (
    <>
      {job.progress.total > 0 || job.progress.message !== "" ? <JobProgress job={job} wide /> : null}
      <Facts items={facts.filter((fact) => fact !== false)} />
    </>
  );
}

function Mono({ text }: { text: string | null | undefined }) {
  return <span className="break-all font-mono text-xs">{text}</span>;
}

function Block({
  title,
  hint,
  aside,
  children,
}: {
  title: string;
  hint?: string;
  aside?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section>
      <h3 className="mb-1 flex min-h-6 items-center gap-2 font-semibold text-sm">
        {title}
        {hint ? <span className="font-normal text-faint text-xs">{hint}</span> : null}
        {aside}
      </h3>
      {children}
    </section>
  );
}

function Json({ value, testId }: { value: unknown; testId?: string }) {
  return (
    <pre
      data-testid={testId}
      className="scroll-thin max-h-80 overflow-auto whitespace-pre-wrap break-words rounded-md bg-sunken p-2 font-mono text-xs leading-relaxed"
    >
      {pretty(value)}
    </pre>
  );
}
