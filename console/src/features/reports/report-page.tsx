/** One task's report. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronLeft, Download, ExternalLink } from "lucide-react";
import { useTranslation } from "react-i18next";
import { type Report, reportDownloadUrl, reportQuery } from "@/api/reports";
import { Rows } from "@/shared/charts";
import { ContentView } from "@/shared/content/content-view";
import { formatCredits, formatDuration, formatNumber, formatPercent, formatScore } from "@/shared/format";
import { PageHead } from "@/shared/page-head";
import { oneLine, parsedContent } from "@/shared/row-text";
import { isLive, TaskBadge, TaskBar, useTypeTitle } from "@/shared/task-state";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { usePathPart } from "@/shared/url-state";
import { Facts, Panel, SkeletonRows } from "@/ui/blocks";
import { Button, buttonClass } from "@/ui/button";
import { Menu, MenuItem } from "@/ui/menu";
import { GroupTable } from "./group-table";
import { Histogram } from "./histogram";
import { Throughput } from "./throughput";

const FORMATS = ["json", "csv", "md", "rows"] as const;
const REFRESH_MS = 5_000;

export function ReportPage() {
  const { t } = useTranslation();
  const taskId = usePathPart("taskId");
  const typeTitle = useTypeTitle();
  const {
    data: report,
    error,
    refetch,
  } = useQuery({
    ...reportQuery(taskId),
    refetchInterval: (query) => (query.state.data && isLive(query.state.data.status) ? REFRESH_MS : false),
  });
  if (error && !report) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (!report) return <SkeletonRows label={t("state.loading")} />;
  return (
    <>
      <PageHead
        title={typeTitle(report.task_type)}
        above={
          <Link to="/reports" className="mb-1 inline-flex items-center gap-0.5 text-soft text-xs hover:text-text">
            <ChevronLeft aria-hidden className="size-3.5" />
            {t("reports.back")}
          </Link>
        }
        hint={
          <span className="flex flex-wrap items-center gap-2">
            <TaskBadge status={report.status} />
            <span className="font-mono text-xs">{report.task_id}</span>
            <span className="font-mono text-faint text-xs">{report.models.join(", ")}</span>
          </span>
        }
        actions={
          <>
            <Link to="/tasks/$taskId" params={{ taskId }} className={buttonClass("plain")}>
              <ExternalLink aria-hidden className="size-3.5" />
              {t("reports.openTask")}
            </Link>
            <Menu
              trigger={
                <Button
                  look="primary"
                  icon={<Download aria-hidden className="size-3.5" />}
                  data-testid="report-download"
                >
                  {t("reports.download")}
                </Button>
              }
            >
              {FORMATS.map((format) => (
                <MenuItem key={format} href={reportDownloadUrl(taskId, format)} download>
                  {t(`reports.formats.${format}`)}
                </MenuItem>
              ))}
            </Menu>
          </>
        }
      />
      <div className="flex flex-col gap-3">
        <Outcome report={report} />
        <div className="grid gap-3 xl:grid-cols-2">
          <Histogram report={report} />
          <Throughput slots={report.throughput} />
        </div>
        <GroupTable
          title={t("reports.services")}
          groups={report.services}
          nameOf={(group) => [group.channel, group.model].filter(Boolean).join(" · ")}
        />
        <div className="grid gap-3 xl:grid-cols-2">
          <GroupTable
            title={t("reports.directions")}
            groups={report.directions}
            nameOf={(group) => group.direction ?? t("reports.none")}
          />
          <GroupTable
            title={t("reports.attempts")}
            groups={report.attempts}
            nameOf={(group) => t("reports.attemptsN", { n: group.attempts ?? 1 })}
          />
        </div>
        <div className="grid gap-3 xl:grid-cols-2">
          <Panel
            title={t("reports.reasons")}
            aside={
              <span className="tnum text-faint text-xs">
                {t("reports.reasonsHint", { count: report.attempts_seen })}
              </span>
            }
          >
            <Reasons reasons={report.reasons} tone="warn" />
          </Panel>
          {report.failures.length > 0 ? (
            <Panel title={t("reports.failures")}>
              <Reasons reasons={report.failures} tone="failed" />
            </Panel>
          ) : null}
        </div>
        {report.samples.length > 0 ? <Samples report={report} /> : null}
      </div>
    </>
  );
}

function Outcome({ report }: { report: Report }) {
  const { t } = useTranslation();
  const { counts, tokens } = report;
  return (
    <Panel testId="report-outcome">
      <div className="mb-2 flex flex-wrap items-baseline gap-x-4 gap-y-1">
        <span className="tnum font-semibold text-2xl">{formatPercent(counts.acceptance, 1)}</span>
        <span className="text-soft text-sm">
          {t("reports.acceptance")} ·{" "}
          <span className="tnum">{`${formatNumber(counts.accepted)} / ${formatNumber(counts.total)}`}</span>
        </span>
      </div>
      <TaskBar split={counts} tall />
      {report.error_message ? (
        <p className="mt-2 text-failed text-sm">
          {t("reports.errorTitle")}: {report.error_message}
        </p>
      ) : null}
      <Facts
        className="mt-3"
        items={[
          { label: t("reports.accepted"), value: formatNumber(counts.accepted) },
          { label: t("reports.below"), value: formatNumber(counts.below_threshold) },
          { label: t("reports.needsReview"), value: formatNumber(counts.needs_review) },
          { label: t("reports.rejected"), value: formatNumber(counts.rejected) },
          { label: t("reports.failed"), value: formatNumber(counts.failed) },
          { label: t("reports.retried"), value: formatNumber(counts.retried) },
          { label: t("reports.confirmed"), value: formatNumber(counts.confirmed) },
          { label: t("reports.duplicates"), value: formatNumber(report.duplicates) },
          { label: t("reports.seconds"), value: formatDuration(report.seconds) },
          { label: t("reports.rate"), value: t("reports.rowsPerS", { rate: formatNumber(report.rows_per_s, 2) }) },
          { label: t("reports.tokens"), value: `${formatNumber(tokens.input)} / ${formatNumber(tokens.output)}` },
          { label: t("reports.tokensPerAccepted"), value: formatNumber(tokens.per_accepted) },
          { label: t("reports.wasted"), value: formatPercent(tokens.wasted_share) },
          { label: t("reports.cost"), value: formatCredits(Number(report.cost)) },
          {
            label: t("reports.costPerAccepted"),
            value: report.cost_per_accepted === null ? "–" : formatCredits(Number(report.cost_per_accepted)),
          },
          { label: t("reports.started"), value: <Time at={report.started_at} /> },
        ]}
      />
    </Panel>
  );
}

function Reasons({ reasons, tone }: { reasons: Report["reasons"]; tone: "warn" | "failed" }) {
  const { t } = useTranslation();
  if (reasons.length === 0) return <p className="text-faint text-sm">{t("reports.noReasons")}</p>;
  return (
    <Rows
      label={t("reports.reasons")}
      bars={reasons.map((reason) => ({
        id: reason.code,
        label: reason.reason || reason.code,
        value: reason.count,
        tone,
      }))}
    />
  );
}

function Samples({ report }: { report: Report }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("reports.samples")} flush>
      <ol className="divide-y text-sm">
        {report.samples.map((sample) => (
          <li key={sample.id}>
            <details>
              <summary className="flex min-h-9 list-none items-center gap-2 px-3 py-1 hover:bg-hover">
                <span className="tnum w-9 shrink-0 text-right font-medium" title={t("reports.finalScore")}>
                  {formatScore(sample.final_score)}
                </span>
                <span className="min-w-0 flex-1 truncate text-soft">{oneLine(sample.data)}</span>
              </summary>
              <div className="bg-sunken px-3 py-2">
                <ContentView content={parsedContent(sample.data)} />
              </div>
            </details>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
