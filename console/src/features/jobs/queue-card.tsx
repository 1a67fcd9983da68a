/** One queue: how much waits, how fast it goes, and whether it goes at all. */
import { Link } from "@tanstack/react-router";
import { CirclePause, CirclePlay, SlidersHorizontal } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { pauseQueue, type Queue, resumeQueue } from "@/api/queues";
import { Sparkline } from "@/shared/charts";
import { useConfirm } from "@/shared/confirm";
import { formatDuration, formatNumber, NO_VALUE } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { Panel } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Meter } from "@/ui/progress";
import { StateBadge, Tag } from "@/ui/state";

const ICON = "size-3.5";

export function QueueCard({ queue, rates, onEdit }: { queue: Queue; rates: readonly number[]; onEdit: () => void }) {
  const { t } = useTranslation();
  const { name } = queue;
  const waits = queue.waiting + queue.retry_wait;
  return (
    <Panel
      testId="queue"
      title={
        <span className="flex flex-wrap items-center gap-2">
          <span className="font-mono">{name}</span>
          <StateBadge tone={queue.paused ? "warn" : "done"} testId="queue-state">
            {queue.paused ? t("jobs.queues.paused") : t("jobs.queues.flowing")}
          </StateBadge>
        </span>
      }
      aside={
        <>
          <Button
            small
            icon={<SlidersHorizontal aria-hidden className={ICON} />}
            onClick={onEdit}
            data-testid="queue-edit"
          >
            {t("jobs.queues.edit")}
          </Button>
          <PauseButton queue={queue} />
        </>
      }
    >
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3 sm:grid-cols-4 xl:grid-cols-7">
        <Figure
          label={t("jobs.queues.waiting")}
          value={<ToList status="queued" queue={name} count={queue.waiting} />}
          testId="queue-waiting"
        />
        <Figure
          label={t("jobs.queues.retryWait")}
          value={<ToList status="retry_wait" queue={name} count={queue.retry_wait} tone="text-warn" />}
        />
        <Figure
          label={t("jobs.queues.running")}
          value={<ToList status="running" queue={name} count={queue.running} />}
          testId="queue-running"
        />
        <Figure
          label={t("jobs.queues.dead")}
          value={<ToDead queue={name} count={queue.dead + queue.failed} />}
          testId="queue-dead"
        />
        <Figure label={t("jobs.queues.oldest")} value={waits > 0 ? formatDuration(queue.oldest_s) : NO_VALUE} />
        <Figure
          label={t("jobs.queues.rate")}
          value={formatNumber(queue.rate_per_s, 2)}
          aside={<Sparkline values={rates} className="h-7 w-20 text-running-bar" />}
        />
        <Figure
          label={t("jobs.queues.tickets")}
          value={formatNumber(queue.tickets)}
          title={queue.tickets === null ? t("jobs.queues.ticketsNone") : undefined}
        />
      </dl>
      <div className="mt-3 grid gap-x-6 gap-y-3 border-t pt-3 text-sm md:grid-cols-3">
        <Bound label={t("jobs.queues.maxLength")} value={waits} limit={queue.max_length} />
        <Bound label={t("jobs.queues.concurrency")} value={queue.running} limit={queue.concurrency} />
        <div className="min-w-0">
          <p className="text-faint text-xs">{t("jobs.queues.maxPerUser")}</p>
          <p className="tnum">{formatNumber(queue.max_per_user)}</p>
        </div>
      </div>
      {queue.types.length > 0 ? (
        <div className="mt-3 flex flex-wrap items-center gap-1">
          <span className="mr-1 text-faint text-xs">{t("jobs.queues.types")}</span>
          {queue.types.map((type) => (
            <Tag key={type} mono>
              {type}
            </Tag>
          ))}
        </div>
      ) : null}
    </Panel>
  );
}

function PauseButton({ queue }: { queue: Queue }) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const { name } = queue;
  const refresh = [["queues"]];
  const resume = useWrite({ run: () => resumeQueue(name), refresh, done: t("jobs.queues.resumedDone", { name }) });
  const pause = useWrite({
    run: () => pauseQueue(name),
    refresh,
    onDone: () =>
      notify.done(t("jobs.queues.pausedDone", { name }), { label: t("act.undo"), run: () => resume.mutate() }),
  });
  const ask = async () => {
    const yes = await confirm(
      queue.paused
        ? {
            title: t("jobs.queues.resumeTitle", { name }),
            body: t("jobs.queues.resumeBody", { waiting: formatNumber(queue.waiting + queue.retry_wait) }),
            act: t("jobs.queues.resume"),
          }
        : {
            title: t("jobs.queues.pauseTitle", { name }),
            body: t("jobs.queues.pauseBody", {
              running: formatNumber(queue.running),
              limit: formatNumber(queue.max_length),
            }),
            act: t("jobs.queues.pause"),
          },
    );
    if (yes) (queue.paused ? resume : pause).mutate();
  };
  return (
    <Button
      small
      look={queue.paused ? "primary" : "plain"}
      icon={queue.paused ? <CirclePlay aria-hidden className={ICON} /> : <CirclePause aria-hidden className={ICON} />}
      busy={pause.isPending || resume.isPending}
      onClick={() => void ask()}
      data-testid={queue.paused ? "queue-resume" : "queue-pause"}
    >
      {queue.paused ? t("jobs.queues.resume") : t("jobs.queues.pause")}
    </Button>
  );
}

function Figure({
  label,
  value,
  aside,
  title,
  testId,
}: {
  label: string;
  value: ReactNode;
  aside?: ReactNode;
  title?: string;
  testId?: string;
}) {
  return (
    <div className="min-w-0" title={title}>
      <dt className="text-faint text-xs">{label}</dt>
      <dd className="tnum flex h-8 items-center gap-2 font-semibold text-lg">
        <span data-testid={testId} className="min-w-[3ch] whitespace-nowrap">
          {value}
        </span>
        {aside}
      </dd>
    </div>
  );
}

function ToList({ status, queue, count, tone }: { status: string; queue: string; count: number; tone?: string }) {
  return (
    <Link
      to="/jobs"
      search={{ tab: "jobs", status, queue }}
      className={cx("hover:underline", count > 0 ? tone : "text-soft")}
    >
      {formatNumber(count)}
    </Link>
  );
}

function ToDead({ queue, count }: { queue: string; count: number }) {
  return (
    <Link
      to="/jobs"
      search={{ tab: "dead", queue }}
      className={cx("hover:underline", count > 0 ? "text-failed" : "text-soft")}
    >
      {formatNumber(count)}
    </Link>
  );
}

function Bound({ label, value, limit }: { label: string; value: number; limit: number | null }) {
  const { t } = useTranslation();
  return (
    <div className="min-w-0">
      <p className="text-faint text-xs">{label}</p>
      <p className="tnum">
        {formatNumber(value)} / {limit === null ? t("jobs.queues.noBound") : formatNumber(limit)}
      </p>
      {limit === null ? null : (
        <div className="mt-1 max-w-56">
          <Meter value={value} limit={limit} label={label} tone={value >= limit ? "warn" : "running"} />
        </div>
      )}
    </div>
  );
}
