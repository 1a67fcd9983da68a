/** Tasks in lists, moved by their live events: progress is written into what is shown, the rest is read again. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import type { Page } from "@/api/pages";
import type { TaskItem } from "@/api/tasks";
import { type LiveEvent, useLive } from "./live";

/** A list in step with live events is still read again now and then, in case one went by. */
const SAFETY_MS = 30_000;

/** What a task's event says, as a list shows it; the wire says credits as decimal text. */
export function taskPatch(data: Record<string, unknown>): Partial<TaskItem> {
  const { cost, ...rest } = data;
  return { ...(rest as Partial<TaskItem>), ...(cost === undefined ? {} : { cost: Number(cost) }) };
}

export function applyTaskEvent(client: QueryClient, event: LiveEvent): void {
  if (event.type !== "task.progress") {
    void client.invalidateQueries({ queryKey: ["tasks"] });
    return;
  }
  const patch = taskPatch(event.data);
  let known = false;
  client.setQueriesData<Page<TaskItem>>({ queryKey: ["tasks", "list"] }, (page) => {
    if (!page?.items.some((task) => task.task_id === patch.task_id)) return page;
    known = true;
    return {
      ...page,
      items: page.items.map((task) => (task.task_id === patch.task_id ? { ...task, ...patch } : task)),
    };
  });
  if (!known) void client.invalidateQueries({ queryKey: ["tasks", "list"] });
}

/** Keep every list of tasks in step; returns how often to ask beside that, given how often one asks without. */
export function useLiveTasks(): (withoutMs: number | false) => number | false {
  const client = useQueryClient();
  const state = useLive(["tasks"], (event) => applyTaskEvent(client, event));
  return (withoutMs) => (state === "live" && withoutMs !== false ? SAFETY_MS : withoutMs);
}
