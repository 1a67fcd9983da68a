#!/usr/bin/env bash
# Make the virtual environment with $PYTHON if it is set, else the newest Python we test (3.11 to 3.13), else python3.
set -euo pipefail
target=$1
for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
  if command -v "$candidate" > /dev/null 2>&1 \
    && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "making $target with $("$candidate" --version)"
    rm -rf "$target"
    "$candidate" -m venv "$target"
    exit 0
  fi
done
cat >&2 <<'TEXT'
No Python 3.11 or newer with its venv module was found.
Install one (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13) and run make again.
TEXT
exit 1
