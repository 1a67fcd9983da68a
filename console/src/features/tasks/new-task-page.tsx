/** Start a task: what from, what kind, by whom, how much; with a preview beside it. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ChevronLeft, Eye, Play } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { filesQuery } from "@/api/samples";
import { modelsQuery, previewTask, startTask, taskTypesQuery } from "@/api/tasks";
import { formatNumber } from "@/shared/format";
import { currentLanguage } from "@/shared/i18n";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { PageHead } from "@/shared/page-head";
import { TagInput } from "@/shared/tag-input";
import { type Search, textOf, useUrlState } from "@/shared/url-state";
import { Panel } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Field, Select, Textarea } from "@/ui/field";
import { AdvancedFields } from "./advanced-fields";
import { ModelPicker } from "./model-picker";
import { NumberField } from "./number-field";
import { Preview } from "./preview";
import { DEFAULTS, type StartForm, toRequest, totalRows } from "./start-form";

const FILES_SHOWN = 200;
const parse = (search: Search) => ({ fileId: textOf(search.file_id), taskType: textOf(search.task_type) });

export function NewTaskPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [given] = useUrlState(parse);
  const [form, setForm] = useState<StartForm>({
    ...DEFAULTS,
    fileId: given.fileId ?? "",
    taskType: given.taskType ?? "",
  });
  const [missing, setMissing] = useState<Record<string, string>>({});
  const { data: files } = useQuery(filesQuery({ pageSize: FILES_SHOWN }));
  const { data: types } = useQuery(taskTypesQuery);
  const { data: models } = useQuery(modelsQuery);
  const set = (part: Partial<StartForm>) => setForm((before) => ({ ...before, ...part }));

  const placeProblems = (error: unknown) => {
    // Problems with a field stand at the field; a toast tells the rest.
    if (isApiError(error) && error.fields.length > 0) return true;
    notify.failed(error);
    return true;
  };
  const preview = useWrite({ run: () => previewTask(toRequest(form)), onFailed: placeProblems });
  const start = useWrite({
    run: () => startTask(toRequest(form)),
    refresh: [["tasks"]],
    done: t("tasks.form.started"),
    onDone: (taskId) => void navigate({ to: "/tasks/$taskId", params: { taskId } }),
    onFailed: placeProblems,
  });
  const said = [start.error, preview.error].flatMap((error) => (isApiError(error) ? error.fields : []));
  const problem = (field: string) => missing[field] ?? said.find((item) => item.field === field)?.message;
  const elsewhere = said.filter((item) => !SHOWN_FIELDS.has(item.field));

  const complete = () => {
    const gaps: Record<string, string> = {};
    if (form.fileId === "") gaps.file_id = t("tasks.form.needFile");
    if (form.taskType === "") gaps.task_type = t("tasks.form.needType");
    setMissing(gaps);
    start.reset();
    preview.reset();
    return Object.keys(gaps).length === 0;
  };
  const file = files?.items.find((candidate) => String(candidate.id) === form.fileId);
  const type = types?.find((candidate) => candidate.name === form.taskType);
  const total = totalRows(form, file?.rows);
  const language = currentLanguage();

  return (
    <>
      <PageHead
        title={t("tasks.form.title")}
        hint={t("tasks.form.sentence")}
        above={
          <Link to="/tasks" className="mb-1 inline-flex items-center gap-0.5 text-soft text-xs hover:text-text">
            <ChevronLeft aria-hidden className="size-3.5" />
            {t("tasks.back")}
          </Link>
        }
      />
      <form
        className="grid items-start gap-3 xl:grid-cols-[minmax(0,44rem)_minmax(0,1fr)]"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (complete()) start.mutate();
        }}
      >
        <Panel>
          <div className="flex flex-col gap-4">
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
            <Field
              label={t("tasks.form.directions")}
              hint={t("tasks.form.directionsHint")}
              error={problem("directions")}
            >
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
            {elsewhere.length > 0 ? (
              <ul role="alert" className="rounded-md bg-failed-soft px-3 py-2 text-failed text-sm">
                {elsewhere.map((item) => (
                  <li key={`${item.field}${item.message}`}>
                    {item.field ? `${item.field}: ${item.message}` : item.message}
                  </li>
                ))}
              </ul>
            ) : null}
            <div className="flex flex-wrap justify-end gap-2 border-t pt-3">
              <Button
                icon={<Eye aria-hidden className="size-3.5" />}
                busy={preview.isPending}
                data-testid="start-preview"
                onClick={() => {
                  if (complete()) preview.mutate();
                }}
              >
                {t("tasks.form.preview")}
              </Button>
              <Button
                type="submit"
                look="primary"
                icon={<Play aria-hidden className="size-3.5" />}
                busy={start.isPending}
                data-testid="start-submit"
              >
                {t("tasks.form.start")}
              </Button>
            </div>
          </div>
        </Panel>
        <Preview rows={preview.data} busy={preview.isPending} />
      </form>
    </>
  );
}

const SHOWN_FIELDS = new Set([
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
