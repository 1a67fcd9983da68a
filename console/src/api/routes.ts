/** Routing rules, and who would serve a call under them. Administrators only. */
import { queryOptions } from "@tanstack/react-query";
import type { Answer, Body, Item } from "./answers";
import { http, rest } from "./client";

export type Rule = Item<Answer<"/api/v1/admin/routes", "get">>;
export type NewRule = Body<"/api/v1/admin/routes", "post">;
export type RuleChange = Body<"/api/v1/admin/routes/{rule_id}", "patch">;
export type RuleKind = Rule["kind"];
export type Strategy = NonNullable<Rule["strategy"]>;
export type Question = Body<"/api/v1/admin/routes/dry-run", "post">;
export type Forecast = Answer<"/api/v1/admin/routes/dry-run", "post">;
export type Candidate = Forecast["candidates"][number];

export const RULE_KINDS = ["global", "group", "user", "model"] as const satisfies readonly RuleKind[];
export const STRATEGIES = [
  "weighted",
  "round_robin",
  "random",
  "least_in_flight",
  "lowest_latency",
  "least_errors",
  "lowest_price",
  "consistent_hash",
] as const satisfies readonly Strategy[];
export const SCENES = [
  "chat",
  "completion",
  "embeddings",
  "image",
  "speech",
  "transcription",
  "moderation",
  "rerank",
] as const;

const at = (id: number) => ({ path: { rule_id: id } });

export const rulesQuery = queryOptions({
  queryKey: ["routes"],
  queryFn: async () => (await rest(http.GET("/api/v1/admin/routes"))).items,
});

export const addRule = (body: NewRule) => rest(http.POST("/api/v1/admin/routes", { body }));

export const changeRule = (id: number, body: RuleChange) =>
  rest(http.PATCH("/api/v1/admin/routes/{rule_id}", { params: at(id), body }));

export async function deleteRule(id: number): Promise<void> {
  await rest(http.DELETE("/api/v1/admin/routes/{rule_id}", { params: at(id) }));
}

/** Who would serve this call now? Nothing is called or counted by asking. */
export const forecast = (body: Question) => rest(http.POST("/api/v1/admin/routes/dry-run", { body }));
