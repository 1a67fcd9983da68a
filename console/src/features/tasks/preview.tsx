/** What three rows would look like: the prompt that is sent and what comes back. */
import { useTranslation } from "react-i18next";
import type { PreviewRow } from "@/api/tasks";
import { ContentView } from "@/shared/content/content-view";
import { formatScore } from "@/shared/format";
import { Panel, SkeletonRows } from "@/ui/blocks";
import { StateBadge } from "@/ui/state";

export function Preview({ rows, busy }: { rows: readonly PreviewRow[] | undefined; busy: boolean }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("tasks.form.previewTitle")} flush testId="preview">
      {busy ? (
        <>
          <p className="px-3 pt-3 text-soft text-sm" aria-live="polite">
            {t("tasks.form.previewing")}
          </p>
          <SkeletonRows rows={5} label={t("tasks.form.previewing")} />
        </>
      ) : !rows ? (
        <p className="px-3 py-4 text-faint text-sm">{t("tasks.form.previewEmpty")}</p>
      ) : (
        <ol className="divide-y">
          {rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a preview is shown once, in its order
            <li key={index} className="flex flex-col gap-2 p-3" data-testid="preview-row">
              <p className="flex flex-wrap items-center gap-2 text-sm">
                <StateBadge tone={row.status === "accepted" ? "done" : row.status === "failed" ? "failed" : "warn"}>
                  {t("tasks.score", { score: formatScore(row.final_score) })}
                </StateBadge>
                <span className="tnum text-faint text-xs">
                  {t("tasks.scores", { model: formatScore(row.model_score), rule: formatScore(row.rule_score) })}
                </span>
                {row.model ? <span className="font-mono text-faint text-xs">{row.model}</span> : null}
              </p>
              {row.output ? <ContentView content={row.output} /> : null}
              {row.reasons.length > 0 ? (
                <ul className="list-disc pl-5 text-soft text-xs">
                  {row.reasons.map((reason) => (
                    <li key={reason}>{reason}</li>
                  ))}
                </ul>
              ) : null}
              <details>
                <summary className="text-soft text-xs">{t("tasks.form.prompts")}</summary>
                <pre className="scroll-thin mt-1 max-h-80 overflow-auto whitespace-pre-wrap rounded-md bg-sunken p-2 font-mono text-xs leading-relaxed">
                  {row.prompt}
                </pre>
              </details>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
