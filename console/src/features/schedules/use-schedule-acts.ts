/** What can be done with one schedule, with what to ask before and say after. */
import { useTranslation } from "react-i18next";
import {
  changeSchedule,
  createAnySchedule,
  createSchedule,
  deleteSchedule,
  runSchedule,
  type Schedule,
} from "@/api/schedules";
import { useConfirm } from "@/shared/confirm";
import { shortJobId } from "@/shared/job-state";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { wishAgain } from "./schedule-form";

export function useScheduleActs(schedule: Schedule, all: boolean) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const { id, name } = schedule;
  const refresh = [["schedules", "list"]];
  const turn = useWrite({
    run: (enabled: boolean) => changeSchedule(id, { enabled }, all),
    refresh,
    done: (after) => t(after.enabled ? "schedules.enabled" : "schedules.disabled", { name }),
  });
  const run = useWrite({
    run: () => runSchedule(id, all),
    refresh: [...refresh, ["jobs"], ["queues"], ["tasks"]],
    done: (jobId) => t("schedules.ran", { name, id: shortJobId(jobId) }),
  });
  const restore = useWrite({
    run: () =>
      all
        ? createAnySchedule({ ...wishAgain(schedule), user_id: schedule.user_id })
        : createSchedule(wishAgain(schedule)),
    refresh,
    done: t("schedules.restored", { name }),
  });
  const remove = useWrite({
    run: () => deleteSchedule(id, all),
    refresh,
    onDone: () => notify.done(t("schedules.deleted", { name }), { label: t("act.undo"), run: () => restore.mutate() }),
  });
  const askRun = async () => {
    const yes = await confirm({
      title: t("schedules.runTitle", { name }),
      body: t("schedules.runBody"),
      act: t("schedules.run"),
    });
    if (yes) run.mutate();
  };
  const askRemoval = async () => {
    const yes = await confirm({
      title: t("schedules.deleteTitle", { name }),
      body: t("schedules.deleteBody"),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate();
  };
  return { turn, run, askRun, askRemoval };
}
