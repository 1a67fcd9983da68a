/** What differs between two JSON values, place by place. Pure. */

export type JsonChange =
  | { path: string; kind: "added"; after: string }
  | { path: string; kind: "removed"; before: string }
  | { path: string; kind: "changed"; before: string; after: string };

const PLAIN_KEY = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;

export function jsonDiff(before: unknown, after: unknown, path = ""): JsonChange[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, index) => index).flatMap((index) =>
      between(before, after, index, `${path}[${index}]`),
    );
  }
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => between(before, after, key, below(path, key)));
  }
  if (Object.is(before, after)) return [];
  return [{ path: path === "" ? "$" : path, kind: "changed", before: shown(before), after: shown(after) }];
}

function between(before: object, after: object, key: string | number, path: string): JsonChange[] {
  const had = Object.hasOwn(before, key);
  const has = Object.hasOwn(after, key);
  const old: unknown = Reflect.get(before, key);
  const fresh: unknown = Reflect.get(after, key);
  if (had && has) return jsonDiff(old, fresh, path);
  return had ? [{ path, kind: "removed", before: shown(old) }] : [{ path, kind: "added", after: shown(fresh) }];
}

function below(path: string, key: string): string {
  if (!PLAIN_KEY.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? "";
}

export type ReadPayload = { ok: true; value: Record<string, unknown> } | { ok: false; problem: Problem };
export type Problem = { kind: "syntax"; reason: string } | { kind: "shape" } | { kind: "size"; bytes: number };

/** As the server bounds it. */
export const MAX_PAYLOAD_BYTES = 64 * 1024;

export function readPayload(text: string): ReadPayload {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, problem: { kind: "syntax", reason: error instanceof Error ? error.message : String(error) } };
  }
  if (!isObject(value)) return { ok: false, problem: { kind: "shape" } };
  const bytes = new TextEncoder().encode(JSON.stringify(value)).length;
  return bytes > MAX_PAYLOAD_BYTES ? { ok: false, problem: { kind: "size", bytes } } : { ok: true, value };
}
