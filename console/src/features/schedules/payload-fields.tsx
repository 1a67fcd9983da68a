/** What a schedule starts: the fields of a task, or the same as JSON with its fields explained. */
import { useTranslation } from "react-i18next";
import { StartFields } from "@/shared/start-form/start-fields";
import { fromRequest, toRequest } from "@/shared/start-form/start-form";
import { Field, Textarea } from "@/ui/field";
import { payloadOf, type ScheduleForm, START } from "./schedule-form";

const FIELDS = [
  "file_id",
  "task_type",
  "models",
  "data_rounds",
  "variants_per_sample",
  "sample_limit",
  "directions",
  "special_prompt",
  "min_score",
  "evaluator_model",
  "max_retries",
  "dedup",
  "language",
  "max_concurrent",
  "batch_size",
  "budget",
  "seed",
] as const;

export function PayloadFields({
  form,
  set,
  problem,
}: {
  form: ScheduleForm;
  set: (part: Partial<ScheduleForm>) => void;
  problem: (field: string) => string | undefined;
}) {
  const { t } = useTranslation();
  const read = payloadOf(form);
  const asFields = read.ok && form.type === START ? fromRequest(read.payload) : null;
  return (
    <fieldset className="flex min-w-0 flex-col gap-4 border-t pt-4">
      <legend className="sr-only">{t("schedules.form.what")}</legend>
      <div className="flex flex-wrap items-center gap-x-5 gap-y-1">
        <span aria-hidden className="font-medium text-sm">
          {t("schedules.form.whatOf", { what: form.type === START ? t("schedules.types.start") : form.type })}
        </span>
        {form.type === START ? (
          <span className="ml-auto flex gap-4">
            <label className="inline-flex items-center gap-2 text-sm pointer-coarse:min-h-10">
              <input
                type="radio"
                name="payload"
                className="size-4"
                checked={form.json === null}
                disabled={form.json !== null && asFields === null}
                onChange={() => {
                  if (asFields) set({ json: null, start: asFields });
                }}
              />
              {t("schedules.form.asForm")}
            </label>
            <label className="inline-flex items-center gap-2 text-sm pointer-coarse:min-h-10">
              <input
                type="radio"
                name="payload"
                className="size-4"
                checked={form.json !== null}
                data-testid="schedule-as-json"
                onChange={() => set({ json: JSON.stringify(toRequest(form.start), null, 2) })}
              />
              {t("schedules.form.asJson")}
            </label>
          </span>
        ) : null}
      </div>
      {form.json === null ? (
        <StartFields form={form.start} set={(part) => set({ start: { ...form.start, ...part } })} problem={problem} />
      ) : (
        <>
          <Field
            label={t("schedules.form.payload")}
            hint={form.type === START ? t("schedules.form.payloadHint") : undefined}
            error={problem("payload")}
          >
            {(wiring) => (
              <Textarea
                {...wiring}
                rows={10}
                spellCheck={false}
                autoCapitalize="off"
                className="scroll-thin font-mono text-xs leading-relaxed"
                value={form.json ?? ""}
                data-testid="schedule-json"
                onChange={(event) => set({ json: event.target.value })}
              />
            )}
          </Field>
          {form.type === START ? (
            <details className="rounded-md border">
              <summary className="min-h-9 px-3 py-1.5 font-medium text-sm">{t("schedules.form.fields")}</summary>
              <dl className="grid gap-x-4 gap-y-1 border-t p-3 text-xs sm:grid-cols-[10rem_minmax(0,1fr)]">
                {FIELDS.map((field) => (
                  <div key={field} className="contents">
                    <dt className="font-mono">{field}</dt>
                    <dd className="text-soft">{t(`schedules.form.fieldWords.${field}`)}</dd>
                  </div>
                ))}
              </dl>
            </details>
          ) : null}
        </>
      )}
    </fieldset>
  );
}
