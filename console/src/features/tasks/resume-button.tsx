/** Go on with a task. One whose budget is spent is asked for a new one first. */
import { Play } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { resumeTask, type TaskStatus } from "@/api/tasks";
import { formatCredits } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { NumberField } from "@/shared/start-form/number-field";
import { typedNumber } from "@/shared/start-form/start-form";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";

export function ResumeButton({ task }: { task: TaskStatus }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const [budget, setBudget] = useState("");
  const spent = task.paused_code === "budget_spent";
  const resume = useWrite({
    run: (credits: number | undefined) => resumeTask(task.task_id, credits),
    refresh: [["tasks"]],
    done: t("tasks.resumed"),
    onDone: () => setAsking(false),
    onFailed: (error) => isApiError(error) && error.fields.some((item) => item.field === "budget"),
  });
  const problem = isApiError(resume.error)
    ? resume.error.fields.find((item) => item.field === "budget")?.message
    : undefined;
  const credits = typedNumber(budget);
  return (
    <>
      <Button
        icon={<Play aria-hidden className="size-3.5" />}
        busy={resume.isPending}
        onClick={() => (spent ? setAsking(true) : resume.mutate(undefined))}
        data-testid="task-resume"
      >
        {t("tasks.resume")}
      </Button>
      <Dialog
        open={asking}
        onOpenChange={setAsking}
        title={t("tasks.budgetTitle")}
        description={t("tasks.budgetBody", { spent: formatCredits(task.cost), budget: formatCredits(task.budget) })}
        closeLabel={t("act.close")}
        footer={
          <>
            <Button onClick={() => setAsking(false)}>{t("act.cancel")}</Button>
            <Button
              look="primary"
              disabled={credits === undefined}
              busy={resume.isPending}
              onClick={() => resume.mutate(credits)}
            >
              {t("tasks.resume")}
            </Button>
          </>
        }
      >
        <NumberField
          label={t("tasks.form.budget")}
          value={budget}
          onChange={setBudget}
          error={problem}
          min={0}
          step={0.01}
        />
      </Dialog>
    </>
  );
}
