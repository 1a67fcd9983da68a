/** Queues of jobs and the processes that work them off. Administrators only. */
import { queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item } from "./answers";
import { http, rest } from "./client";

export type Queue = Item<Answer<"/api/v1/admin/queues", "get">>;
export type QueueChange = Body<"/api/v1/admin/queues/{name}", "patch">;
export type Worker = Item<Answer<"/api/v1/admin/workers", "get">>;

const at = (name: string) => ({ path: { name } });

export const queuesQuery = queryOptions({
  queryKey: ["queues"],
  queryFn: async () => (await rest(http.GET("/api/v1/admin/queues"))).items,
});

export const workersQuery = queryOptions({
  queryKey: ["workers"],
  queryFn: async () => (await rest(http.GET("/api/v1/admin/workers"))).items,
});

export const changeQueue = (name: string, body: QueueChange) =>
  rest(http.PATCH("/api/v1/admin/queues/{name}", { params: at(name), body }));

export const pauseQueue = (name: string) => rest(http.POST("/api/v1/admin/queues/{name}/pause", { params: at(name) }));
export const resumeQueue = (name: string) =>
  rest(http.POST("/api/v1/admin/queues/{name}/resume", { params: at(name) }));
