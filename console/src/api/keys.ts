/** API keys of the signed-in user. */
import { queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item } from "./answers";
import { http, rest } from "./client";

export type ApiKey = Item<Answer<"/api/v1/keys", "get">>;
export type NewKey = Body<"/api/v1/keys", "post">;
/** A key as it is right after creation: the only time its secret is told. */
export type CreatedKey = Answer<"/api/v1/keys", "post">;

export const keysQuery = queryOptions({
  queryKey: ["keys"],
  queryFn: async () => (await rest(http.GET("/api/v1/keys", { params: { query: { page_size: 200 } } }))).items,
});

export const createKey = (body: NewKey) => rest(http.POST("/api/v1/keys", { body }));

export async function revokeKey(id: string): Promise<void> {
  await rest(http.POST("/api/v1/keys/{key_id}/revoke", { params: { path: { key_id: id } } }));
}

export async function deleteKey(id: string): Promise<void> {
  await rest(http.DELETE("/api/v1/keys/{key_id}", { params: { path: { key_id: id } } }));
}
