/** How a task's state, its split of rows and its model are shown, wherever they are. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { type TaskItem, type TaskState, taskTypesQuery } from "@/api/tasks";
import { type BarPart, SplitBar } from "@/ui/progress";
import { StateBadge, type Tone } from "@/ui/state";
import { formatNumber } from "./format";
import { currentLanguage } from "./i18n";

const TONES: Record<TaskState, Tone> = {
  pending: "idle",
  running: "running",
  finished: "done",
  failed: "failed",
  stopped: "idle",
};

export function isTaskState(value: string): value is TaskState {
  return value in TONES;
}

export function isLive(status: string): boolean {
  return status === "pending" || status === "running";
}

export function TaskBadge({ status, pausedReason }: { status: string; pausedReason?: string | null }) {
  const { t } = useTranslation();
  const known = isTaskState(status) ? status : "pending";
  if (known === "running" && pausedReason)
    return (
      <StateBadge tone="warn" title={pausedReason} testId="task-status">
        {t("tasks.paused", { reason: pausedReason })}
      </StateBadge>
    );
  return (
    <StateBadge tone={TONES[known]} testId="task-status">
      {t(`tasks.status.${known}`)}
    </StateBadge>
  );
}

export type Split = Pick<TaskItem, "accepted" | "below_threshold" | "needs_review" | "failed" | "total">;

export function useSplitParts(split: Split): BarPart[] {
  const { t } = useTranslation();
  return [
    { id: "accepted", value: split.accepted, tone: "done", label: t("tasks.accepted") },
    { id: "needs", value: split.needs_review, tone: "running", label: t("tasks.needsReview") },
    { id: "below", value: split.below_threshold, tone: "warn", label: t("tasks.below") },
    { id: "failed", value: split.failed, tone: "failed", label: t("tasks.failed") },
  ];
}

export function TaskBar({ split, tall }: { split: Split; tall?: boolean }) {
  const { t } = useTranslation();
  const parts = useSplitParts(split);
  const words = parts.map((part) => `${part.label} ${formatNumber(part.value)}`).join(" · ");
  return <SplitBar parts={parts} total={split.total} label={`${t("tasks.progress")}: ${words}`} tall={tall} />;
}

/** A task type by its title in the reader's language. */
export function useTypeTitle(): (name: string) => string {
  const { data } = useQuery(taskTypesQuery);
  const language = currentLanguage();
  return (name) => {
    const type = data?.find((candidate) => candidate.name === name);
    return type?.titles[language] ?? type?.title ?? name;
  };
}
