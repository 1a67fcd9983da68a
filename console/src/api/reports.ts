/** What a task produced, counted. */
import { queryOptions } from "@tanstack/react-query";
import type { Held, Item } from "./answers";
import { http, unwrap } from "./client";
import { toPage } from "./pages";

export type ReportItem = Item<Held<"/api/reports", "get">>;
export type Report = Held<"/api/reports/{task_id}", "get">;

export const reportsQuery = (page: number) =>
  queryOptions({
    queryKey: ["reports", "list", page],
    queryFn: async () => toPage(await unwrap(http.GET("/api/reports", { params: { query: { page, page_size: 50 } } }))),
  });

export const reportQuery = (taskId: string) =>
  queryOptions({
    queryKey: ["reports", "one", taskId],
    queryFn: () => unwrap(http.GET("/api/reports/{task_id}", { params: { path: { task_id: taskId } } })),
  });

export const reportDownloadUrl = (taskId: string, format: "json" | "csv" | "md" | "rows") =>
  `/api/reports/${encodeURIComponent(taskId)}/download?format=${format}`;
