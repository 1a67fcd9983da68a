/** The row under the eyes: what was generated, from which sample, how it scored and why, where it came from. */
import { useTranslation } from "react-i18next";
import type { GeneratedRow } from "@/api/review";
import { ContentView } from "@/shared/content/content-view";
import { formatMs, formatNumber, formatScore } from "@/shared/format";
import { ROW_TONES, ROW_WORDS } from "@/shared/row-state";
import { parsedContent } from "@/shared/row-text";
import { Facts, Panel } from "@/ui/blocks";
import { StateBadge } from "@/ui/state";
import { type Attempt, type Lineage, readLineage } from "./lineage";
import { RowEditor } from "./row-editor";

export interface RowDetailProps {
  row: GeneratedRow;
  editing: boolean;
  onEditing: (editing: boolean) => void;
  onEdited: (before: GeneratedRow, after: GeneratedRow) => void;
  onConflict: () => void;
}

export function RowDetail({ row, editing, onEditing, onEdited, onConflict }: RowDetailProps) {
  const { t } = useTranslation();
  const lineage = readLineage(row.lineage);
  return (
    <div
      className="grid min-w-0 content-start gap-3 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]"
      data-testid="review-detail"
      data-row-id={row.id}
    >
      <div className="flex min-w-0 flex-col gap-3">
        <Panel
          title={t("review.output")}
          aside={
            <span className="flex items-center gap-2">
              {row.is_confirmed ? <StateBadge tone="done">{t("review.confirmed")}</StateBadge> : null}
              <StateBadge tone={ROW_TONES[row.status]} testId="review-status">
                {t(ROW_WORDS[row.status])}
              </StateBadge>
              <span className="tnum font-mono text-faint text-xs">#{row.id}</span>
            </span>
          }
        >
          {editing ? (
            <RowEditor
              key={`${row.id}/${row.row_version}`}
              row={row}
              onClose={() => onEditing(false)}
              onSaved={(saved) => {
                onEditing(false);
                onEdited(row, saved);
              }}
              onConflict={onConflict}
            />
          ) : (
            <ContentView content={parsedContent(row.data_content)} />
          )}
        </Panel>
        {row.review_note ? (
          <p className="rounded-md border bg-panel px-3 py-2 text-soft text-sm">{row.review_note}</p>
        ) : null}
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        <Scores row={row} lineage={lineage} />
        <Panel
          title={lineage.sample ? t("review.sample", { index: lineage.sample.index ?? "?" }) : t("review.noSample")}
        >
          {lineage.sample ? (
            <ContentView content={lineage.sample.data} quiet />
          ) : (
            <p className="text-faint text-sm">{t("review.noSample")}</p>
          )}
        </Panel>
        <LineageFold row={row} lineage={lineage} />
      </div>
    </div>
  );
}

function Scores({ row, lineage }: { row: GeneratedRow; lineage: Lineage }) {
  const { t } = useTranslation();
  const kept = keptAttempt(lineage.attempts, row.final_score);
  return (
    <Panel title={t("review.scores")}>
      <div className="flex flex-wrap items-baseline gap-x-5 gap-y-1">
        <Score label={t("review.final")} value={row.final_score} large />
        <Score label={t("review.model")} value={row.model_score} none={t("review.noJudge")} />
        <Score label={t("review.rule")} value={row.rule_score_exact ?? row.rule_score} />
      </div>
      {kept ? (
        <div className="mt-3 flex flex-col gap-3 border-t pt-3 text-sm">
          <Figures title={t("review.criteria")} figures={kept.criteria} top={10} />
          <Figures title={t("review.checks")} figures={kept.checks} top={1} />
          {kept.reasons.length > 0 ? (
            <div>
              <h3 className="mb-1 text-faint text-xs">{t("review.reasons")}</h3>
              <ul className="list-disc pl-4 text-soft">
                {kept.reasons.map((reason) => (
                  <li key={reason}>{reason}</li>
                ))}
              </ul>
            </div>
          ) : null}
        </div>
      ) : null}
    </Panel>
  );
}

/** The attempt whose answer was kept: the one with the row's score, else the last that gave one. */
export function keptAttempt(attempts: readonly Attempt[], finalScore: number | null): Attempt | undefined {
  return (
    attempts.find((attempt) => attempt.problem === null && attempt.final === finalScore) ??
    attempts.findLast((attempt) => attempt.problem === null)
  );
}

function Score({ label, value, large, none }: { label: string; value: number | null; large?: boolean; none?: string }) {
  return (
    <span className="whitespace-nowrap">
      <span className="text-faint text-xs">{label} </span>
      {value === null && none ? (
        <span className="text-faint text-sm">{none}</span>
      ) : (
        <span className={large ? "tnum font-semibold text-2xl" : "tnum font-medium text-lg"}>{formatScore(value)}</span>
      )}
    </span>
  );
}

function Figures({ title, figures, top }: { title: string; figures: readonly [string, number][]; top: number }) {
  if (figures.length === 0) return null;
  return (
    <div>
      <h3 className="mb-1 text-faint text-xs">{title}</h3>
      <ul className="grid gap-x-4 gap-y-1 sm:grid-cols-2 xl:grid-cols-1">
        {figures.map(([name, value]) => (
          <li key={name} className="grid grid-cols-[1fr_4rem_2.25rem] items-center gap-2">
            <span className="truncate text-soft" title={name}>
              {name}
            </span>
            <span className="h-1 overflow-hidden rounded-sm bg-idle-soft">
              <span
                className="block h-full bg-running-bar"
                style={{ width: `${Math.max(0, Math.min(1, value / top)) * 100}%` }}
              />
            </span>
            <span className="tnum text-right text-xs">{formatScore(value)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function LineageFold({ row, lineage }: { row: GeneratedRow; lineage: Lineage }) {
  const { t } = useTranslation();
  const facts = [
    { label: t("review.direction"), value: row.direction ?? lineage.direction },
    { label: t("review.round"), value: lineage.round === null ? null : formatNumber(lineage.round + 1) },
    { label: t("review.variant"), value: lineage.variant === null ? null : formatNumber(lineage.variant + 1) },
    { label: t("review.persona"), value: lineage.persona },
    { label: t("review.style"), value: lineage.style },
    { label: t("review.model"), value: row.generation_model },
    { label: t("review.channel"), value: row.channel ?? lineage.channel },
    { label: t("review.promptVersion"), value: lineage.promptVersion },
    { label: t("review.latency"), value: lineage.latencyMs === null ? null : formatMs(lineage.latencyMs) },
    { label: t("review.tokens"), value: `${formatNumber(row.input_tokens)} / ${formatNumber(row.output_tokens)}` },
  ].filter((fact): fact is { label: string; value: string } => fact.value !== null && fact.value !== undefined);
  return (
    <details className="rounded-md border bg-panel">
      <summary className="min-h-10 px-3 py-2 font-semibold text-sm">{t("review.lineage")}</summary>
      <div className="flex flex-col gap-3 border-t p-3">
        <Facts items={facts} />
        {lineage.attempts.length > 0 ? (
          <ol className="flex flex-col gap-2 border-t pt-3 text-sm">
            {lineage.attempts.map((attempt) => (
              <li key={attempt.attempt}>
                <p className="flex flex-wrap gap-x-3">
                  <span className="font-medium">{t("review.attempt", { n: attempt.attempt })}</span>
                  <span className="tnum text-soft">{formatScore(attempt.final)}</span>
                  <span className="font-mono text-faint text-xs">
                    {attempt.channel} · {formatMs(attempt.latencyMs)}
                  </span>
                </p>
                {[attempt.problem, ...attempt.failedGates, ...attempt.reasons]
                  .filter((line) => line !== null)
                  .map((line) => (
                    <p key={line} className="text-soft text-xs">
                      {line}
                    </p>
                  ))}
              </li>
            ))}
          </ol>
        ) : null}
      </div>
    </details>
  );
}
