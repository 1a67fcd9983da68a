/** Rows typed by hand: one JSON object a line, or one JSON array. */

export type ParsedRows =
  | { ok: true; rows: Record<string, unknown>[] }
  | { ok: false; line: number; reason: "syntax" | "object" | "empty"; detail: string };

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function parseRows(text: string): ParsedRows {
  const trimmed = text.trim();
  if (trimmed === "") return { ok: false, line: 1, reason: "empty", detail: "" };
  if (trimmed.startsWith("[")) return parseArray(trimmed);
  const rows: JsonObject[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    const parsed = parseObject(line);
    if (!parsed.ok) return { ...parsed, line: index + 1 };
    rows.push(parsed.row);
  }
  return { ok: true, rows };
}

export type ParsedObject = { ok: true; row: JsonObject } | { ok: false; reason: "syntax" | "object"; detail: string };

export function parseObject(text: string): ParsedObject {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? { ok: true, row: value } : { ok: false, reason: "object", detail: "" };
  } catch (error) {
    return { ok: false, reason: "syntax", detail: error instanceof Error ? error.message : String(error) };
  }
}

function parseArray(text: string): ParsedRows {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value) || value.length === 0) return { ok: false, line: 1, reason: "empty", detail: "" };
    const wrong = value.findIndex((item) => !isObject(item));
    if (wrong >= 0) return { ok: false, line: wrong + 1, reason: "object", detail: "" };
    return { ok: true, rows: value as JsonObject[] };
  } catch (error) {
    return { ok: false, line: 1, reason: "syntax", detail: error instanceof Error ? error.message : String(error) };
  }
}
