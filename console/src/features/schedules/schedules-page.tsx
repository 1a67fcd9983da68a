/** Schedules: when each fires next, what it made last, and everything that can be done with it. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { CalendarClock, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { type Schedule, schedulesQuery } from "@/api/schedules";
import { formatRelative } from "@/shared/format";
import { useHotkeys } from "@/shared/hotkeys";
import { JobLink } from "@/shared/job-state";
import { useMe } from "@/shared/me";
import { PageHead } from "@/shared/page-head";
import { SearchBox } from "@/shared/search-box";
import { type Column, Table } from "@/shared/table";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { type Search, textOf, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { StateBadge } from "@/ui/state";
import { START } from "./schedule-form";
import { ScheduleMenu } from "./schedule-menu";
import { ScheduleSheet } from "./schedule-sheet";
import { isOver } from "./timing";
import { useZoned } from "./zoned";

const REFRESH_MS = 3_000;
const NEW = "new";
const parse = (search: Search) => ({ q: textOf(search.q) ?? "", open: textOf(search.open) });

export function SchedulesPage() {
  const { t } = useTranslation();
  const me = useMe();
  const all = me.is_admin;
  const [{ q, open }, setUrl] = useUrlState(parse);
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    ...schedulesQuery(all),
    refetchInterval: REFRESH_MS,
  });
  const schedules = data?.pages.flatMap((page) => page.items);
  const wanted = q.toLowerCase();
  const rows = schedules?.filter((one) => `${one.name} ${one.type}`.toLowerCase().includes(wanted));
  const columns = useColumns(all);
  const show = (id: string | undefined) => setUrl({ open: id }, { push: id !== undefined });
  useHotkeys({ n: () => show(NEW) });
  const add = (
    <Button
      look="primary"
      icon={<Plus aria-hidden className="size-3.5" />}
      hotkey="n"
      onClick={() => show(NEW)}
      data-testid="schedule-add"
    >
      {t("schedules.new")}
    </Button>
  );
  const opened = schedules?.find((one) => one.id === open);
  return (
    <>
      <PageHead
        title={t("schedules.title")}
        hint={all ? t("schedules.sentenceAll") : t("schedules.sentence")}
        actions={add}
      />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="schedules"
          label={t("schedules.title")}
          rowTestId="schedule"
          columns={columns}
          rows={rows}
          rowKey={(schedule) => schedule.id}
          onOpen={(schedule) => show(schedule.id)}
          filters={<SearchBox label={t("act.search")} value={q} onChange={(next) => setUrl({ q: next })} />}
          empty={
            q !== "" ? (
              <Empty
                title={t("table.noMatch")}
                action={<Button onClick={() => setUrl({ q: "" })}>{t("table.clearFilters")}</Button>}
              />
            ) : (
              <Empty icon={<CalendarClock aria-hidden />} title={t("schedules.emptyTitle")} action={add}>
                {t("schedules.emptyBody")}
              </Empty>
            )
          }
          footer={
            hasNextPage ? (
              <Button small look="quiet" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                {t("table.next")}
              </Button>
            ) : undefined
          }
        />
      )}
      {open === NEW || opened ? (
        <ScheduleSheet key={open} schedule={opened} all={all} onClose={() => show(undefined)} />
      ) : null}
    </>
  );
}

function useColumns(all: boolean): Column<Schedule>[] {
  const { t } = useTranslation();
  const zoned = useZoned();
  const owner: Column<Schedule> = {
    id: "owner",
    head: t("schedules.owner"),
    from: "lg",
    text: (schedule) => schedule.user_id,
    cell: (schedule) => (
      <span className="tnum whitespace-nowrap text-soft">
        {schedule.user_id === null ? t("schedules.system") : `#${schedule.user_id}`}
      </span>
    ),
  };
  return [
    {
      id: "state",
      head: t("schedules.state"),
      fixed: true,
      text: (schedule) => (schedule.enabled ? "on" : "off"),
      cell: (schedule) => <ScheduleBadge schedule={schedule} />,
    },
    {
      id: "name",
      head: t("schedules.name"),
      fixed: true,
      text: (schedule) => schedule.name,
      cell: (schedule) => <span className="line-clamp-2 min-w-28 font-medium">{schedule.name}</span>,
    },
    {
      id: "type",
      head: t("schedules.type"),
      from: "md",
      text: (schedule) => schedule.type,
      cell: (schedule) => (
        <span className="whitespace-nowrap" title={schedule.type}>
          {schedule.type === START ? t("schedules.types.start") : schedule.type}
        </span>
      ),
    },
    ...(all ? [owner] : []),
    {
      id: "timing",
      head: t("schedules.timing"),
      from: "lg",
      text: (schedule) => schedule.cron ?? schedule.run_at,
      cell: (schedule) =>
        schedule.cron === null ? (
          <span className="text-soft">{t("schedules.once", { when: zoned(schedule.run_at, schedule.timezone) })}</span>
        ) : (
          <span className="whitespace-nowrap font-mono text-xs">{schedule.cron}</span>
        ),
    },
    {
      id: "next",
      head: t("schedules.next"),
      text: (schedule) => schedule.next_run_at,
      cell: (schedule) =>
        schedule.next_run_at === null ? (
          <span className="text-faint">–</span>
        ) : (
          <span className="block" data-testid="schedule-next">
            <span className="block whitespace-nowrap">{formatRelative(schedule.next_run_at)}</span>
            <span className="tnum block text-faint text-xs sm:whitespace-nowrap">
              {zoned(schedule.next_run_at, schedule.timezone)}
              <span className="max-sm:hidden">{t("schedules.inZone", { zone: schedule.timezone })}</span>
            </span>
          </span>
        ),
    },
    {
      id: "last",
      head: t("schedules.last"),
      from: "sm",
      text: (schedule) => schedule.last_job_id,
      cell: (schedule) =>
        schedule.last_job_id === null ? (
          <span className="text-faint">{t("schedules.never")}</span>
        ) : (
          <span className="block whitespace-nowrap">
            <JobLink id={schedule.last_job_id} />
            <span className="block text-faint text-xs">
              <Time at={schedule.last_run_at} />
            </span>
          </span>
        ),
    },
    {
      id: "actions",
      head: "",
      fixed: true,
      right: true,
      className: "w-10",
      cell: (schedule) => <ScheduleMenu schedule={schedule} all={all} />,
    },
  ];
}

function ScheduleBadge({ schedule }: { schedule: Schedule }) {
  const { t } = useTranslation();
  if (isOver(schedule, Date.now()))
    return (
      <StateBadge tone="idle" title={t("schedules.overHint")}>
        {t("schedules.over")}
      </StateBadge>
    );
  return schedule.enabled ? (
    <StateBadge tone="done" testId="schedule-state">
      {t("schedules.on")}
    </StateBadge>
  ) : (
    <StateBadge tone="idle" testId="schedule-state">
      {t("schedules.off")}
    </StateBadge>
  );
}
