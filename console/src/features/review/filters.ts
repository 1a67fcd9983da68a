/** The workbench's filters as they stand in the address. */
import type { RowFilter, RowStatus } from "@/api/review";
import { numberOf, oneOf, type Search, textOf } from "@/shared/url-state";

export const STATUSES: readonly RowStatus[] = ["accepted", "below_threshold", "needs_review", "rejected"];
export const SORTS = { newest: "-id", oldest: "id", best: "-final_score", worst: "final_score" } as const;
export type SortName = keyof typeof SORTS;
export const SORT_NAMES = Object.keys(SORTS) as SortName[];

export interface ReviewUrl {
  task_id: string | undefined;
  task_type: string | undefined;
  status: RowStatus | undefined;
  confirmed: "yes" | "no" | undefined;
  min: number | undefined;
  max: number | undefined;
  q: string | undefined;
  sort: SortName | undefined;
  row: number | undefined;
}

export function parseReviewUrl(search: Search): ReviewUrl {
  return {
    task_id: textOf(search.task_id),
    task_type: textOf(search.task_type),
    status: oneOf(search.status, STATUSES),
    confirmed: oneOf(search.confirmed, ["yes", "no"]),
    min: numberOf(search.min),
    max: numberOf(search.max),
    q: textOf(search.q),
    sort: oneOf(search.sort, SORT_NAMES),
    row: numberOf(search.row),
  };
}

export function toRowFilter(url: ReviewUrl): RowFilter {
  const filter: RowFilter = {
    task_id: url.task_id,
    task_type: url.task_type,
    status: url.status,
    is_confirmed: url.confirmed === undefined ? undefined : url.confirmed === "yes",
    min_score: url.min,
    max_score: url.max,
    q: url.q,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

export function isNarrowed(url: ReviewUrl): boolean {
  const { row: _row, sort: _sort, ...filters } = url;
  return Object.values(filters).some((value) => value !== undefined);
}
