/** Where a row came from, read with care: the server may add to it, and old rows may lack parts. */
import { parsedContent } from "@/shared/row-text";

export interface Attempt {
  attempt: number;
  model: string;
  channel: string;
  latencyMs: number | null;
  rule: number | null;
  judge: number | null;
  final: number | null;
  checks: [string, number][];
  criteria: [string, number][];
  reasons: string[];
  failedGates: string[];
  problem: string | null;
}

export interface Lineage {
  sample: { index: number | null; data: unknown } | null;
  direction: string | null;
  round: number | null;
  variant: number | null;
  persona: string | null;
  style: string | null;
  promptVersion: string | null;
  model: string | null;
  channel: string | null;
  latencyMs: number | null;
  tokens: { input: number; output: number } | null;
  attempts: Attempt[];
}

type Part = Record<string, unknown>;

const part = (value: unknown): Part =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Part) : {};
const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
const figures = (value: unknown): [string, number][] =>
  Object.entries(part(value)).filter((entry): entry is [string, number] => typeof entry[1] === "number");

export function readLineage(value: unknown): Lineage {
  const said = part(parsedContent(value));
  const sample = part(said.sample);
  const tokens = part(said.tokens);
  return {
    sample:
      said.sample === undefined || said.sample === null ? null : { index: number(sample.index), data: sample.data },
    direction: text(said.direction),
    round: number(said.round),
    variant: number(said.variant),
    persona: text(said.persona),
    style: text(said.style),
    promptVersion: text(said.prompt_version),
    model: text(said.model),
    channel: text(said.channel),
    latencyMs: number(said.latency_ms),
    tokens: said.tokens ? { input: number(tokens.input) ?? 0, output: number(tokens.output) ?? 0 } : null,
    attempts: (Array.isArray(said.attempts) ? said.attempts : []).map(part).map((attempt, index) => ({
      attempt: number(attempt.attempt) ?? index + 1,
      model: text(attempt.model) ?? "",
      channel: text(attempt.channel) ?? "",
      latencyMs: number(attempt.latency_ms),
      rule: number(attempt.rule_score),
      judge: number(attempt.model_score),
      final: number(attempt.final_score),
      checks: figures(attempt.checks),
      criteria: figures(attempt.criteria),
      reasons: texts(attempt.reasons),
      failedGates: texts(attempt.failed_gates),
      problem: text(attempt.problem),
    })),
  };
}
