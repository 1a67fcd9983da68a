/** Start a task: what from, what kind, by whom, how much; with a preview beside it. */
import { Link, useNavigate } from "@tanstack/react-router";
import { ChevronLeft, Eye, Play } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { previewTask, startTask } from "@/api/tasks";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { PageHead } from "@/shared/page-head";
import { SHOWN_FIELDS, StartFields } from "@/shared/start-form/start-fields";
import { DEFAULTS, type StartForm, toRequest } from "@/shared/start-form/start-form";
import { type Search, textOf, useUrlState } from "@/shared/url-state";
import { Panel } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Preview } from "./preview";

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
            <StartFields form={form} set={set} problem={problem} />
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
