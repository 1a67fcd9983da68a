/** Tasks at work, with live bars. */
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { TaskItem } from "@/api/tasks";
import { formatDuration, formatNumber } from "@/shared/format";
import { isLive, TaskBadge, TaskBar, useTypeTitle } from "@/shared/task-state";
import { Trouble } from "@/shared/trouble";
import { Panel } from "@/ui/blocks";

export function RunningTasks({
  tasks,
  error,
  onRetry,
}: {
  tasks: readonly TaskItem[] | undefined;
  error: unknown;
  onRetry: () => void;
}) {
  const { t } = useTranslation();
  const typeTitle = useTypeTitle();
  const running = tasks?.filter((task) => isLive(task.status)) ?? [];
  return (
    <Panel
      title={t("dashboard.running")}
      flush
      aside={
        <Link to="/tasks" className="text-accent-text text-xs hover:underline">
          {t("dashboard.allTasks")}
        </Link>
      }
    >
      {!tasks && error ? (
        <Trouble error={error} onRetry={onRetry} />
      ) : running.length === 0 ? (
        <p className="px-3 py-4 text-faint text-sm">{t("dashboard.noRunning")}</p>
      ) : (
        <ul className="divide-y">
          {running.map((task) => (
            <li key={task.task_id}>
              <Link
                to="/tasks/$taskId"
                params={{ taskId: task.task_id }}
                className="block px-3 py-2 -outline-offset-2 hover:bg-hover"
              >
                <span className="mb-1.5 flex flex-wrap items-center gap-2 text-sm">
                  <span className="font-medium">{typeTitle(task.task_type)}</span>
                  <TaskBadge status={task.status} pausedReason={task.paused_reason} />
                  <span className="tnum ml-auto text-soft text-xs">
                    {`${formatNumber(task.current)} / ${formatNumber(task.total)} · ${t("tasks.eta")} ${formatDuration(task.eta_s)}`}
                  </span>
                </span>
                <TaskBar split={task} />
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
