/** How the scores are spread, with the line that accepted rows had to reach. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Report } from "@/api/reports";
import { Columns } from "@/shared/charts";
import { Panel } from "@/ui/blocks";
import { Select } from "@/ui/field";

const WHICH = ["final", "model", "rule"] as const;
type Which = (typeof WHICH)[number];

export function Histogram({ report }: { report: Report }) {
  const { t } = useTranslation();
  const [which, setWhich] = useState<Which>("final");
  const bins = report.histograms[which];
  const threshold = which === "final" ? report.min_score : null;
  const first = bins[0]?.low ?? 0;
  const span = (bins[bins.length - 1]?.high ?? 0) - first;
  // In steps of the axis, so that a line between two bins stands between them.
  const mark = threshold !== null && span > 0 ? ((threshold - first) / span) * bins.length : undefined;
  return (
    <Panel
      title={t("reports.histograms")}
      aside={
        <Select
          aria-label={t("reports.whichLabel")}
          className="h-7 w-auto text-xs"
          value={which}
          onChange={(event) => setWhich(WHICH.find((word) => word === event.target.value) ?? "final")}
        >
          {WHICH.map((word) => (
            <option key={word} value={word}>
              {t(`reports.which.${word}`)}
            </option>
          ))}
        </Select>
      }
    >
      {bins.some((bin) => bin.count > 0) ? (
        <Columns
          label={t("reports.histograms")}
          bars={bins.map((bin) => ({
            id: String(bin.low),
            label: `${bin.low}–${bin.high}`,
            value: bin.count,
            tone: threshold !== null && bin.low < threshold ? "warn" : "done",
          }))}
          mark={mark}
          markLabel={threshold === null ? undefined : t("reports.threshold", { score: threshold })}
        />
      ) : (
        <p className="text-faint text-sm">{t("reports.noScores")}</p>
      )}
    </Panel>
  );
}
