/** The rows accepted a moment ago, newest first. */
import { useTranslation } from "react-i18next";
import type { RowEvent } from "@/api/progress";
import { ContentView } from "@/shared/content/content-view";
import { formatScore } from "@/shared/format";
import { isRowStatus, ROW_TONES, ROW_WORDS } from "@/shared/row-state";
import { oneLine, parsedContent } from "@/shared/row-text";
import { StateBadge } from "@/ui/state";

export function RowStream({ rows }: { rows: readonly RowEvent[] }) {
  const { t } = useTranslation();
  if (rows.length === 0) return <p className="px-3 py-4 text-faint text-sm">{t("tasks.noRows")}</p>;
  return (
    <ol className="scroll-thin h-80 divide-y overflow-y-auto text-sm" tabIndex={0} aria-label={t("tasks.rowsTitle")}>
      {rows.map((row) => (
        <li key={row.id} data-testid="live-row">
          <details>
            <summary className="flex min-h-9 list-none items-center gap-2 px-3 py-1 hover:bg-hover">
              <span
                className="tnum w-9 shrink-0 text-right font-medium"
                title={t("tasks.scores", { model: formatScore(row.model_score), rule: formatScore(row.rule_score) })}
              >
                {formatScore(row.final_score)}
              </span>
              <span className="min-w-0 flex-1 truncate text-soft">{oneLine(row.preview)}</span>
              {row.status !== "accepted" && isRowStatus(row.status) ? (
                <StateBadge tone={ROW_TONES[row.status]}>{t(ROW_WORDS[row.status])}</StateBadge>
              ) : null}
            </summary>
            <div className="bg-sunken px-3 py-2">
              <ContentView content={parsedContent(row.preview)} />
            </div>
          </details>
        </li>
      ))}
    </ol>
  );
}
