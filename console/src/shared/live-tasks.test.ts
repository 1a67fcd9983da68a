import { QueryClient } from "@tanstack/react-query";
import { describe, expect, it } from "vitest";
import type { Page } from "@/api/pages";
import type { TaskItem } from "@/api/tasks";
import type { LiveEvent } from "./live";
import { applyTaskEvent } from "./live-tasks";

const LIST = ["tasks", "list", {}];

function clientWith(...names: string[]): QueryClient {
  const client = new QueryClient();
  const items = names.map((name) => ({ task_id: name, current: 1, cost: 0, model: "m" }) as TaskItem);
  client.setQueryData<Page<TaskItem>>(LIST, { items, total: items.length, next: null });
  return client;
}

const event = (type: string, data: Record<string, unknown>): LiveEvent => ({ type, topic: "tasks", id: "1", data });
const stale = (client: QueryClient) => client.getQueryState(LIST)?.isInvalidated;

describe("live tasks", () => {
  it("write progress into the list that is shown, and nothing else of it", () => {
    const client = clientWith("a", "b");
    applyTaskEvent(client, event("task.progress", { task_id: "b", current: 7, cost: "1.5", status: "running" }));
    const page = client.getQueryData<Page<TaskItem>>(LIST);
    expect(page?.items.map((task) => task.current)).toEqual([1, 7]);
    expect(page?.items[1]).toMatchObject({ cost: 1.5, model: "m" });
    expect(stale(client)).toBe(false);
  });

  it("read the list again for a start, an end, a gap, and a task that is not in it", () => {
    for (const heard of [
      event("task.started", { task_id: "c" }),
      event("task.ended", { task_id: "a" }),
      event("reset", {}),
      event("task.progress", { task_id: "unknown" }),
    ]) {
      const client = clientWith("a");
      applyTaskEvent(client, heard);
      expect(stale(client)).toBe(true);
    }
  });
});
