/** The log of calls: one's own, everybody's for administrators. Pages by key: older and newer, never a total. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Answer, Query } from "./answers";
import { http, rest } from "./client";

export type CallPage = Answer<"/api/v1/calls", "get">;
export type Call = CallPage["items"][number];
export type CallDetail = Answer<"/api/v1/calls/{call_id}", "get">;
export type CallFilter = Omit<Query<"/api/v1/calls", "get">, "cursor" | "page_size">;
export type CallStatus = NonNullable<CallFilter["status"]>;

export const CALL_STATUSES = [
  "ok",
  "failed",
  "upstream_error",
  "timeout",
  "refused",
  "client_error",
  "client_gone",
] as const satisfies readonly CallStatus[];

const PAGE_SIZE = 50;

export const callsQuery = (filter: CallFilter, cursor?: string, pageSize = PAGE_SIZE) =>
  queryOptions({
    queryKey: ["calls", "list", filter, cursor ?? null, pageSize],
    queryFn: () => rest(http.GET("/api/v1/calls", { params: { query: { ...filter, cursor, page_size: pageSize } } })),
    placeholderData: keepPreviousData,
  });

export const callQuery = (id: string) =>
  queryOptions({
    queryKey: ["calls", "one", id],
    queryFn: () => rest(http.GET("/api/v1/calls/{call_id}", { params: { path: { call_id: id } } })),
  });

/** The address of the same calls as a CSV file. */
export function callsFile(filter: CallFilter): string {
  const query = new URLSearchParams({ excel: "true" });
  for (const [name, value] of Object.entries(filter))
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  return `/api/v1/calls/export?${query}`;
}
