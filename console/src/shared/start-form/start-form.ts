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

/** Numbers are typed as text; each by the name the server has for it. */
const NUMBERS = [
  ["rounds", "data_rounds"],
  ["variants", "variants_per_sample"],
  ["sampleLimit", "sample_limit"],
  ["minScore", "min_score"],
  ["maxRetries", "max_retries"],
  ["maxConcurrent", "max_concurrent"],
  ["batchSize", "batch_size"],
  ["budget", "budget"],
  ["seed", "seed"],
] as const;

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
  for (const [field, name] of NUMBERS) {
    const value = typedNumber(form[field]);
    if (value !== undefined) request[name] = value;
  }
  return request;
}

/** The form that sends this request, or null where the form cannot say all of it. Absent fields stay empty. */
export function fromRequest(request: Record<string, unknown>): StartForm | null {
  const { file_id, task_type, model, models, directions, special_prompt, evaluator_model, dedup, language } = request;
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const list = (value: unknown) =>
    Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
  const form: StartForm = {
    fileId: text(file_id),
    taskType: text(task_type),
    models: typeof model === "string" && model !== "" ? [model, ...list(models)] : list(models),
    directions: list(directions),
    specialPrompt: text(special_prompt),
    evaluator: text(evaluator_model),
    dedup: dedup === "off" || dedup === "near" ? dedup : "exact",
    language: language === "zh" || language === "en" ? language : "auto",
    rounds: "",
    variants: "",
    sampleLimit: "",
    minScore: "",
    maxRetries: "",
    maxConcurrent: "",
    batchSize: "",
    budget: "",
    seed: "",
  };
  for (const [field, name] of NUMBERS) form[field] = text(request[name]);
  const sent: Record<string, unknown> = { ...toRequest(form) };
  const same = Object.entries(request).every(
    ([name, value]) =>
      value === null ||
      JSON.stringify(sent[name]) === JSON.stringify(value) ||
      (Array.isArray(value) && value.length === 0) ||
      value === "",
  );
  return same ? form : null;
}
