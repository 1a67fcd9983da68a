/** Model calls, counted: one's own, or everybody's for an administrator. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Answer } from "./answers";
import { http, rest } from "./client";

export type Usage = Answer<"/api/v1/usage", "get">;
export type UsageHour = Usage["series"][number];

export const PERIODS = { day: 24, week: 24 * 7, month: 24 * 30 } as const;
export type Period = keyof typeof PERIODS;

const HOUR_MS = 3_600_000;

/** The period that ends now and the one before it, for comparison. */
export const usageQuery = (period: Period) =>
  queryOptions({
    queryKey: ["usage", period],
    queryFn: async () => {
      const span = PERIODS[period] * HOUR_MS;
      const now = Date.now();
      const between = (from: number, to: number) =>
        rest(
          http.GET("/api/v1/usage", {
            params: { query: { from: new Date(from).toISOString(), to: new Date(to).toISOString() } },
          }),
        );
      const [current, before] = await Promise.all([between(now - span, now), between(now - 2 * span, now - span)]);
      return { current, before, from: now - span, to: now };
    },
    placeholderData: keepPreviousData,
  });
