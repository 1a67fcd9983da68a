/** Generated rows under review: pages by cursor, decisions, edits, export. */
import { infiniteQueryOptions } from "@tanstack/react-query";
import type { Held, Item } from "./answers";
import { http, unwrap } from "./client";
import { toPage } from "./pages";

export type GeneratedRow = Item<Held<"/api/generated_data", "get">>;
export type RowStatus = GeneratedRow["status"];

export interface RowFilter {
  task_id?: string;
  task_type?: string;
  status?: RowStatus;
  is_confirmed?: boolean;
  min_score?: number;
  max_score?: number;
  q?: string;
}

const REVIEW_PAGE_SIZE = 50;

export const rowsUnderReviewQuery = (filter: RowFilter, sort: string) =>
  infiniteQueryOptions({
    queryKey: ["rows", filter, sort],
    queryFn: async ({ pageParam }) =>
      toPage(
        await unwrap(
          http.GET("/api/generated_data", {
            params: { query: { ...filter, sort, page_size: REVIEW_PAGE_SIZE, cursor: pageParam ?? undefined } },
          }),
        ),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    // Decisions are applied to the pages at hand, so that no row moves under the reader's eyes.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });

type Which = { ids: number[] } | { filter: RowFilter };

export async function reviewRows(which: Which, status: "accepted" | "rejected", note?: string) {
  return unwrap(http.POST("/api/generated_data/batch_review", { body: { ...which, status, note } }));
}

export async function confirmRows(which: Which, isConfirmed: boolean) {
  return unwrap(http.POST("/api/generated_data/batch_confirm", { body: { ...which, is_confirmed: isConfirmed } }));
}

export async function updateRow(id: number, dataContent: Record<string, unknown> | string, rowVersion: number) {
  return unwrap(
    http.POST("/api/generated_data/batch_update", {
      body: { items: [{ id, data_content: dataContent, row_version: rowVersion }] },
    }),
  );
}

export type ExportFormat = "jsonl" | "csv" | "json" | "openai" | "alpaca" | "sharegpt";

/** An export's rows; `all` takes every status, while none at all means accepted rows. */
export type ExportFilter = Omit<RowFilter, "status"> & { status?: RowStatus | "all" };

export function exportUrl(filter: ExportFilter, format: ExportFormat, withMeta: boolean): string {
  const query = new URLSearchParams({ format });
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, String(value));
  if (withMeta) query.set("meta", "1");
  return `/api/generated_data/export?${query}`;
}
