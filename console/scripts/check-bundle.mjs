/**
 * Keep the console light: the shell, and what each route adds to it, in gzip'd kilobytes.
 *
 * Reads Vite's manifest. The shell is what the entry loads before any page; a route's share is every script its
 * dynamic import reaches that the shell has not loaded already.
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

const lines = [["shell", weigh(shell), SHELL_LIMIT_KB]];
for (const key of manifest[entry].dynamicImports ?? []) {
  const extra = [...reach(key)].filter((part) => !shell.has(part));
  lines.push([key.replace(/^src\//, ""), weigh(extra), ROUTE_LIMIT_KB]);
}
let over = false;
for (const [name, kb, limit] of lines.sort((a, b) => b[1] - a[1])) {
  over ||= kb > limit;
  console.log(`${kb > limit ? "✗" : "✓"} ${name.padEnd(44)} ${kb.toFixed(1).padStart(7)} KB gz of ${limit}`);
}
if (over) {
  console.error("A bundle is over its budget.");
  process.exit(1);
}
