/** Channels: the upstream services that answer calls. Administrators only. */
import { queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item } from "./answers";
import { http, rest } from "./client";

export type Channel = Item<Answer<"/api/v1/admin/channels", "get">>;
export type NewChannel = Body<"/api/v1/admin/channels", "post">;
export type ChannelChange = Body<"/api/v1/admin/channels/{channel_id}", "patch">;
export type ChannelTest = Answer<"/api/v1/admin/channels/{channel_id}/test", "post">;

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
