/** A row while it is edited: one text for each field. Pure. */

export interface DraftField {
  name: string;
  /** The field is no text, so it is written as JSON. */
  json: boolean;
  text: string;
}

/** Content that is no object is edited as one JSON value under this name. */
export const WHOLE = "data_content";

export function draftOf(content: unknown): DraftField[] {
  if (typeof content !== "object" || content === null || Array.isArray(content))
    return [{ name: WHOLE, json: true, text: JSON.stringify(content, null, 2) ?? "" }];
  return Object.entries(content).map(([name, value]) =>
    typeof value === "string"
      ? { name, json: false, text: value }
      : { name, json: true, text: JSON.stringify(value, null, 2) },
  );
}

/** The content to send: an object, or JSON text where the row holds no object. */
export type Changed = { ok: true; content: Record<string, unknown> | string } | { ok: false; field: string };

export function changedContent(draft: readonly DraftField[]): Changed {
  const content: Record<string, unknown> = {};
  for (const field of draft) {
    if (!field.json) {
      content[field.name] = field.text;
      continue;
    }
    try {
      content[field.name] = JSON.parse(field.text);
    } catch {
      return { ok: false, field: field.name };
    }
  }
  const whole = draft.length === 1 && draft[0]?.name === WHOLE;
  return { ok: true, content: whole ? JSON.stringify(content[WHOLE]) : content };
}
