/** What the start form holds, how many rows that makes, and what is sent. Pure. */
import type { StartTask } from "@/api/tasks";

export interface StartForm {
  fileId: string;
  taskType: string;
  models: string[];
  directions: string[];
  specialPrompt: string;
  language: "auto" | "zh" | "en";
  rounds: string;
  variants: string;
  sampleLimit: string;
  minScore: string;
  /** Empty: the generating model judges; `none`: rules alone; else a model's name. */
  evaluator: string;
  maxRetries: string;
  dedup: "off" | "exact" | "near";
  maxConcurrent: string;
  batchSize: string;
  budget: string;
  seed: string;
}

export const DEFAULTS: StartForm = {
  fileId: "",
  taskType: "",
  models: [],
  directions: [],
  specialPrompt: "",
  language: "auto",
  rounds: "3",
  variants: "3",
  sampleLimit: "",
  minScore: "8",
  evaluator: "",
  maxRetries: "2",
  dedup: "exact",
  maxConcurrent: "5",
  batchSize: "5",
  budget: "",
  seed: "",
};

/** A typed number, or undefined where nothing (or no number) stands. */
export function typedNumber(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : undefined;
}

export interface TotalRows {
  rows: number;
  rounds: number;
  variants: number;
  total: number;
}

/** `min(rows, sample_limit) × rounds × variants`, as the server counts. */
export function totalRows(form: StartForm, fileRows: number | undefined): TotalRows | null {
  const rounds = typedNumber(form.rounds);
  const variants = typedNumber(form.variants);
  if (fileRows === undefined || !rounds || !variants) return null;
  const limit = typedNumber(form.sampleLimit);
  const rows = limit === undefined ? fileRows : Math.min(fileRows, limit);
  return { rows, rounds, variants, total: rows * rounds * variants };
}

/** The request. Empty fields are left out, so that the server's defaults hold. */
export function toRequest(form: StartForm): StartTask {
  const request: StartTask = {
    file_id: Number(form.fileId),
    task_type: form.taskType,
    language: form.language,
    dedup: form.dedup,
  };
  if (form.models.length > 0) request.models = form.models;
  if (form.directions.length > 0) request.directions = form.directions;
  if (form.specialPrompt.trim() !== "") request.special_prompt = form.specialPrompt.trim();
  if (form.evaluator !== "") request.evaluator_model = form.evaluator;
  const numbers = {
    data_rounds: form.rounds,
    variants_per_sample: form.variants,
    sample_limit: form.sampleLimit,
    min_score: form.minScore,
    max_retries: form.maxRetries,
    max_concurrent: form.maxConcurrent,
    batch_size: form.batchSize,
    budget: form.budget,
    seed: form.seed,
  } as const;
  for (const [field, text] of Object.entries(numbers) as [keyof typeof numbers, string][]) {
    const value = typedNumber(text);
    if (value !== undefined) request[field] = value;
  }
  return request;
}
