/** What is going on: calls, running tasks, channels, problems. An empty installation shows how to begin instead. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { channelsQuery } from "@/api/channels";
import { localModelsQuery } from "@/api/local-models";
import { filesQuery } from "@/api/samples";
import { modelsQuery, tasksQuery } from "@/api/tasks";
import { PERIODS, type Period, usageQuery } from "@/api/usage";
import { useLiveTasks } from "@/shared/live-tasks";
import { useMe } from "@/shared/me";
import { PageHead } from "@/shared/page-head";
import { isLive } from "@/shared/task-state";
import { oneOf, type Search, useUrlState } from "@/shared/url-state";
import { SkeletonRows } from "@/ui/blocks";
import { buttonClass } from "@/ui/button";
import { Select } from "@/ui/field";
import { ChannelStrip } from "./channel-strip";
import { Problems, problemsOf } from "./problems";
import { RunningTasks } from "./running-tasks";
import { Setup } from "./setup";
import { UsageOverview } from "./usage-overview";

const PERIOD_NAMES = Object.keys(PERIODS) as Period[];
const parse = (search: Search) => ({ period: oneOf(search.period, PERIOD_NAMES) });
const TASKS_MS = 2_000;
const CHANNELS_MS = 5_000;
const USAGE_MS = 15_000;

export function DashboardPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [url, setUrl] = useUrlState(parse);
  const period = url.period ?? "day";
  const pollMs = useLiveTasks();
  const tasks = useQuery({
    ...tasksQuery(),
    refetchInterval: (query) =>
      pollMs(query.state.data?.items.some((task) => isLive(task.status)) ? TASKS_MS : USAGE_MS),
  });
  const files = useQuery(filesQuery({ pageSize: 1 }));
  const models = useQuery({ ...modelsQuery, refetchInterval: CHANNELS_MS });
  const usage = useQuery({ ...usageQuery(period), refetchInterval: USAGE_MS });
  const channels = useQuery({ ...channelsQuery, refetchInterval: CHANNELS_MS, enabled: me.is_admin });
  const local = useQuery({ ...localModelsQuery, refetchInterval: CHANNELS_MS });

  const begun = (tasks.data?.items.length ?? 0) > 0 || (usage.data?.current.totals.requests ?? 0) > 0;
  const known = tasks.data !== undefined && files.data !== undefined && models.data !== undefined && !usage.isPending;
  const newTask = (
    <Link to="/tasks/new" className={buttonClass("primary")}>
      <Plus aria-hidden className="size-3.5" />
      {t("dashboard.newTask")}
    </Link>
  );
  if (!known && !tasks.error)
    return (
      <>
        <PageHead title={t("dashboard.title")} />
        <SkeletonRows label={t("state.loading")} />
      </>
    );
  if (!begun && !tasks.error)
    return (
      <>
        <PageHead title={t("dashboard.setupTitle")} hint={t("dashboard.setupSentence")} />
        <Setup
          modelCount={models.data?.length ?? 0}
          hasFiles={(files.data?.items.length ?? 0) > 0}
          local={local.data ?? []}
        />
      </>
    );
  return (
    <>
      <PageHead
        title={t("dashboard.title")}
        hint={t("dashboard.sentence")}
        actions={
          <>
            <Select
              aria-label={t("dashboard.period")}
              className="w-auto"
              value={period}
              onChange={(event) => setUrl({ period: oneOf(event.target.value, PERIOD_NAMES) })}
            >
              {PERIOD_NAMES.map((name) => (
                <option key={name} value={name}>
                  {t(`dashboard.periods.${name}`)}
                </option>
              ))}
            </Select>
            {newTask}
          </>
        }
      />
      <div className="flex flex-col gap-3">
        <UsageOverview usage={usage.data} error={usage.error} onRetry={() => void usage.refetch()} />
        <div className="grid gap-3 xl:grid-cols-2">
          <RunningTasks tasks={tasks.data?.items} error={tasks.error} onRetry={() => void tasks.refetch()} />
          <Problems problems={problemsOf(tasks.data?.items ?? [], channels.data ?? [], local.data ?? [])} />
        </div>
        {me.is_admin ? <ChannelStrip channels={channels.data} /> : null}
      </div>
    </>
  );
}
