/** routes → features → shared → ui, a feature never another, and only src/api speaks to the network. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = join(import.meta.dirname, "../src");
const RANK = ["ui", "api", "shared", "features", "routes"];
const NETWORK = /\b(fetch\(|XMLHttpRequest|EventSource|WebSocket|sendBeacon|openapi-fetch)/;

const files = readdirSync(SRC, { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !/\.test\.tsx?$/.test(entry.name))
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)));

function importsOf(file: string): string[] {
  const code = readFileSync(join(SRC, file), "utf8");
  return [...code.matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)]
    .map((match) => match[1] ?? "")
    .filter((path) => path.startsWith("@/") || path.startsWith("."))
    .map((path) => (path.startsWith("@/") ? path.slice(2) : posix.join(posix.dirname(file), path)));
}

const layerOf = (path: string) => path.split("/")[0] ?? "";
const featureOf = (path: string) => (layerOf(path) === "features" ? path.split("/")[1] : undefined);

describe("layers", () => {
  it("finds the sources it is meant to check", () => {
    expect(files.length).toBeGreaterThan(60);
    expect(files.flatMap(importsOf).length).toBeGreaterThan(200);
  });

  it("import only what stands below", () => {
    const upward = files.flatMap((file) => {
      const own = RANK.indexOf(layerOf(file));
      if (own < 0) return []; // main.tsx joins everything
      return importsOf(file)
        .filter((path) => RANK.indexOf(layerOf(path)) > own)
        .map((path) => `${file} → ${path}`);
    });
    expect(upward).toEqual([]);
  });

  it("keep ui free of the server's words", () => {
    expect(
      files
        .filter((file) => layerOf(file) === "ui")
        .flatMap((file) => importsOf(file).filter((path) => layerOf(path) === "api")),
    ).toEqual([]);
  });

  it("keep features apart", () => {
    const crossed = files.flatMap((file) =>
      importsOf(file)
        .filter((path) => featureOf(file) && featureOf(path) && featureOf(file) !== featureOf(path))
        .map((path) => `${file} → ${path}`),
    );
    expect(crossed).toEqual([]);
  });

  it("let only src/api speak to the network", () => {
    const talkers = files.filter(
      (file) =>
        layerOf(file) !== "api" && NETWORK.test(readFileSync(join(SRC, file), "utf8").replace(/refetch\(/g, "")),
    );
    expect(talkers).toEqual([]);
  });
});
