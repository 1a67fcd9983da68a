/** Four figures with their curves, and one chart by the hour. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Usage } from "@/api/usage";
import { Line, Sparkline } from "@/shared/charts";
import { formatCompact, formatDateTime, formatMs, formatNumber, formatPercent } from "@/shared/format";
import { Trouble } from "@/shared/trouble";
import { Panel, SkeletonRows } from "@/ui/blocks";
import { cx } from "@/ui/cx";
import { Select } from "@/ui/field";
import { changeOf, errorRate, hourlyPoints, SERIES, type SeriesName } from "./usage-figures";

export interface UsageAnswer {
  current: Usage;
  before: Usage;
  from: number;
  to: number;
}

export function UsageOverview({
  usage,
  error,
  onRetry,
}: {
  usage: UsageAnswer | undefined;
  error: unknown;
  onRetry: () => void;
}) {
  const { t } = useTranslation();
  const [series, setSeries] = useState<SeriesName>("requests");
  if (!usage)
    return error ? <Trouble error={error} onRetry={onRetry} /> : <SkeletonRows rows={3} label={t("state.loading")} />;
  const { current, before } = usage;
  const now = current.totals;
  const then = before.totals;
  const points = (name: SeriesName) => hourlyPoints(current.series, usage.from, usage.to, name);
  return (
    <>
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Tile
          name={t("dashboard.tiles.requests")}
          value={formatNumber(now.requests)}
          change={changeOf(now.requests, then.requests)}
          curve={points("requests").map((point) => point.y)}
        />
        <Tile
          name={t("dashboard.tiles.tokens")}
          value={formatCompact(now.total_tokens)}
          change={changeOf(now.total_tokens, then.total_tokens)}
          curve={points("tokens").map((point) => point.y)}
        />
        <Tile
          name={t("dashboard.tiles.latency")}
          value={formatMs(now.latency_ms_avg)}
          change={changeOf(now.latency_ms_avg, then.latency_ms_avg)}
          curve={points("latency").map((point) => point.y)}
          lessIsBetter
        />
        <Tile
          name={t("dashboard.tiles.errors")}
          value={formatPercent(errorRate(now), 1)}
          change={changeOf(errorRate(now), errorRate(then))}
          curve={hourlyPoints(current.series, usage.from, usage.to, "errors").map((point) => point.y)}
          bad={(errorRate(now) ?? 0) > 0.05}
          lessIsBetter
        />
      </div>
      <Panel
        title={t("dashboard.chart")}
        aside={
          <Select
            aria-label={t("dashboard.seriesLabel")}
            className="h-7 w-auto text-xs"
            value={series}
            onChange={(event) => setSeries(SERIES.find((name) => name === event.target.value) ?? "requests")}
          >
            {SERIES.map((name) => (
              <option key={name} value={name}>
                {t(`dashboard.series.${name}`)}
              </option>
            ))}
          </Select>
        }
      >
        {now.requests === 0 ? (
          <p className="text-faint text-sm">{t("dashboard.noCalls")}</p>
        ) : (
          <Line
            label={t(`dashboard.series.${series}`)}
            points={points(series)}
            unit={t(`dashboard.units.${series}`)}
            describe={(x) => formatDateTime(new Date(x).toISOString())}
          />
        )}
      </Panel>
    </>
  );
}

interface TileProps {
  name: string;
  value: string;
  change: number | null;
  curve: number[];
  lessIsBetter?: boolean;
  bad?: boolean;
}

function Tile({ name, value, change, curve, lessIsBetter, bad }: TileProps) {
  const { t } = useTranslation();
  const worse = change !== null && lessIsBetter === true && change > 0.1;
  return (
    <section aria-label={name} className="min-w-0 rounded-md border bg-panel px-3 pt-2.5 pb-2">
      <p className="text-soft text-xs">{name}</p>
      <div className="flex items-end justify-between gap-2">
        <p className={cx("tnum whitespace-nowrap font-semibold text-xl sm:text-2xl", bad && "text-failed")}>{value}</p>
        <Sparkline
          values={curve}
          className={cx("mb-1 h-7 w-14 min-w-0 sm:w-28", bad ? "text-failed-bar" : "text-running-bar")}
        />
      </div>
      <p className={cx("tnum text-xs", worse ? "text-warn" : "text-faint")}>
        {change === null
          ? t("dashboard.noBefore")
          : t("dashboard.versus", { change: `${change > 0 ? "+" : ""}${formatPercent(change)}` })}
      </p>
    </section>
  );
}
