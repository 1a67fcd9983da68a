/** Prices and headers as lines of text, parameters as JSON. Pure. */
import type { Channel } from "@/api/channels";

export type Prices = NonNullable<Channel["prices"]>;
export type Read<T> = { ok: true; value: T } | { ok: false; line: number };

function filled(text: string): [number, string][] {
  return text
    .split("\n")
    .map((line, index): [number, string] => [index + 1, line.trim()])
    .filter(([, line]) => line !== "");
}

/** `model = input / output`, in the same currency for all channels; `*` stands for the rest. */
export function readPrices(text: string): Read<Prices> {
  const value: Prices = {};
  for (const [line, content] of filled(text)) {
    const found = /^(.+?)\s*=\s*(\d+(?:\.\d+)?)\s*(?:\/\s*(\d+(?:\.\d+)?))?$/.exec(content);
    if (!found) return { ok: false, line };
    const [, model = "", input = "0", output = "0"] = found;
    value[model.trim()] = { input: Number(input), output: Number(output) };
  }
  return { ok: true, value };
}

export function writePrices(prices: Prices): string {
  return Object.entries(prices)
    .map(([model, price]) => `${model} = ${price.input ?? 0} / ${price.output ?? 0}`)
    .join("\n");
}

/** `name: value`. */
export function readHeaders(text: string): Read<Record<string, string>> {
  const value: Record<string, string> = {};
  for (const [line, content] of filled(text)) {
    const colon = content.indexOf(":");
    if (colon < 1) return { ok: false, line };
    value[content.slice(0, colon).trim()] = content.slice(colon + 1).trim();
  }
  return { ok: true, value };
}

export function writeHeaders(headers: Record<string, string>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

/** A JSON object; empty text is an empty one. */
export function readObject(text: string): Record<string, unknown> | null {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

export function writeObject(value: Record<string, unknown>): string {
  return Object.keys(value).length === 0 ? "" : JSON.stringify(value, null, 2);
}
