/** The list of reports. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ScrollText } from "lucide-react";
import { useTranslation } from "react-i18next";
import { type ReportItem, reportsQuery } from "@/api/reports";
import { formatCredits, formatNumber, formatPercent } from "@/shared/format";
import { PageHead } from "@/shared/page-head";
import { type Column, Pager, Table } from "@/shared/table";
import { TaskBadge, useTypeTitle } from "@/shared/task-state";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { pageOf, type Search, useUrlState } from "@/shared/url-state";
import { Empty } from "@/ui/blocks";
import { buttonClass } from "@/ui/button";

const PAGE_SIZE = 50;
const parse = (search: Search) => ({ page: pageOf(search.page) });

export function ReportsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [{ page }, setUrl] = useUrlState(parse);
  const { data, error, refetch } = useQuery(reportsQuery(page));
  const columns = useColumns();
  return (
    <>
      <PageHead title={t("reports.title")} hint={t("reports.sentence")} />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : (
        <Table
          name="reports"
          label={t("reports.title")}
          rowTestId="report"
          columns={columns}
          rows={data?.items}
          rowKey={(report) => report.task_id}
          onOpen={(report) => void navigate({ to: "/reports/$taskId", params: { taskId: report.task_id } })}
          empty={
            <Empty
              icon={<ScrollText aria-hidden />}
              title={t("reports.emptyTitle")}
              action={
                <Link to="/tasks" className={buttonClass("primary")}>
                  {t("reports.toTasks")}
                </Link>
              }
            >
              {t("reports.emptyBody")}
            </Empty>
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

function useColumns(): Column<ReportItem>[] {
  const { t } = useTranslation();
  const typeTitle = useTypeTitle();
  return [
    {
      id: "task",
      head: t("reports.task"),
      fixed: true,
      text: (report) => report.task_id,
      cell: (report) => (
        <Link
          to="/reports/$taskId"
          params={{ taskId: report.task_id }}
          tabIndex={-1}
          className="font-mono text-xs hover:underline"
        >
          {report.task_id}
        </Link>
      ),
    },
    {
      id: "type",
      head: t("reports.type"),
      from: "sm",
      text: (report) => report.task_type,
      cell: (report) => <span className="whitespace-nowrap">{typeTitle(report.task_type)}</span>,
    },
    {
      id: "status",
      head: t("reports.status"),
      text: (report) => report.status,
      cell: (report) => <TaskBadge status={report.status} />,
    },
    {
      id: "rows",
      head: t("reports.rows"),
      right: true,
      from: "md",
      text: (report) => report.counts.rows,
      cell: (report) => formatNumber(report.counts.rows),
    },
    {
      id: "accepted",
      head: t("reports.accepted"),
      right: true,
      text: (report) => report.counts.accepted,
      cell: (report) => formatNumber(report.counts.accepted),
    },
    {
      id: "acceptance",
      head: t("reports.acceptance"),
      right: true,
      from: "sm",
      text: (report) => report.counts.acceptance,
      cell: (report) => formatPercent(report.counts.acceptance),
    },
    {
      id: "tokens",
      head: t("reports.tokens"),
      right: true,
      from: "lg",
      text: (report) => report.input_tokens + report.output_tokens,
      cell: (report) => formatNumber(report.input_tokens + report.output_tokens),
    },
    {
      id: "cost",
      head: t("reports.cost"),
      right: true,
      from: "lg",
      text: (report) => report.cost,
      cell: (report) => formatCredits(Number(report.cost)),
    },
    {
      id: "started",
      head: t("reports.started"),
      from: "md",
      text: (report) => report.started_at,
      cell: (report) => <Time at={report.started_at} />,
    },
  ];
}
