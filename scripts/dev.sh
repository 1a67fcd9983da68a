#!/usr/bin/env bash
# The server, started anew when a Python file changes, beside the console's own development server; both end together.
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'trap - EXIT INT TERM; kill 0' EXIT INT TERM
npm --prefix console run dev &
.venv/bin/python scripts/reload.py src/tidemill -- .venv/bin/tidemill serve &
wait -n
