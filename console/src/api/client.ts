/**
 * The typed door to the server. Nothing outside `src/api` may open another one.
 *
 * The session is an HttpOnly cookie that scripts cannot read; writes carry `X-Tidemill: 1`, which a foreign page
 * cannot send, so a forged form changes nothing.
 */
import createClient, { type Middleware } from "openapi-fetch";
import { ApiError, errorFromAnswer, offlineError } from "./errors";
import type { paths } from "./schema";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
const SIGN_IN_PATHS = new Set(["/api/v1/auth/login", "/api/v1/auth/register"]);

const signedOutListeners = new Set<() => void>();

/** Be told when the server no longer knows the session. */
export function onSignedOut(listener: () => void): () => void {
  signedOutListeners.add(listener);
  return () => signedOutListeners.delete(listener);
}

export function announceSignedOut(): void {
  for (const listener of signedOutListeners) listener();
}

export function headersFor(method: string): Record<string, string> {
  const headers: Record<string, string> = { "Accept-Language": document.documentElement.lang || "zh-CN" };
  if (!SAFE.has(method)) headers["X-Tidemill"] = "1";
  return headers;
}

const ourHeaders: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(headersFor(request.method))) request.headers.set(name, value);
    return request;
  },
  onResponse({ request, response }) {
    if (response.status === 401 && !SIGN_IN_PATHS.has(new URL(request.url).pathname)) announceSignedOut();
  },
};

async function send(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw offlineError(cause);
  }
}

export const http = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "http://localhost",
  fetch: send,
  credentials: "same-origin",
});
http.use(ourHeaders);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of an `/api/v1` answer. Raises ApiError. */
export async function rest<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw errorFromAnswer(response, error);
  return data as T;
}

/** What an `/api` envelope holds. Raises ApiError, also for an envelope that arrived without its content. */
export async function unwrap<T>(call: Promise<Answer<{ data?: T }>>): Promise<NonNullable<T>> {
  const body = await rest(call);
  const held = body?.data;
  if (held === undefined || held === null)
    throw new ApiError({ kind: "refused", status: 200, code: "empty", message: "The server's answer was empty." });
  return held;
}
