/** Generation tasks: start, follow, stop, resume, delete. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Body, Held, Item } from "./answers";
import { http, rest, unwrap } from "./client";
import { toPage } from "./pages";

export type TaskItem = Item<Held<"/api/tasks", "get">>;
export type TaskStatus = Held<"/api/status/{task_id}", "get">;
export type TaskService = TaskStatus["services"][number];
export type TaskType = Item<Held<"/api/task_types", "get">>;
export type StartTask = Body<"/api/start", "post">;
export type Model = Item<Held<"/api/models", "get">>;

export type TaskState = "pending" | "running" | "finished" | "failed" | "stopped";

export interface PreviewRow {
  prompt: unknown;
  output: unknown;
  rule_score: number | null;
  model_score: number | null;
}

const TASK_PAGE_SIZE = 50;

export const tasksQuery = (filter: { page?: number; status?: string } = {}) =>
  queryOptions({
    queryKey: ["tasks", "list", filter],
    queryFn: async () =>
      toPage(
        await unwrap(
          http.GET("/api/tasks", {
            params: {
              query: { page: filter.page ?? 1, page_size: TASK_PAGE_SIZE, status: filter.status || undefined },
            },
          }),
        ),
      ),
    placeholderData: keepPreviousData,
  });

export const taskQuery = (taskId: string) =>
  queryOptions({
    queryKey: ["tasks", "one", taskId],
    queryFn: () => unwrap(http.GET("/api/status/{task_id}", { params: { path: { task_id: taskId } } })),
  });

export const taskTypesQuery = queryOptions({
  queryKey: ["task-types"],
  queryFn: async () => (await unwrap(http.GET("/api/task_types"))).items,
  staleTime: 5 * 60_000,
});

export const modelsQuery = queryOptions({
  queryKey: ["models"],
  queryFn: async () => (await unwrap(http.GET("/api/models", { params: { query: { page_size: 200 } } }))).items,
  staleTime: 10_000,
});

export async function startTask(body: StartTask): Promise<string> {
  const started = await unwrap(http.POST("/api/start", { body }));
  return started.task_id ?? "";
}

export async function previewTask(body: StartTask): Promise<PreviewRow[]> {
  const answer = await unwrap(http.POST("/api/start", { body: { ...body, preview: true } }));
  return (answer.preview ?? []) as PreviewRow[];
}

export async function stopTask(taskId: string): Promise<void> {
  await rest(http.POST("/api/stop/{task_id}", { params: { path: { task_id: taskId } } }));
}

export async function resumeTask(taskId: string): Promise<void> {
  await rest(http.POST("/api/resume/{task_id}", { params: { path: { task_id: taskId } } }));
}

export async function deleteTask(taskId: string): Promise<void> {
  await rest(http.DELETE("/api/task/{task_id}", { params: { path: { task_id: taskId } } }));
}
