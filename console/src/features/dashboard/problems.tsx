/** What went wrong lately, each with the way to its cause. */
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Channel } from "@/api/channels";
import type { LocalModel } from "@/api/local-models";
import type { TaskItem } from "@/api/tasks";
import { breakerOf } from "@/shared/channel-state";
import { Time } from "@/shared/time";
import { Panel } from "@/ui/blocks";
import { StateShape, TONE_TEXT } from "@/ui/state";

const SHOWN = 8;

export type Problem =
  | { kind: "channel"; name: string; text: string; at: null }
  | { kind: "task"; id: string; text: string; at: string | null }
  | { kind: "model"; name: string; text: string; at: null };

/** Channels that do not answer, local models that failed, then tasks that failed or wait. */
export function problemsOf(
  tasks: readonly TaskItem[],
  channels: readonly Channel[],
  models: readonly LocalModel[],
): Problem[] {
  const found: Problem[] = [];
  for (const channel of channels) {
    const down =
      channel.status === "auto_disabled" || (channel.status === "enabled" && breakerOf(channel) !== "closed");
    if (down)
      found.push({
        kind: "channel",
        name: channel.name,
        text: channel.status_reason ?? channel.last_error ?? "",
        at: null,
      });
  }
  for (const model of models)
    if (model.status === "failed")
      found.push({ kind: "model", name: model.name, text: firstLine(model.error ?? model.detail), at: null });
  for (const task of tasks) {
    if (task.status === "failed")
      found.push({ kind: "task", id: task.task_id, text: task.error_message ?? "", at: task.finished_at });
    else if (task.status === "running" && task.paused_reason)
      found.push({ kind: "task", id: task.task_id, text: task.paused_reason, at: null });
  }
  return found.slice(0, SHOWN);
}

const firstLine = (text: string) => text.split("\n")[0] ?? "";

export function Problems({ problems }: { problems: readonly Problem[] }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("dashboard.problems")} flush>
      {problems.length === 0 ? (
        <p className="flex items-center gap-2 px-3 py-4 text-faint text-sm">
          <span className={TONE_TEXT.done}>
            <StateShape tone="done" />
          </span>
          {t("dashboard.noProblems")}
        </p>
      ) : (
        <ul className="divide-y">
          {problems.map((problem) => (
            <li
              key={`${problem.kind}/${problem.kind === "task" ? problem.id : problem.name}`}
              className="flex items-start gap-2 px-3 py-2 text-sm"
            >
              <span className={`mt-1 ${TONE_TEXT.failed}`}>
                <StateShape tone="failed" />
              </span>
              <span className="min-w-0 flex-1">
                <Cause problem={problem} />
                {problem.text ? <span className="line-clamp-2 text-soft text-xs">{problem.text}</span> : null}
              </span>
              {problem.at ? (
                <span className="text-faint text-xs">
                  <Time at={problem.at} />
                </span>
              ) : null}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Cause({ problem }: { problem: Problem }) {
  const { t } = useTranslation();
  const look = "block font-medium hover:underline";
  switch (problem.kind) {
    case "channel":
      return (
        <Link to="/channels" search={{ q: problem.name }} className={look}>
          {t("dashboard.channelProblem", { name: problem.name })}
        </Link>
      );
    case "task":
      return (
        <Link to="/tasks/$taskId" params={{ taskId: problem.id }} className={look}>
          {t("dashboard.taskProblem", { id: problem.id })}
        </Link>
      );
    case "model":
      return (
        <Link to="/local-models" className={look}>
          {t("dashboard.modelProblem", { name: problem.name })}
        </Link>
      );
  }
}
