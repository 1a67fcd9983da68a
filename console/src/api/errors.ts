/**
 * One error for everything that can go wrong between the console and the server.
 *
 * The server speaks two dialects (an envelope below `/api`, RFC 9457 below `/api/v1`); pages should not care.
 */

export interface FieldProblem {
  field: string;
  message: string;
}

export type ApiErrorKind = "offline" | "refused";

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** `offline`: no answer came. `refused`: the server answered with an error. */
  readonly kind: ApiErrorKind;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Business code or problem type, for telling errors apart without reading sentences. */
  readonly code: string;
  readonly detail: string;
  readonly fields: readonly FieldProblem[];
  readonly requestId: string | null;
  /** Seconds to wait before trying again, where the server said so. */
  readonly retryAfterS: number | null;

  constructor(parts: {
    kind: ApiErrorKind;
    status: number;
    code: string;
    message: string;
    detail?: string;
    fields?: readonly FieldProblem[];
    requestId?: string | null;
    retryAfterS?: number | null;
  }) {
    super(parts.message);
    this.kind = parts.kind;
    this.status = parts.status;
    this.code = parts.code;
    this.detail = parts.detail ?? "";
    this.fields = parts.fields ?? [];
    this.requestId = parts.requestId ?? null;
    this.retryAfterS = parts.retryAfterS ?? null;
  }
}

export function isApiError(error: unknown): error is ApiError {
  return error instanceof ApiError;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function fieldProblems(value: unknown): FieldProblem[] {
  if (!Array.isArray(value)) return [];
  return value.map(record).map((item) => ({ field: text(item.field), message: text(item.message) }));
}

/** Seconds from a Retry-After header: a number, or an HTTP date. */
export function retryAfterSeconds(header: string | null, nowMs: number = Date.now()): number | null {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - nowMs) / 1000));
}

/** Read either dialect; `body` is the parsed answer, or its text where it was no JSON. */
export function errorFromAnswer(response: Response, body: unknown): ApiError {
  const said = record(body);
  const problem = text(said.type) !== "" || text(said.title) !== "";
  const message = problem ? text(said.detail) || text(said.title) : text(said.message) || text(said.detail);
  return new ApiError({
    kind: "refused",
    status: response.status,
    code: problem ? text(said.type) : String(said.code ?? response.status),
    message: message || `HTTP ${response.status}`,
    detail: problem ? text(said.title) : text(said.detail),
    fields: fieldProblems(said.errors),
    requestId: response.headers.get("x-request-id") ?? (text(said.request_id) || null),
    retryAfterS: retryAfterSeconds(response.headers.get("retry-after")),
  });
}

export function offlineError(cause: unknown): ApiError {
  return new ApiError({
    kind: "offline",
    status: 0,
    code: "offline",
    message: cause instanceof Error ? cause.message : String(cause),
  });
}
