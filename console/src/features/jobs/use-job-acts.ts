/** What can be done to one job, with what to ask before and say after. */
import { useTranslation } from "react-i18next";
import { cancelJob, changeJob, discardJob, type Job, type Payload, replayJob } from "@/api/jobs";
import { useConfirm } from "@/shared/confirm";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";

const REFRESH = [["jobs"], ["queues"], ["workers"]];

export function useJobActs(job: Pick<Job, "id" | "status" | "queue"> | undefined, all: boolean, onSaved?: () => void) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const id = job?.id ?? "";
  const queue = job?.queue ?? "";
  const cancel = useWrite({
    run: () => cancelJob(id, all),
    refresh: [...REFRESH, ["tasks"]],
    done: (after) => t(after.status === "cancelled" ? "jobs.cancelled" : "jobs.cancelTold"),
  });
  const replay = useWrite({
    run: (payload: Payload | undefined) => replayJob(id, payload),
    refresh: REFRESH,
    done: t("jobs.replayed", { queue }),
    onDone: onSaved,
  });
  const discard = useWrite({ run: () => discardJob(id), refresh: REFRESH, done: t("jobs.discarded") });
  const restore = useWrite({
    run: (payload: Payload) => changeJob(id, { payload }),
    refresh: REFRESH,
    done: t("jobs.payloadSaved"),
  });
  const save = useWrite({
    run: (change: { before: Payload; payload: Payload; undo: boolean }) => changeJob(id, { payload: change.payload }),
    refresh: REFRESH,
    onDone: (_, change) => {
      const undo = { label: t("act.undo"), run: () => restore.mutate(change.before) };
      notify.done(t("jobs.payloadSaved"), change.undo ? undo : undefined);
      onSaved?.();
    },
  });
  const askCancel = async () => {
    const yes = await confirm({
      title: t("jobs.cancelTitle"),
      body: t(job?.status === "running" ? "jobs.cancelRunning" : "jobs.cancelWaiting"),
      act: t("jobs.act.cancel"),
      danger: true,
    });
    if (yes) cancel.mutate();
  };
  const askDiscard = async () => {
    const yes = await confirm({
      title: t("jobs.discardTitle"),
      body: t("jobs.discardBody"),
      act: t("jobs.act.discard"),
      danger: true,
    });
    if (yes) discard.mutate();
  };
  return { cancel, replay, discard, save, askCancel, askDiscard };
}
