/** A server in a few lines: routes by method and path, everything asked kept for the test to look at. */
import { vi } from "vitest";

export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: unknown;
}

type Answer = unknown | ((asked: Asked) => unknown);

export class Refusal {
  constructor(
    readonly status: number,
    readonly body: unknown,
    readonly headers: Record<string, string> = {},
  ) {}
}

export const envelope = (data: unknown, message = "success") => ({ code: 200, message, data });
export const list = (items: unknown[], total = items.length, next: string | null = null) =>
  envelope({ items, total, page: 1, page_size: 50, next });

/** A body is JSON but for files sent as they are. */
function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function fakeServer(routes: Record<string, Answer>) {
  const asked: Asked[] = [];
  vi.stubGlobal("fetch", async (input: Request | string, init?: RequestInit) => {
    const request = input instanceof Request ? input : new Request(new URL(input, "http://localhost"), init);
    const url = new URL(request.url);
    const text = await request.clone().text();
    const one: Asked = {
      method: request.method,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: text === "" ? undefined : read(text),
    };
    asked.push(one);
    const route = routes[`${one.method} ${one.path}`];
    if (route === undefined) throw new Error(`the fake server has no ${one.method} ${one.path}`);
    const answer = typeof route === "function" ? (route as (asked: Asked) => unknown)(one) : route;
    if (answer instanceof Refusal)
      return new Response(JSON.stringify(answer.body), {
        status: answer.status,
        headers: { "content-type": "application/json", ...answer.headers },
      });
    if (answer === null) return new Response(null, { status: 204 });
    return new Response(JSON.stringify(answer), { status: 200, headers: { "content-type": "application/json" } });
  });
  return {
    asked,
    to: (method: string, path: string) => asked.filter((one) => one.method === method && one.path === path),
  };
}
