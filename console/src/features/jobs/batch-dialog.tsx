/** Many dead letters at once: first what would happen, then, when one agrees, it. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { actOnMany, type BatchAct, dryRunQuery, type JobBatch, type JobBatchResult } from "@/api/jobs";
import { JobBadge, shortJobId } from "@/shared/job-state";
import { useWrite } from "@/shared/mutation";
import { Trouble } from "@/shared/trouble";
import { SkeletonRows } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";

const TITLES = { replay: "jobs.batch.replayTitle", discard: "jobs.batch.discardTitle" } as const;
const COUNTS = { replay: "jobs.batch.replayCount", discard: "jobs.batch.discardCount" } as const;
const ACTS = { replay: "jobs.batch.replayAct", discard: "jobs.batch.discardAct" } as const;
const DONE = { replay: "jobs.batch.replayed", discard: "jobs.batch.discarded" } as const;

export interface BatchProps {
  act: BatchAct;
  target: Pick<JobBatch, "ids" | "filter">;
  onClose: () => void;
  onDone: () => void;
}

export function BatchDialog({ act, target, onClose, onDone }: BatchProps) {
  const { t } = useTranslation();
  const dry = useQuery(dryRunQuery(act, target));
  const run = useWrite({
    run: () => actOnMany(act, { ...target, dry_run: false }),
    refresh: [["jobs"], ["queues"]],
    done: (result) => t(DONE[act], { count: result.changed }),
    onDone: () => {
      onDone();
      onClose();
    },
  });
  const matching = dry.data?.matching ?? 0;
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      title={t(TITLES[act])}
      closeLabel={t("act.close")}
      testId="batch"
      footer={
        <>
          <Button onClick={onClose}>{t("act.cancel")}</Button>
          <Button
            look={act === "discard" ? "danger" : "primary"}
            disabled={matching === 0}
            busy={run.isPending}
            onClick={() => run.mutate()}
            data-testid="batch-confirm"
          >
            {matching > 0
              ? t(ACTS[act], { count: matching })
              : t(act === "replay" ? "jobs.act.replay" : "jobs.act.discard")}
          </Button>
        </>
      }
    >
      {dry.error ? (
        <Trouble error={dry.error} onRetry={() => void dry.refetch()} />
      ) : !dry.data ? (
        <SkeletonRows rows={4} label={t("jobs.batch.counting")} />
      ) : matching === 0 ? (
        <p className="text-soft text-sm">{t("jobs.batch.none")}</p>
      ) : (
        <WhatHappens act={act} result={dry.data} asked={target.ids?.length} />
      )}
    </Dialog>
  );
}

function WhatHappens({ act, result, asked }: { act: BatchAct; result: JobBatchResult; asked: number | undefined }) {
  const { t } = useTranslation();
  const { matching, sample } = result;
  const left = asked === undefined ? 0 : asked - matching;
  return (
    <div className="flex flex-col gap-3 text-sm">
      <p data-testid="batch-count">{t(COUNTS[act], { count: matching })}</p>
      {left > 0 ? <p className="text-warn">{t("jobs.batch.left", { count: left })}</p> : null}
      <div>
        <p className="mb-1 text-faint text-xs">
          {matching > sample.length
            ? t("jobs.batch.newest", { count: sample.length })
            : t("jobs.batch.first", { count: matching })}
        </p>
        <ul className="scroll-thin max-h-72 divide-y overflow-y-auto rounded-md border">
          {sample.map((job) => (
            <li key={job.id} className="flex min-h-9 items-center gap-2 px-2 py-1">
              <JobBadge status={job.status} />
              <span className="shrink-0">{job.type}</span>
              <span className="shrink-0 font-mono text-faint text-xs" title={job.id}>
                {shortJobId(job.id)}
              </span>
              <span className="min-w-0 truncate text-soft" title={job.error?.message}>
                {job.error?.message}
              </span>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
