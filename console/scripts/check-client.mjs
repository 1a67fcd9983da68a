/**
 * Fail when the typed client is older than what the server says of itself.
 *
 * First `openapi.json` against the running code (where the Python environment is at hand), then `schema.d.ts`
 * against `openapi.json`. Put right with `npm run generate`.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const document = join(root, "src/api/openapi.json");
const problems = [];

const product = process.env.TIDEMILL_BIN ?? join(root, "../.venv/bin/tidemill");
if (existsSync(product)) {
  const fresh = execFileSync(product, ["openapi"], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const same = JSON.stringify(JSON.parse(fresh)) === JSON.stringify(JSON.parse(readFileSync(document, "utf8")));
  if (!same) problems.push("src/api/openapi.json differs from `tidemill openapi`");
}

const scratch = mkdtempSync(join(tmpdir(), "console-client-"));
try {
  const output = join(scratch, "schema.d.ts");
  execFileSync(
    process.execPath,
    [join(root, "node_modules/openapi-typescript/bin/cli.js"), document, "--output", output, "--alphabetize"],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  if (readFileSync(output, "utf8") !== readFileSync(join(root, "src/api/schema.d.ts"), "utf8"))
    problems.push("src/api/schema.d.ts differs from what openapi.json gives");
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (problems.length > 0) {
  console.error(`The API client is stale:\n${problems.map((line) => `  - ${line}`).join("\n")}\nRun: npm run generate`);
  process.exit(1);
}
console.log("client: up to date");
