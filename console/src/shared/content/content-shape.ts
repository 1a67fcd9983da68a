/** What kind of content a row holds. Pure. */

export interface Turn {
  role: string;
  content: string;
}

export interface Span {
  start: number;
  end: number;
  label: string;
}

type Part = Record<string, unknown>;
const isPart = (value: unknown): value is Part => typeof value === "object" && value !== null && !Array.isArray(value);

export function isTurnList(value: unknown): value is Turn[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => isPart(item) && typeof item.role === "string" && typeof item.content === "string")
  );
}

/** Entities with offsets into the field `text`. Offsets that do not fit the text are left out rather than guessed. */
export function spansOf(content: object): Span[] {
  const { text, entities } = content as { text?: unknown; entities?: unknown };
  if (typeof text !== "string" || !Array.isArray(entities)) return [];
  const found: Span[] = [];
  for (const entity of entities) {
    if (!isPart(entity)) continue;
    const { start, end, type, value } = entity;
    if (typeof start !== "number" || typeof end !== "number" || start < 0 || end <= start) continue;
    if (typeof value === "string" && codePoints(text).slice(start, end).join("") !== value) continue;
    found.push({ start, end, label: typeof type === "string" ? type : "" });
  }
  return found.sort((one, other) => one.start - other.start);
}

/** The server counts characters, JavaScript counts UTF-16 units. */
const codePoints = (text: string) => Array.from(text);

export interface SpanPart {
  start: number;
  text: string;
  label: string | null;
}

/** The text cut at the spans; a span that overlaps an earlier one is left unmarked. */
export function spanParts(text: string, spans: readonly Span[]): SpanPart[] {
  const letters = codePoints(text);
  const parts: SpanPart[] = [];
  let at = 0;
  const push = (start: number, end: number, label: string | null) => {
    if (end > start) parts.push({ start, text: letters.slice(start, end).join(""), label });
  };
  for (const span of spans) {
    if (span.start < at || span.end > letters.length) continue;
    push(at, span.start, null);
    push(span.start, span.end, span.label);
    at = span.end;
  }
  push(at, letters.length, null);
  return parts;
}

const MAX_TABLE_COLUMNS = 6;

/** A list of objects that hold only plain values, and few enough kinds of them to stand side by side. */
export function isFlatTable(value: unknown): value is Record<string, unknown>[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (item) => isPart(item) && Object.values(item).every((cell) => typeof cell !== "object" || cell === null),
    ) &&
    tableColumns(value as Part[]).length <= MAX_TABLE_COLUMNS
  );
}

export function tableColumns(rows: readonly Record<string, unknown>[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}
