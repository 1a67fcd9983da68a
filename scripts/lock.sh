#!/usr/bin/env bash
# Write the lock files anew: every dependency of each set, pinned and hashed, without an index address.
# requirements.lock is the program, requirements-all.lock adds every extra and what an editable install needs,
# requirements-dev.lock adds the checks and the tests. Arguments go on to uv, e.g. --upgrade or -P litestar.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  local out=$1
  shift
  .venv/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --no-annotate --output-file "$out" "$@"
}
compile requirements.lock "$@"
compile requirements-all.lock --all-extras --group build --constraint requirements.lock "$@"
compile requirements-dev.lock --all-extras --group build --group dev --constraint requirements-all.lock "$@"
