/** Generated rows as text: one line for lists, indented for reading. */

export function parsedContent(content: unknown): unknown {
  if (typeof content !== "string") return content;
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}

export function pretty(content: unknown): string {
  const value = parsedContent(content);
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

const LINE_LENGTH = 240;

/** JSON that was cut short cannot be parsed; its values can still be told from its keys, which a colon follows. */
function valuesOfCut(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)(?:"(\s*:)?|$)/g)]
    .filter((match) => match[2] === undefined)
    .map((match) => (match[1] ?? "").replaceAll("\\n", " ").replaceAll('\\"', '"'));
}

/** The words of a row without its braces: what one skims a list by. */
export function oneLine(content: unknown): string {
  const words: string[] = [];
  let length = 0;
  const walk = (value: unknown) => {
    if (length > LINE_LENGTH || value === null || value === undefined) return;
    if (typeof value === "object") {
      for (const part of Object.values(value)) walk(part);
      return;
    }
    const text = String(value).replace(/\s+/g, " ").trim();
    if (text === "") return;
    words.push(text);
    length += text.length;
  };
  const parsed = parsedContent(content);
  walk(typeof parsed === "string" && /^\s*[{[]/.test(parsed) ? valuesOfCut(parsed) : parsed);
  return words.join(" · ").slice(0, LINE_LENGTH);
}
