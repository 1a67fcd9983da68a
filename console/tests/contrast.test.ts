/** Every pair of text and ground in tokens.css meets WCAG AA, in light and in dark. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const css = readFileSync(join(import.meta.dirname, "../src/styles/tokens.css"), "utf8");
const TEXT = 4.5;
const SHAPE = 3;

function block(selector: string): Map<string, [number, number, number]> {
  const body = css.slice(css.indexOf(selector)).split("}")[0] ?? "";
  const tokens = new Map<string, [number, number, number]>();
  for (const [, name, l, c, h] of body.matchAll(/--([\w-]+): oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)/g))
    if (name) tokens.set(name, [Number(l), Number(c), Number(h)]);
  return tokens;
}

/** Relative luminance of an OKLCH colour, by way of OKLab and linear sRGB (Ottosson's matrices). */
function luminance([lightness, chroma, hue]: [number, number, number]): number {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const clamp = (value: number) => Math.min(1, Math.max(0, value));
  const red = clamp(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = clamp(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = clamp(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const GROUNDS = ["ground", "panel", "sunken", "hover", "selected"];
const STATES = ["running", "done", "warn", "failed", "idle"];
const PAIRS: [string, string, number][] = [
  ...GROUNDS.flatMap((ground): [string, string, number][] => [
    ["text", ground, TEXT],
    ["text-soft", ground, TEXT],
    ["text-faint", ground, TEXT],
  ]),
  ...STATES.flatMap((state): [string, string, number][] => [
    [state, `${state}-soft`, TEXT],
    [state, "panel", TEXT],
    [state, "ground", TEXT],
  ]),
  ["text", "accent-soft", TEXT],
  ["text-soft", "accent-soft", TEXT],
  ["accent-text", "panel", TEXT],
  ["accent-text", "ground", TEXT],
  ["accent-text", "accent-soft", TEXT],
  ["on-accent", "accent-fill", TEXT],
  ["on-accent", "accent-fill-hover", TEXT],
  ["on-danger", "danger-fill", TEXT],
  ["on-danger", "danger-fill-hover", TEXT],
  ["line-strong", "panel", SHAPE],
  ["line-strong", "ground", SHAPE],
  ["focus", "panel", SHAPE],
  ["focus", "ground", SHAPE],
  ["accent", "panel", SHAPE],
];

describe.each([
  ["light", ":root"],
  ["dark", '[data-theme="dark"]'],
])("%s theme", (_theme, selector) => {
  const tokens = block(selector);
  const of = (name: string) => {
    const token = tokens.get(name);
    if (!token) throw new Error(`tokens.css has no --${name} in ${selector}`);
    return luminance(token);
  };

  it.each(PAIRS)("shows %s on %s with a contrast of at least %d", (front, back, least) => {
    const [one, other] = [of(front), of(back)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    expect(contrast).toBeGreaterThanOrEqual(least);
  });
});

it("defines the same tokens for light and for dark", () => {
  expect([...block('[data-theme="dark"]').keys()].sort()).toEqual([...block(":root").keys()].sort());
});
