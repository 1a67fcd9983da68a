/** The fields of a generation task, wherever one is described: started now, or by a schedule. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { filesQuery } from "@/api/samples";
import { modelsQuery, taskTypesQuery } from "@/api/tasks";
import { formatNumber } from "@/shared/format";
import { currentLanguage } from "@/shared/i18n";
import { TagInput } from "@/shared/tag-input";
import { Field, Select, Textarea } from "@/ui/field";
import { AdvancedFields } from "./advanced-fields";
import { ModelPicker } from "./model-picker";
import { type FieldsProps, NumberField } from "./number-field";
import { totalRows } from "./start-form";

const FILES_SHOWN = 200;
/** Problems with these stand at their field. */
export const SHOWN_FIELDS: ReadonlySet<string> = new Set([
  "file_id",
  "task_type",
  "model",
  "models",
  "directions",
  "data_rounds",
  "variants_per_sample",
  "sample_limit",
  "min_score",
  "special_prompt",
  "language",
  "evaluator_model",
  "max_retries",
  "dedup",
  "max_concurrent",
  "batch_size",
  "budget",
  "seed",
]);

export function StartFields({ form, set, problem }: FieldsProps) {
  const { t } = useTranslation();
  const { data: files } = useQuery(filesQuery({ pageSize: FILES_SHOWN }));
  const { data: types } = useQuery(taskTypesQuery);
  const { data: models } = useQuery(modelsQuery);
  const file = files?.items.find((candidate) => String(candidate.id) === form.fileId);
  const type = types?.find((candidate) => candidate.name === form.taskType);
  const total = totalRows(form, file?.rows);
  const language = currentLanguage();
  return (
    <>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label={t("tasks.form.file")}
          required
          error={problem("file_id")}
          hint={files?.items.length === 0 ? t("tasks.form.noFiles") : undefined}
        >
          {(wiring) => (
            <Select
              {...wiring}
              value={form.fileId}
              data-testid="start-file"
              onChange={(event) => set({ fileId: event.target.value })}
            >
              <option value="">{t("tasks.form.chooseFile")}</option>
              {files?.items.map((candidate) => (
                <option key={candidate.id} value={String(candidate.id)}>
                  {t("tasks.form.fileRows", { name: candidate.filename, rows: formatNumber(candidate.rows) })}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label={t("tasks.form.type")} required error={problem("task_type")} hint={type?.description}>
          {(wiring) => (
            <Select
              {...wiring}
              value={form.taskType}
              data-testid="start-type"
              onChange={(event) => set({ taskType: event.target.value })}
            >
              <option value="">{t("tasks.form.chooseFile")}</option>
              {types?.map((candidate) => (
                <option key={candidate.name} value={candidate.name}>
                  {candidate.titles[language] ?? candidate.title}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <ModelPicker
        models={models}
        chosen={form.models}
        onChange={(next) => set({ models: next })}
        error={problem("model") ?? problem("models")}
      />
      <Field label={t("tasks.form.directions")} hint={t("tasks.form.directionsHint")} error={problem("directions")}>
        {(wiring) => (
          <TagInput
            wiring={wiring}
            values={form.directions}
            onChange={(directions) => set({ directions })}
            removeLabel={(name) => t("tasks.form.removeDirection", { name })}
            testId="start-directions"
          />
        )}
      </Field>
      <div className="grid grid-cols-2 gap-4 sm:grid-cols-4">
        <NumberField
          label={t("tasks.form.rounds")}
          value={form.rounds}
          onChange={(rounds) => set({ rounds })}
          error={problem("data_rounds")}
          min={1}
          testId="start-rounds"
        />
        <NumberField
          label={t("tasks.form.variants")}
          value={form.variants}
          onChange={(variants) => set({ variants })}
          error={problem("variants_per_sample")}
          min={1}
          testId="start-variants"
        />
        <NumberField
          label={t("tasks.form.sampleLimit")}
          value={form.sampleLimit}
          onChange={(sampleLimit) => set({ sampleLimit })}
          error={problem("sample_limit")}
          min={1}
          placeholder={t("state.unlimited")}
          testId="start-limit"
        />
        <NumberField
          label={t("tasks.form.minScore")}
          value={form.minScore}
          onChange={(minScore) => set({ minScore })}
          error={problem("min_score")}
          min={0}
          max={10}
          step={0.1}
          testId="start-min-score"
        />
      </div>
      <p className="tnum text-soft text-sm" data-testid="start-total" aria-live="polite">
        {total
          ? t("tasks.form.total", {
              total: formatNumber(total.total),
              rows: formatNumber(total.rows),
              rounds: total.rounds,
              variants: total.variants,
            })
          : t("tasks.form.totalUnknown")}
        <span className="block text-faint text-xs">{t("tasks.form.minScoreHint")}</span>
      </p>
      <Field label={t("tasks.form.prompt")} hint={t("tasks.form.promptHint")} error={problem("special_prompt")}>
        {(wiring) => (
          <Textarea
            {...wiring}
            rows={2}
            value={form.specialPrompt}
            onChange={(event) => set({ specialPrompt: event.target.value })}
          />
        )}
      </Field>
      <AdvancedFields form={form} set={set} problem={problem} models={models ?? []} />
    </>
  );
}
