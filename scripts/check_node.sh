#!/usr/bin/env bash
# The console builds on Node 20.19 or newer; say so before npm fails in its own words.
set -euo pipefail
if ! command -v npm > /dev/null 2>&1; then
  echo "Node.js with npm was not found. Install Node 20.19 or newer (https://nodejs.org) and run make again." >&2
  exit 1
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  echo "Node $(node --version) is too old for the console. Install Node 20.19 or newer and run make again." >&2
  exit 1
fi
