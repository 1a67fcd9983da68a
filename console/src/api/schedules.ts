/** Schedules: work that starts by itself, by cron or at one moment. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item } from "./answers";
import { http, rest } from "./client";

export type Schedule = Item<Answer<"/api/v1/schedules", "get">>;
export type Misfire = Schedule["misfire"];
export type ScheduleWish = Body<"/api/v1/schedules", "post">;
export type AnyScheduleWish = Body<"/api/v1/admin/schedules", "post">;
export type ScheduleChange = Body<"/api/v1/schedules/{schedule_id}", "patch">;

const PAGE_SIZE = 100;
const at = (id: string) => ({ path: { schedule_id: id } });

/** Newest first; `all` is everybody's with the program's own, for administrators. */
export const schedulesQuery = (all: boolean) =>
  infiniteQueryOptions({
    queryKey: ["schedules", "list", all],
    queryFn: ({ pageParam }) => {
      const params = { query: { page_size: PAGE_SIZE, cursor: pageParam ?? undefined } };
      return all
        ? rest(http.GET("/api/v1/admin/schedules", { params }))
        : rest(http.GET("/api/v1/schedules", { params }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next ?? null,
    placeholderData: keepPreviousData,
  });

export const createSchedule = (body: ScheduleWish): Promise<Schedule> => rest(http.POST("/api/v1/schedules", { body }));

/** Make one for another user, or (`user_id` null) of the program's own work. */
export const createAnySchedule = (body: AnyScheduleWish): Promise<Schedule> =>
  rest(http.POST("/api/v1/admin/schedules", { body }));

export const changeSchedule = (id: string, body: ScheduleChange, all: boolean): Promise<Schedule> =>
  all
    ? rest(http.PATCH("/api/v1/admin/schedules/{schedule_id}", { params: at(id), body }))
    : rest(http.PATCH("/api/v1/schedules/{schedule_id}", { params: at(id), body }));

export async function deleteSchedule(id: string, all: boolean): Promise<void> {
  if (all) await rest(http.DELETE("/api/v1/admin/schedules/{schedule_id}", { params: at(id) }));
  else await rest(http.DELETE("/api/v1/schedules/{schedule_id}", { params: at(id) }));
}

/** Fire now; answers the job's id. */
export async function runSchedule(id: string, all: boolean): Promise<string> {
  const fired = all
    ? await rest(http.POST("/api/v1/admin/schedules/{schedule_id}/run", { params: at(id) }))
    : await rest(http.POST("/api/v1/schedules/{schedule_id}/run", { params: at(id) }));
  return fired.job_id;
}

/** When a timing fires next, before there is a schedule of it; refused as the schedule would be. */
export const firingsQuery = (timing: { cron?: string; run_at?: string; timezone: string }) =>
  queryOptions({
    queryKey: ["schedules", "firings", timing],
    queryFn: async () => (await rest(http.GET("/api/v1/schedule-firings", { params: { query: timing } }))).next,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  });
