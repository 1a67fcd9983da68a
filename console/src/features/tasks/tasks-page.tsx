/** The list of tasks. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus, Trash2, Waves } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { deleteTask, type TaskItem, tasksQuery } from "@/api/tasks";
import { useConfirm } from "@/shared/confirm";
import { formatCredits, formatNumber } from "@/shared/format";
import { useLiveTasks } from "@/shared/live-tasks";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { type Column, Pager, Table } from "@/shared/table";
import { isLive, TaskBadge, TaskBar, useTypeTitle } from "@/shared/task-state";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { oneOf, pageOf, type Search, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button, buttonClass } from "@/ui/button";
import { Select } from "@/ui/field";

const PAGE_SIZE = 50;
const REFRESH_MS = 2_000;
const STATES = ["pending", "running", "finished", "failed", "stopped"] as const;
const parse = (search: Search) => ({ page: pageOf(search.page), status: oneOf(search.status, STATES) });

export function TasksPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const confirm = useConfirm();
  const [{ page, status }, setUrl] = useUrlState(parse);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const pollMs = useLiveTasks();
  const { data, error, refetch } = useQuery({
    ...tasksQuery({ page, status }),
    refetchInterval: (query) =>
      pollMs(query.state.data?.items.some((task) => isLive(task.status)) ? REFRESH_MS : false),
  });
  const columns = useColumns();
  const remove = useWrite({
    run: async (ids: string[]) => {
      for (const id of ids) await deleteTask(id);
    },
    refresh: [["tasks"], ["rows"], ["reports"]],
    done: t("tasks.deleted"),
    onDone: () => setPicked(new Set()),
  });
  const askRemoval = async () => {
    const ids = [...picked];
    const yes = await confirm({
      title: t("tasks.deleteMany", { count: ids.length }),
      body: t("tasks.deleteManyBody"),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate(ids);
  };
  const newTask = (
    <Link to="/tasks/new" className={buttonClass("primary")} data-testid="new-task">
      <Plus aria-hidden className="size-3.5" />
      {t("tasks.new")}
    </Link>
  );

  return (
    <>
      <PageHead title={t("tasks.title")} hint={t("tasks.sentence")} actions={newTask} />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="tasks"
          label={t("tasks.title")}
          rowTestId="task"
          columns={columns}
          rows={data?.items}
          rowKey={(task) => task.task_id}
          onOpen={(task) => void navigate({ to: "/tasks/$taskId", params: { taskId: task.task_id } })}
          filters={
            <Select
              aria-label={t("tasks.statusLabel")}
              className="w-40"
              value={status ?? ""}
              onChange={(event) => setUrl({ status: oneOf(event.target.value, STATES), page: undefined })}
            >
              <option value="">{`${t("tasks.statusLabel")}: ${t("state.all")}`}</option>
              {STATES.map((state) => (
                <option key={state} value={state}>
                  {t(`tasks.status.${state}`)}
                </option>
              ))}
            </Select>
          }
          selection={{
            keys: picked,
            onChange: setPicked,
            actions: (
              <Button
                small
                icon={<Trash2 aria-hidden className="size-3.5" />}
                busy={remove.isPending}
                onClick={() => void askRemoval()}
              >
                {t("act.delete")}
              </Button>
            ),
          }}
          empty={
            status ? (
              <Empty
                title={t("table.noMatch")}
                action={<Button onClick={() => setUrl({ status: undefined })}>{t("table.clearFilters")}</Button>}
              />
            ) : (
              <Empty icon={<Waves aria-hidden />} title={t("tasks.emptyTitle")} action={newTask}>
                {t("tasks.emptyBody")}
              </Empty>
            )
          }
          footer={
            <Pager
              page={page}
              pageSize={PAGE_SIZE}
              total={data?.total ?? null}
              onPage={(next) => setUrl({ page: next }, { push: true })}
            />
          }
        />
      )}
    </>
  );
}

function useColumns(): Column<TaskItem>[] {
  const { t } = useTranslation();
  const typeTitle = useTypeTitle();
  return [
    {
      id: "task",
      head: t("tasks.task"),
      fixed: true,
      text: (task) => task.task_id,
      cell: (task) => (
        <Link
          to="/tasks/$taskId"
          params={{ taskId: task.task_id }}
          tabIndex={-1}
          className="font-mono text-xs hover:underline"
        >
          {task.task_id}
        </Link>
      ),
    },
    {
      id: "type",
      head: t("tasks.type"),
      from: "sm",
      text: (task) => task.task_type,
      cell: (task) => <span className="whitespace-nowrap">{typeTitle(task.task_type)}</span>,
    },
    {
      id: "status",
      head: t("tasks.statusLabel"),
      fixed: true,
      text: (task) => task.status,
      cell: (task) => <TaskBadge status={task.status} pausedReason={task.paused_reason} />,
    },
    {
      id: "progress",
      head: t("tasks.progress"),
      className: "min-w-36",
      text: (task) => `${task.current}/${task.total}`,
      cell: (task) => (
        <span className="flex items-center gap-2">
          <TaskBar split={task} />
          <span className="tnum w-20 shrink-0 text-right text-soft text-xs">
            {formatNumber(task.current)} / {formatNumber(task.total)}
          </span>
        </span>
      ),
    },
    {
      id: "accepted",
      head: t("tasks.accepted"),
      right: true,
      from: "md",
      text: (task) => task.accepted,
      cell: (task) => formatNumber(task.accepted),
    },
    {
      id: "model",
      head: t("tasks.model"),
      from: "lg",
      text: (task) => task.model,
      cell: (task) => (
        <span className="line-clamp-1 max-w-48 text-soft" title={task.model ?? undefined}>
          {task.model || t("tasks.allModels")}
        </span>
      ),
    },
    {
      id: "cost",
      head: t("tasks.cost"),
      right: true,
      from: "lg",
      text: (task) => task.cost,
      cell: (task) => formatCredits(task.cost),
    },
    {
      id: "started",
      head: t("tasks.started"),
      from: "md",
      text: (task) => task.started_at,
      cell: (task) => <Time at={task.started_at} />,
    },
  ];
}
