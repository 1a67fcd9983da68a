/** Generation tasks: start, follow, stop, resume, delete. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Body, Held, Item } from "./answers";
import { http, rest, unwrap } from "./client";
import { toPage } from "./pages";

type TaskAnswer = Item<Held<"/api/tasks", "get">>;
type StatusAnswer = Held<"/api/status/{task_id}", "get">;
export type TaskService = StatusAnswer["services"][number];
export type TaskType = Item<Held<"/api/task_types", "get">>;
export type StartTask = Body<"/api/start", "post">;
export type Model = Item<Held<"/api/models", "get">>;
type StartAnswer = Held<"/api/start", "post">;
export type PreviewRow = Extract<StartAnswer, { preview: unknown }>["preview"][number];

export type TaskState = "pending" | "running" | "finished" | "failed" | "stopped";

/** A task with its money as numbers: the wire says credits as decimal text. */
export type TaskItem = Omit<TaskAnswer, "cost" | "budget"> & { cost: number; budget: number | null };
export type TaskStatus = TaskItem & { services: TaskService[] };

/** Pauses that wait for the owner: the task stays `running`, and `resume` goes on. */
export const PAUSES_FOR_OWNER: ReadonlySet<string> = new Set(["budget_spent", "mostly_failing"]);

function toTask(answer: TaskAnswer): TaskItem {
  return { ...answer, cost: Number(answer.cost), budget: answer.budget === null ? null : Number(answer.budget) };
}

const TASK_PAGE_SIZE = 50;

export const tasksQuery = (filter: { page?: number; status?: string } = {}) =>
  queryOptions({
    queryKey: ["tasks", "list", filter],
    queryFn: async () => {
      const list = await unwrap(
        http.GET("/api/tasks", {
          params: { query: { page: filter.page ?? 1, page_size: TASK_PAGE_SIZE, status: filter.status || undefined } },
        }),
      );
      return toPage({ ...list, items: list.items.map(toTask) });
    },
    placeholderData: keepPreviousData,
  });

export const taskQuery = (taskId: string) =>
  queryOptions({
    queryKey: ["tasks", "one", taskId],
    queryFn: async (): Promise<TaskStatus> => {
      const answer = await unwrap(http.GET("/api/status/{task_id}", { params: { path: { task_id: taskId } } }));
      return { ...toTask(answer), services: answer.services };
    },
  });

export const taskTypesQuery = queryOptions({
  queryKey: ["task-types"],
  queryFn: async () => (await unwrap(http.GET("/api/task_types"))).items,
  staleTime: 5 * 60_000,
});

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: async () => (await unwrap(http.GET("/api/models"))).items,
  staleTime: 10_000,
});

export async function startTask(body: StartTask): Promise<string> {
  const started = await unwrap<StartAnswer | null>(http.POST("/api/start", { body }));
  return "task_id" in started ? started.task_id : "";
}

export async function previewTask(body: StartTask): Promise<PreviewRow[]> {
  const answer = await unwrap<StartAnswer | null>(http.POST("/api/start", { body: { ...body, preview: true } }));
  return "preview" in answer ? answer.preview : [];
}

export async function stopTask(taskId: string): Promise<void> {
  await rest(http.POST("/api/stop/{task_id}", { params: { path: { task_id: taskId } } }));
}

/** Go on; `budget` (credits) replaces the task's budget. */
export async function resumeTask(taskId: string, budget?: number): Promise<void> {
  // The body may be left out, which the document cannot say.
  const body = budget === undefined ? undefined : ({ budget } as unknown as undefined);
  await rest(http.POST("/api/resume/{task_id}", { params: { path: { task_id: taskId } }, body }));
}

export async function deleteTask(taskId: string): Promise<void> {
  await rest(http.DELETE("/api/task/{task_id}", { params: { path: { task_id: taskId } } }));
}
