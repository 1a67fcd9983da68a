/** A channel's models as lines of text: `name`, or `public = upstream`. Pure. */

export type ModelLines = { ok: true; models: Record<string, string> } | { ok: false; line: number };

export function readModelLines(text: string): ModelLines {
  const models: Record<string, string> = {};
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const [name = "", ...rest] = line.split("=");
    const shown = name.trim();
    const upstream = rest.length > 0 ? rest.join("=").trim() : shown;
    if (shown === "" || upstream === "") return { ok: false, line: index + 1 };
    models[shown] = upstream;
  }
  return { ok: true, models };
}

export function writeModelLines(models: Readonly<Record<string, string>>): string {
  return Object.entries(models)
    .map(([name, upstream]) => (name === upstream ? name : `${name} = ${upstream}`))
    .join("\n");
}
