/** Alerts: what went wrong while nobody was looking. Administrators only. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Answer, Item, Query } from "./answers";
import { http, rest } from "./client";

export type Alert = Item<Answer<"/api/v1/admin/alerts", "get">>;
export type AlertFilter = Omit<Query<"/api/v1/admin/alerts", "get">, "cursor" | "page_size">;
export type AlertStatus = NonNullable<AlertFilter["status"]>;
export type AlertKind = NonNullable<AlertFilter["kind"]>;
export type DeliveryTest = Answer<"/api/v1/admin/alerts/test", "post">;

export const ALERT_STATUSES = ["active", "open", "acknowledged", "recovered"] as const satisfies readonly AlertStatus[];
export const ALERT_KINDS = [
  "channel_down",
  "key_disabled",
  "balance_low",
  "test",
] as const satisfies readonly AlertKind[];

const PAGE_SIZE = 50;
/** The bell counts this far and says "and more" beyond. */
export const COUNTED = 100;

export const alertsQuery = (filter: AlertFilter) =>
  infiniteQueryOptions({
    queryKey: ["alerts", "list", filter],
    queryFn: ({ pageParam }) =>
      rest(
        http.GET("/api/v1/admin/alerts", {
          params: { query: { ...filter, page_size: PAGE_SIZE, cursor: pageParam ?? undefined } },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next ?? null,
    placeholderData: keepPreviousData,
  });

/** Those that nobody has taken up yet, for the bell. */
export const openAlertsQuery = queryOptions({
  queryKey: ["alerts", "open"],
  queryFn: async () =>
    (await rest(http.GET("/api/v1/admin/alerts", { params: { query: { status: "open", page_size: COUNTED } } }))).items,
});

export const acknowledgeAlert = (id: string) =>
  rest(http.POST("/api/v1/admin/alerts/{alert_id}/acknowledge", { params: { path: { alert_id: id } } }));

/** Send a test message by every way that is set up. */
export const testAlerts = () => rest(http.POST("/api/v1/admin/alerts/test"));
