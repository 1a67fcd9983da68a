/** Chinese and English say the same things with the same placeholders, and every key that is used exists. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import en from "@/shared/i18n/en";
import zh from "@/shared/i18n/zh";

type Tree = { [key: string]: string | Tree };

function leaves(tree: Tree, path = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]): [string, string][] =>
    typeof value === "string" ? [[`${path}${key}`, value]] : leaves(value, `${path}${key}.`),
  );
}

/** English has a singular that Chinese lacks; both stand for one key. */
const keyOf = (path: string) => path.replace(/_(one|other)$/, "");
const placeholders = (text: string) => [...new Set(text.match(/\{\{[^}]+\}\}/g) ?? [])].sort();

const zhLeaves = leaves(zh);
const enLeaves = leaves(en);

describe("dictionaries", () => {
  it("have the same keys", () => {
    const keys = (list: [string, string][]) => [...new Set(list.map(([path]) => keyOf(path)))].sort();
    expect(keys(enLeaves)).toEqual(keys(zhLeaves));
  });

  it("have an English singular for every plural", () => {
    const plurals = enLeaves.filter(([path]) => path.endsWith("_other")).map(([path]) => keyOf(path));
    const singulars = enLeaves.filter(([path]) => path.endsWith("_one")).map(([path]) => keyOf(path));
    expect(singulars).toEqual(plurals);
  });

  it("use the same placeholders", () => {
    const chinese = new Map(zhLeaves.map(([path, text]) => [keyOf(path), placeholders(text)]));
    // A singular may leave its number out: "this line".
    for (const [path, text] of enLeaves.filter(([path]) => !path.endsWith("_one")))
      expect([path, placeholders(text)]).toEqual([path, chinese.get(keyOf(path))]);
  });

  it("leave nothing empty", () => {
    expect([...zhLeaves, ...enLeaves].filter(([, text]) => text.trim() === "")).toEqual([]);
  });

  it("put a space between Chinese and Latin letters", () => {
    const glued = zhLeaves.filter(([, text]) => /[\u4e00-\u9fff][A-Za-z]|[A-Za-z][\u4e00-\u9fff]/.test(text));
    expect(glued).toEqual([]);
  });
});

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /(?<!\.test)\.tsx?$/.test(entry.name) && !entry.parentPath.includes("i18n"))
    .map((entry) => join(entry.parentPath, entry.name));
}

it("say everything that the pages say: no Chinese text outside the dictionaries", () => {
  const folder = join(import.meta.dirname, "../src");
  const found = sources(folder).filter((file) => {
    const code = readFileSync(file, "utf8")
      .replace(/\/\*[\s\S]*?\*\//g, "")
      .replace(/\/\/.*$/gm, "");
    return /[\u4e00-\u9fff]/.test(code.replace(/\["language", "english", "中文"\]/, ""));
  });
  expect(found).toEqual([]);
});
