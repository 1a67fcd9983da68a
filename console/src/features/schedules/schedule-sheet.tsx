/** One schedule beside the list: made, or changed. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { changeSchedule, createSchedule, type Schedule } from "@/api/schedules";
import { formatRelative } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { SHOWN_FIELDS } from "@/shared/start-form/start-fields";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Checkbox, Field, Input } from "@/ui/field";
import { PayloadFields } from "./payload-fields";
import { changeOf, formOf, MISFIRES, payloadOf, type ScheduleForm, wishOf } from "./schedule-form";
import { timingOf } from "./timing";
import { TimingFields } from "./timing-fields";

const TIMING_FIELDS = new Set(["name", "cron", "run_at", "timezone"]);

export function ScheduleSheet({
  schedule,
  all,
  onClose,
}: {
  schedule: Schedule | undefined;
  all: boolean;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [before] = useState(schedule);
  const [form, setForm] = useState<ScheduleForm>(() => formOf(schedule));
  const [asked, setAsked] = useState(false);
  const set = (part: Partial<ScheduleForm>) => setForm((now) => ({ ...now, ...part }));
  const system = before !== undefined && before.user_id === null;
  const save = useWrite({
    run: (): Promise<Schedule> => {
      const change = before ? changeOf(form, before) : null;
      if (before && change) return changeSchedule(before.id, change, all);
      const wish = wishOf(form);
      if (!wish) throw new Error("the form is incomplete");
      return createSchedule(wish);
    },
    refresh: [["schedules", "list"]],
    done: (saved) =>
      before
        ? t("schedules.saved", { name: saved.name })
        : t("schedules.made", { name: saved.name, when: formatRelative(saved.next_run_at) }),
    onDone: onClose,
    onFailed: (error) => isApiError(error) && error.fields.length > 0,
  });
  const said = isApiError(save.error) ? save.error.fields : [];
  const problem = (field: string) => said.find((item) => item.field === field)?.message;
  const inForm = (field: string) =>
    TIMING_FIELDS.has(field) || (form.json === null && SHOWN_FIELDS.has(field.replace(/^payload\./, "")));
  const elsewhere = said.filter((item) => !inForm(item.field));
  const read = payloadOf(form);
  const needs = {
    name: asked && form.name.trim() === "" ? t("schedules.form.needName") : undefined,
    file: asked && form.json === null && form.start.fileId === "" ? t("tasks.form.needFile") : undefined,
    type: asked && form.json === null && form.start.taskType === "" ? t("tasks.form.needType") : undefined,
    moment:
      asked && form.timing.mode === "once" && timingOf(form.timing) === null
        ? t("schedules.form.needMoment")
        : undefined,
    json: read.ok
      ? undefined
      : read.reason === null
        ? t("jobs.editor.notObject")
        : t("errors.badJson", { reason: read.reason }),
  };
  const submit = () => {
    setAsked(true);
    save.reset();
    const described = system || form.json !== null || (form.start.fileId !== "" && form.start.taskType !== "");
    if (described && read.ok && wishOf(form) !== null) save.mutate();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      place="side"
      wide
      sticky={!before && form.name !== ""}
      title={before ? t("schedules.form.editTitle", { name: before.name }) : t("schedules.form.newTitle")}
      description={system ? t("schedules.systemHint") : undefined}
      closeLabel={t("act.close")}
      testId="schedule-sheet"
      footer={
        <>
          <Button onClick={onClose}>{t("act.cancel")}</Button>
          <Button look="primary" type="submit" form="schedule-form" busy={save.isPending} data-testid="schedule-save">
            {before ? t("act.save") : t("schedules.form.submit")}
          </Button>
        </>
      }
    >
      <form
        id="schedule-form"
        noValidate
        className="flex flex-col gap-5"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <Field label={t("schedules.name")} required error={needs.name ?? problem("name")}>
          {(wiring) => (
            <Input
              {...wiring}
              value={form.name}
              maxLength={200}
              disabled={system}
              data-testid="schedule-name"
              onChange={(event) => set({ name: event.target.value })}
            />
          )}
        </Field>
        <TimingFields
          timing={form.timing}
          onChange={(timing) => set({ timing })}
          problem={(field) => (field === "run_at" ? (needs.moment ?? problem("run_at")) : problem(field))}
        />
        <Misfire form={form} set={set} />
        <Checkbox
          label={t("schedules.form.enabled")}
          checked={form.enabled}
          onChange={(event) => set({ enabled: event.target.checked })}
        />
        {system ? (
          <p className="border-t pt-4 text-soft text-sm">
            {t("schedules.form.whatKept")} <span className="font-mono text-xs">{before.type}</span>
          </p>
        ) : (
          <PayloadFields
            form={form}
            set={set}
            problem={(field) =>
              field === "payload"
                ? needs.json
                : ((field === "file_id" ? needs.file : field === "task_type" ? needs.type : undefined) ??
                  problem(`payload.${field}`))
            }
          />
        )}
        {elsewhere.length > 0 ? (
          <ul role="alert" className="rounded-md bg-failed-soft px-3 py-2 text-failed text-sm">
            {elsewhere.map((item) => (
              <li key={`${item.field}${item.message}`}>
                {item.field ? `${item.field}: ${item.message}` : item.message}
              </li>
            ))}
          </ul>
        ) : null}
      </form>
    </Dialog>
  );
}

function Misfire({ form, set }: { form: ScheduleForm; set: (part: Partial<ScheduleForm>) => void }) {
  const { t } = useTranslation();
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 font-medium text-sm">{t("schedules.form.misfire")}</legend>
      <div className="flex flex-col gap-1.5">
        {MISFIRES.map((misfire) => (
          <label key={misfire} className="flex items-start gap-2 text-sm">
            <input
              type="radio"
              name="misfire"
              className="mt-0.5 size-4 shrink-0"
              checked={form.misfire === misfire}
              onChange={() => set({ misfire })}
            />
            <span>
              {t(`schedules.form.misfires.${misfire}`)}
              <span className="block text-faint text-xs">{t(`schedules.form.misfireWords.${misfire}`)}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
