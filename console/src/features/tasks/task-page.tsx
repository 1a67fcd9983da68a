/** One task, live: how far, how fast, through which services, and what just came out. */
import { Link, useNavigate } from "@tanstack/react-router";
import { ChevronLeft, ClipboardCheck, Layers, ScrollText, Square, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { deleteTask, PAUSES_FOR_OWNER, stopTask, type TaskStatus } from "@/api/tasks";
import { useConfirm } from "@/shared/confirm";
import { CopyButton } from "@/shared/copy";
import { formatCredits, formatDuration, formatNumber } from "@/shared/format";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { pretty } from "@/shared/row-text";
import { isLive, TaskBadge, TaskBar, useSplitParts, useTypeTitle } from "@/shared/task-state";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { usePathPart } from "@/shared/url-state";
import { Facts, Panel, SkeletonRows } from "@/ui/blocks";
import { Button, buttonClass, IconButton } from "@/ui/button";
import { StateShape, TONE_TEXT } from "@/ui/state";
import { Lanes } from "./lanes";
import { ResumeButton } from "./resume-button";
import { RowStream } from "./row-stream";
import { TaskLog } from "./task-log";
import { useLiveTask } from "./use-live-task";

const ICON = "size-3.5";

export function TaskPage() {
  const { t } = useTranslation();
  const taskId = usePathPart("taskId");
  const { status, live, task } = useLiveTask(taskId);
  const typeTitle = useTypeTitle();
  if (status.error && !task) return <Trouble error={status.error} onRetry={() => void status.refetch()} />;
  if (!task) return <SkeletonRows label={t("state.loading")} />;
  return (
    <>
      <PageHead
        title={typeTitle(task.task_type)}
        above={
          <Link to="/tasks" className="mb-1 inline-flex items-center gap-0.5 text-soft text-xs hover:text-text">
            <ChevronLeft aria-hidden className={ICON} />
            {t("tasks.back")}
          </Link>
        }
        hint={
          <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
            <TaskBadge status={task.status} pausedReason={task.paused_reason} />
            <span className="font-mono text-xs" data-testid="task-id">
              {task.task_id}
            </span>
            <CopyButton text={task.task_id} label={t("act.copy")} />
          </span>
        }
        actions={<Actions task={task} />}
      />
      <div className="flex flex-col gap-3">
        {task.error_message && task.status === "failed" ? (
          <p role="alert" className="rounded-md bg-failed-soft px-3 py-2 text-failed text-sm">
            <strong className="font-semibold">{t("tasks.errorTitle")}</strong> {task.error_message}
          </p>
        ) : null}
        <Progress task={task} />
        <Panel title={t("tasks.lanes")} flush>
          <Lanes services={task.services} />
        </Panel>
        <div className="grid gap-3 xl:grid-cols-2">
          <Panel title={t("tasks.rowsTitle")} flush testId="row-stream">
            <RowStream rows={live.rows} />
          </Panel>
          <TaskLog log={live.log} line={live.line} />
        </div>
        <details className="rounded-md border bg-panel">
          <summary className="min-h-10 px-3 py-2 font-semibold text-sm">{t("tasks.params")}</summary>
          <pre className="scroll-thin overflow-x-auto border-t p-3 font-mono text-xs leading-relaxed">
            {pretty(task.params)}
          </pre>
        </details>
      </div>
    </>
  );
}

function Actions({ task }: { task: TaskStatus }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const confirm = useConfirm();
  const me = useMe();
  const refresh = [["tasks"]];
  const stop = useWrite({ run: () => stopTask(task.task_id), refresh, done: t("tasks.stopped") });
  const remove = useWrite({
    run: () => deleteTask(task.task_id),
    refresh: [["tasks", "list"], ["reports"]],
    done: t("tasks.deleted"),
    onDone: () => void navigate({ to: "/tasks" }),
  });
  const waits = isLive(task.status) && task.paused_code !== null && PAUSES_FOR_OWNER.has(task.paused_code);
  const askRemoval = async () => {
    const yes = await confirm({
      title: t("tasks.deleteTitle"),
      body: t("tasks.deleteBody", { id: task.task_id }),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate();
  };
  return (
    <>
      <IconButton
        label={t("act.delete")}
        icon={<Trash2 aria-hidden className="size-4" />}
        onClick={() => void askRemoval()}
        data-testid="task-delete"
      />
      {me.is_admin ? (
        <Link
          to="/jobs"
          search={{ tab: "jobs", q: task.task_id }}
          className={buttonClass("plain")}
          data-testid="task-jobs"
        >
          <Layers aria-hidden className={ICON} />
          {t("jobs.toJobs")}
        </Link>
      ) : null}
      <Link to="/reports/$taskId" params={{ taskId: task.task_id }} className={buttonClass("plain")}>
        <ScrollText aria-hidden className={ICON} />
        {t("tasks.toReport")}
      </Link>
      <Link
        to="/review"
        search={{ task_id: task.task_id }}
        className={buttonClass(isLive(task.status) ? "plain" : "primary")}
        data-testid="to-review"
      >
        <ClipboardCheck aria-hidden className={ICON} />
        {t("tasks.toReview")}
      </Link>
      {isLive(task.status) ? (
        <Button
          look="primary"
          icon={<Square aria-hidden className={ICON} />}
          busy={stop.isPending}
          onClick={() => stop.mutate()}
          data-testid="task-stop"
        >
          {stop.isPending ? t("tasks.stopping") : t("tasks.stop")}
        </Button>
      ) : null}
      {waits || task.status === "stopped" || task.status === "failed" ? <ResumeButton task={task} /> : null}
    </>
  );
}

function Progress({ task }: { task: TaskStatus }) {
  const { t } = useTranslation();
  const parts = useSplitParts(task);
  const left = Math.max(0, task.total - task.current);
  const forecast = task.current > 0 && left > 0 ? (task.cost / task.current) * task.total : null;
  const elapsedS = task.started_at
    ? ((task.finished_at ? Date.parse(task.finished_at) : Date.now()) - Date.parse(task.started_at)) / 1000
    : null;
  return (
    <Panel testId="task-progress">
      <div className="mb-2 flex flex-wrap items-baseline gap-x-4 gap-y-1">
        <span className="tnum font-semibold text-2xl" data-testid="task-percent">
          {formatNumber(task.percent, 1)}%
        </span>
        <span className="tnum text-soft" data-testid="task-count">
          {formatNumber(task.current)} / {formatNumber(task.total)}
        </span>
        {isLive(task.status) ? (
          <span className="tnum ml-auto text-soft text-sm">
            {t("tasks.rowsPerS", { rate: formatNumber(task.rows_per_s, 2) })} · {t("tasks.eta")}{" "}
            {formatDuration(task.eta_s)}
          </span>
        ) : null}
      </div>
      <TaskBar split={task} tall />
      <ul className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-sm">
        {parts.map((part) => (
          <li key={part.id} className="flex items-center gap-1.5" data-testid={`count-${part.id}`}>
            <span className={TONE_TEXT[part.tone]}>
              <StateShape tone={part.tone} />
            </span>
            <span className="text-soft">{part.label}</span>
            <span className="tnum font-medium">{formatNumber(part.value)}</span>
          </li>
        ))}
        <li className="flex items-center gap-1.5">
          <span className={TONE_TEXT.idle}>
            <StateShape tone="idle" />
          </span>
          <span className="text-soft">{t("tasks.left")}</span>
          <span className="tnum font-medium">{formatNumber(left)}</span>
        </li>
      </ul>
      <Facts
        className="mt-3 border-t pt-3"
        items={[
          {
            label: t("tasks.cost"),
            value: (
              <>
                {formatCredits(task.cost)}
                {forecast ? (
                  <span className="text-faint text-xs">
                    {" "}
                    · {t("tasks.forecast", { amount: formatCredits(forecast) })}
                  </span>
                ) : null}
              </>
            ),
          },
          {
            label: t("tasks.tokens"),
            value: `${formatNumber(task.tokens.input)} / ${formatNumber(task.tokens.output)}`,
          },
          { label: t("tasks.retried"), value: formatNumber(task.retried) },
          { label: t("tasks.model"), value: task.model || t("tasks.allModels") },
          { label: t("tasks.elapsed"), value: formatDuration(elapsedS) },
          { label: t("tasks.started"), value: <Time at={task.started_at} /> },
        ]}
      />
    </Panel>
  );
}
