/** Parameters that most tasks leave alone. */
import { useTranslation } from "react-i18next";
import type { Model } from "@/api/tasks";
import { oneOf } from "@/shared/url-state";
import { Field, Select } from "@/ui/field";
import { type FieldsProps, NumberField } from "./number-field";
import { DEFAULTS } from "./start-form";

const LANGUAGES = ["auto", "zh", "en"] as const;
const DEDUPS = ["off", "exact", "near"] as const;

export function AdvancedFields({ form, set, problem, models }: FieldsProps & { models: readonly Model[] }) {
  const { t } = useTranslation();
  return (
    <details className="rounded-md border" data-testid="start-advanced">
      <summary className="min-h-9 px-3 py-1.5 font-medium text-sm">{t("tasks.form.advanced")}</summary>
      <div className="grid grid-cols-1 gap-4 border-t p-3 sm:grid-cols-3">
        <Field label={t("tasks.form.language")} error={problem("language")}>
          {(wiring) => (
            <Select
              {...wiring}
              value={form.language}
              onChange={(event) => set({ language: oneOf(event.target.value, LANGUAGES) ?? DEFAULTS.language })}
            >
              {LANGUAGES.map((language) => (
                <option key={language} value={language}>
                  {t(`tasks.form.languages.${language}`)}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label={t("tasks.form.evaluator")} error={problem("evaluator_model")}>
          {(wiring) => (
            <Select
              {...wiring}
              value={form.evaluator}
              data-testid="start-evaluator"
              onChange={(event) => set({ evaluator: event.target.value })}
            >
              <option value="">{t("tasks.form.evaluatorSame")}</option>
              <option value="none">{t("tasks.form.evaluatorNone")}</option>
              {models.map((model) => (
                <option key={model.name} value={model.name}>
                  {model.name}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label={t("tasks.form.dedup")} error={problem("dedup")}>
          {(wiring) => (
            <Select
              {...wiring}
              value={form.dedup}
              onChange={(event) => set({ dedup: oneOf(event.target.value, DEDUPS) ?? DEFAULTS.dedup })}
            >
              {DEDUPS.map((dedup) => (
                <option key={dedup} value={dedup}>
                  {t(`tasks.form.dedups.${dedup}`)}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <NumberField
          label={t("tasks.form.maxRetries")}
          value={form.maxRetries}
          onChange={(maxRetries) => set({ maxRetries })}
          error={problem("max_retries")}
          min={0}
          max={10}
        />
        <NumberField
          label={t("tasks.form.maxConcurrent")}
          value={form.maxConcurrent}
          onChange={(maxConcurrent) => set({ maxConcurrent })}
          error={problem("max_concurrent")}
          min={1}
        />
        <NumberField
          label={t("tasks.form.batchSize")}
          value={form.batchSize}
          onChange={(batchSize) => set({ batchSize })}
          error={problem("batch_size")}
          min={1}
        />
        <NumberField
          label={t("tasks.form.budget")}
          value={form.budget}
          onChange={(budget) => set({ budget })}
          error={problem("budget")}
          min={0}
          step={0.01}
          placeholder={t("state.unlimited")}
        />
        <NumberField
          label={t("tasks.form.seed")}
          value={form.seed}
          onChange={(seed) => set({ seed })}
          error={problem("seed")}
          min={0}
        />
      </div>
    </details>
  );
}
