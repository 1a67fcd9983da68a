/** Refresh `openapi.json` from the product, where it is installed, and the types from it. */
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const document = join(root, "src/api/openapi.json");
const product = process.env.TIDEMILL_BIN ?? join(root, "../.venv/bin/tidemill");

if (existsSync(product)) {
  const fresh = execFileSync(product, ["openapi"], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  writeFileSync(document, `${JSON.stringify(JSON.parse(fresh), null, 1)}\n`);
} else {
  console.log("tidemill is not installed here: types are made from the document as it is");
}
execFileSync(
  process.execPath,
  [
    join(root, "node_modules/openapi-typescript/bin/cli.js"),
    document,
    "--output",
    join(root, "src/api/schema.d.ts"),
    "--alphabetize",
  ],
  { stdio: "inherit" },
);
