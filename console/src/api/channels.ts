/** Channels: the upstream services that answer calls. Administrators only. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item } from "./answers";
import { http, rest } from "./client";

export type Channel = Item<Answer<"/api/v1/admin/channels", "get">>;
export type NewChannel = Body<"/api/v1/admin/channels", "post">;
export type ChannelChange = Body<"/api/v1/admin/channels/{channel_id}", "patch">;
export type ChannelTest = Answer<"/api/v1/admin/channels/{channel_id}/test", "post">;

export type ChannelKey = Channel["keys"][number];
export type ChannelsStats = Answer<"/api/v1/admin/channels/stats", "get">;
export type ChannelStats = ChannelsStats["channels"][number];
export type ChannelReport = Answer<"/api/v1/admin/channels/{channel_id}/stats", "get">;
export type ImportReport = Answer<"/api/v1/admin/channels/import", "post">;

const at = (id: number) => ({ path: { channel_id: id } });

export const channelsQuery = queryOptions({
  queryKey: ["channels"],
  queryFn: async () => (await rest(http.GET("/api/v1/admin/channels"))).items,
});

export const addChannel = (body: NewChannel) => rest(http.POST("/api/v1/admin/channels", { body }));

export const changeChannel = (id: number, body: ChannelChange) =>
  rest(http.PATCH("/api/v1/admin/channels/{channel_id}", { params: at(id), body }));

export async function deleteChannel(id: number): Promise<void> {
  await rest(http.DELETE("/api/v1/admin/channels/{channel_id}", { params: at(id) }));
}

export const testChannel = (id: number, model?: string) =>
  rest(http.POST("/api/v1/admin/channels/{channel_id}/test", { params: at(id), body: { model } }));

export const enableChannel = (id: number) =>
  rest(http.POST("/api/v1/admin/channels/{channel_id}/enable", { params: at(id) }));
export const disableChannel = (id: number) =>
  rest(http.POST("/api/v1/admin/channels/{channel_id}/disable", { params: at(id) }));
export const drainChannel = (id: number) =>
  rest(http.POST("/api/v1/admin/channels/{channel_id}/drain", { params: at(id) }));

export const setChannelKey = (id: number, keyId: string, act: "enable" | "disable") =>
  rest(
    http.POST(`/api/v1/admin/channels/{channel_id}/keys/{key_id}/${act}`, {
      params: { path: { channel_id: id, key_id: keyId } },
    }),
  );

/** What every channel did in the last day, hour by hour, and what it cost today. */
export const channelStatsQuery = queryOptions({
  queryKey: ["channel-stats"],
  queryFn: () => rest(http.GET("/api/v1/admin/channels/stats", { params: { query: { series: true } } })),
  placeholderData: keepPreviousData,
});

export const channelReportQuery = (id: number) =>
  queryOptions({
    queryKey: ["channel-stats", id],
    queryFn: () => rest(http.GET("/api/v1/admin/channels/{channel_id}/stats", { params: at(id) })),
  });

/** Where the browser finds every channel as a file. */
export const CHANNELS_FILE = "/api/v1/admin/channels/export";

/** Make or change channels as a file says (YAML or JSON); a dry run only tells what would become of them. */
export const importChannels = (content: string, dryRun: boolean) =>
  rest(
    http.POST("/api/v1/admin/channels/import", {
      params: { query: { dry_run: dryRun } },
      // The document cannot name a body that is text of either kind.
      body: content as never,
      bodySerializer: (text: unknown) => String(text),
      headers: { "Content-Type": "application/yaml" },
    }),
  );

export type ChannelHealth = Answer<"/api/v1/admin/channels/{channel_id}/health", "get">;
export type ChannelEvent = Item<Answer<"/api/v1/admin/channels/{channel_id}/events", "get">>;
export type HealthStrip = Item<Answer<"/api/v1/admin/health", "get">>;

/** A channel's probes of the last day, in intervals. */
export const channelHealthQuery = (id: number) =>
  queryOptions({
    queryKey: ["channel-health", id],
    queryFn: () => rest(http.GET("/api/v1/admin/channels/{channel_id}/health", { params: at(id) })),
  });

const EVENTS = 100;

/** What befell a channel, newest first. */
export const channelEventsQuery = (id: number) =>
  queryOptions({
    queryKey: ["channel-events", id],
    queryFn: async () =>
      (
        await rest(
          http.GET("/api/v1/admin/channels/{channel_id}/events", {
            params: { ...at(id), query: { page_size: EVENTS } },
          }),
        )
      ).items,
  });

/** Every channel with its last probes, for the dashboard. */
export const healthStripsQuery = queryOptions({
  queryKey: ["channel-health"],
  queryFn: async () => (await rest(http.GET("/api/v1/admin/health", { params: { query: { probes: 30 } } }))).items,
});
