/** Jobs: work that outlives a request. One's own for everybody, all of them and the dead letters for administrators. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item, Query } from "./answers";
import { http, rest } from "./client";

export type Job = Item<Answer<"/api/v1/admin/jobs", "get">>;
export type JobStatus = Job["status"];
export type OwnJob = Answer<"/api/v1/jobs/{job_id}", "get">;
export type JobDetail = Answer<"/api/v1/admin/jobs/{job_id}", "get">;
export type JobEvent = OwnJob["events"][number];
export type Attempt = JobDetail["attempts"][number];
export type Payload = JobDetail["payload"];
export type JobBatch = Body<"/api/v1/admin/jobs/replay", "post">;
export type DeadFilter = NonNullable<JobBatch["filter"]>;
export type JobBatchResult = Answer<"/api/v1/admin/jobs/replay", "post">;
export type BatchAct = "replay" | "discard";

export const JOB_STATES = [
  "queued",
  "retry_wait",
  "running",
  "succeeded",
  "failed",
  "dead",
  "cancelled",
] as const satisfies readonly JobStatus[];

/** What a list is narrowed to; an own list knows `status`, `type` and `queue` only. */
export type JobFilter = Omit<Query<"/api/v1/admin/jobs", "get">, "cursor" | "page_size">;

const PAGE_SIZE = 100;
/** A list that has grown this long is no longer asked for again by itself. */
export const REFRESHED_PAGES = 5;
const at = (id: string) => ({ path: { job_id: id } });

/** Newest first, page after page; `all` is everybody's and for administrators. */
export const jobsQuery = (filter: JobFilter, all: boolean) =>
  infiniteQueryOptions({
    queryKey: ["jobs", "list", all, filter],
    queryFn: ({ pageParam }) => {
      const page = { page_size: PAGE_SIZE, cursor: pageParam ?? undefined };
      if (all) return rest(http.GET("/api/v1/admin/jobs", { params: { query: { ...filter, ...page } } }));
      const { status, type, queue } = filter;
      return rest(http.GET("/api/v1/jobs", { params: { query: { status, type, queue, ...page } } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next ?? null,
    placeholderData: keepPreviousData,
  });

export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: ["jobs", "one", "all", id],
    queryFn: (): Promise<JobDetail> => rest(http.GET("/api/v1/admin/jobs/{job_id}", { params: at(id) })),
  });

export const ownJobQuery = (id: string) =>
  queryOptions({
    queryKey: ["jobs", "one", "own", id],
    queryFn: (): Promise<OwnJob> => rest(http.GET("/api/v1/jobs/{job_id}", { params: at(id) })),
  });

export const cancelJob = (id: string, all: boolean): Promise<Job> =>
  all
    ? rest(http.POST("/api/v1/admin/jobs/{job_id}/cancel", { params: at(id) }))
    : rest(http.POST("/api/v1/jobs/{job_id}/cancel", { params: at(id) }));

export const changeJob = (id: string, body: Body<"/api/v1/admin/jobs/{job_id}", "patch">) =>
  rest(http.PATCH("/api/v1/admin/jobs/{job_id}", { params: at(id), body }));

/** Another life for a dead letter; with `payload`, on that. */
export function replayJob(id: string, payload?: Payload): Promise<Job> {
  const body = payload === undefined ? undefined : { payload };
  // The body may be left out, which the document cannot say.
  return rest(http.POST("/api/v1/admin/jobs/{job_id}/replay", { params: at(id), body: body as { payload: Payload } }));
}

export const discardJob = (id: string) => rest(http.POST("/api/v1/admin/jobs/{job_id}/discard", { params: at(id) }));

export const actOnMany = (act: BatchAct, body: JobBatch): Promise<JobBatchResult> =>
  act === "replay"
    ? rest(http.POST("/api/v1/admin/jobs/replay", { body }))
    : rest(http.POST("/api/v1/admin/jobs/discard", { body }));

/** What `act` would change: nothing is changed by asking. */
export const dryRunQuery = (act: BatchAct, target: Pick<JobBatch, "ids" | "filter">) =>
  queryOptions({
    queryKey: ["job-batch", act, target],
    queryFn: () => actOnMany(act, { ...target, dry_run: true }),
    staleTime: 0,
    gcTime: 0,
  });

const GROUPED_PAGES = 5;
const GROUPED_PAGE_SIZE = 200;

/** The newest dead letters, up to a thousand, for sorting them by what went wrong; `more` when there are others. */
export const deadLettersQuery = queryOptions({
  queryKey: ["jobs", "dead"],
  queryFn: async (): Promise<{ items: Job[]; more: boolean }> => {
    const items: Job[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < GROUPED_PAGES; page += 1) {
      const query = { status: "dead,failed", page_size: GROUPED_PAGE_SIZE, cursor };
      const answer = await rest(http.GET("/api/v1/admin/jobs", { params: { query } }));
      items.push(...answer.items);
      cursor = answer.next ?? undefined;
      if (cursor === undefined) return { items, more: false };
    }
    return { items, more: true };
  },
});
