/** Models that run on the server's own machine. */
import { queryOptions } from "@tanstack/react-query";
import type { Answer } from "./answers";
import { http, rest } from "./client";

export type LocalModel = Answer<"/api/v1/models", "get">["models"][number];
export type LocalModelState = "available" | "starting" | "running" | "stopping" | "failed";

export const localModelsQuery = queryOptions({
  queryKey: ["local-models"],
  queryFn: async () => (await rest(http.GET("/api/v1/models"))).models,
});

export const localLogsQuery = (name: string) =>
  queryOptions({
    queryKey: ["local-models", "logs", name],
    queryFn: async () => (await rest(http.GET("/api/v1/models/{name}/logs", { params: { path: { name } } }))).lines,
  });

export const startLocalModel = (name: string) =>
  rest(http.POST("/api/v1/models/{name}/start", { params: { path: { name } } }));
export const stopLocalModel = (name: string) =>
  rest(http.POST("/api/v1/models/{name}/stop", { params: { path: { name } } }));
