/**
 * Keep the console light: the shell, and what each route adds to it, in gzip'd kilobytes.
 *
 * Reads Vite's manifest. The shell is what the entry loads before any page, with the larger of the two dictionaries;
 * a part's share is every script its dynamic import reaches that the shell has not loaded already.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const SHELL_LIMIT_KB = 170;
const ROUTE_LIMIT_KB = 120;

const out = fileURLToPath(new URL("../../src/tidemill/server/console/", import.meta.url));
const manifest = JSON.parse(readFileSync(join(out, ".vite/manifest.json"), "utf8"));
const sizeKb = (file) => gzipSync(readFileSync(join(out, file)), { level: 9 }).length / 1024;

function reach(key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key]?.imports ?? []) reach(next, seen);
  return seen;
}

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
if (!entry) throw new Error("the manifest has no entry");
const shell = reach(entry);
const weigh = (keys) => [...keys].reduce((sum, key) => sum + sizeKb(manifest[key].file), 0);

const DICTIONARY = /^src\/shared\/i18n\/(zh|en)\/index\.ts$/;
const dynamic = Object.keys(manifest).filter((key) => manifest[key].isDynamicEntry);
const extraKb = (key) => weigh([...reach(key)].filter((part) => !shell.has(part)));
const dictionaryKb = Math.max(...dynamic.filter((key) => DICTIONARY.test(key)).map(extraKb));

const lines = [["shell", weigh(shell) + dictionaryKb, SHELL_LIMIT_KB]];
for (const key of dynamic.filter((name) => !DICTIONARY.test(name)))
  lines.push([key.replace(/^src\//, ""), extraKb(key), ROUTE_LIMIT_KB]);
let over = false;
for (const [name, kb, limit] of lines.sort((a, b) => b[1] - a[1])) {
  over ||= kb > limit;
  console.log(`${kb > limit ? "✗" : "✓"} ${name.padEnd(44)} ${kb.toFixed(1).padStart(7)} KB gz of ${limit}`);
}
if (over) {
  console.error("A bundle is over its budget.");
  process.exit(1);
}
