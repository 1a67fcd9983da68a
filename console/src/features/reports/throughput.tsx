/** Rows a minute over the task's life. */
import { useTranslation } from "react-i18next";
import type { Report } from "@/api/reports";
import { Line } from "@/shared/charts";
import { formatDateTime } from "@/shared/format";
import { Panel } from "@/ui/blocks";

export function Throughput({ slots }: { slots: Report["throughput"] }) {
  const { t } = useTranslation();
  const points = slots
    .filter((slot) => slot.seconds > 0)
    .map((slot) => ({ x: Date.parse(slot.at), y: (slot.rows / slot.seconds) * 60 }));
  return (
    <Panel title={t("reports.throughput")}>
      {points.length < 2 ? (
        <p className="text-faint text-sm">{t("reports.noThroughput")}</p>
      ) : (
        <Line
          label={t("reports.throughput")}
          points={points}
          unit={t("reports.perMinute")}
          describe={(x) => formatDateTime(new Date(x).toISOString())}
        />
      )}
    </Panel>
  );
}
