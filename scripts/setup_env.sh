#!/usr/bin/env bash
# Check what the product needs, make .env from .env.example with fresh random secrets, and say what comes next.
# An existing .env is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

problems=0
complain() {
  echo "missing: $1" >&2
  problems=1
}
found=""
for candidate in python3.13 python3.12 python3.11 python3; do
  if command -v "$candidate" > /dev/null 2>&1 && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    found=$candidate
    break
  fi
done
[ -n "$found" ] || complain "Python 3.11 or newer (Debian and Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13)"
scripts/check_node.sh || problems=1
command -v make > /dev/null 2>&1 || complain "make (Debian and Ubuntu: apt-get install make)"
if [ "$problems" != 0 ]; then
  echo "Install what is missing and run scripts/setup_env.sh again." >&2
  exit 1
fi

if [ -e .env ]; then
  echo ".env is already there and stays as it is."
else
  umask 077
  # Only the three secrets become settings in force; every other line stays a commented default.
  "$found" - > .env.new <<'PYTHON'
import pathlib, re, secrets

wanted = ("AUTH__SECRET_KEY", "AUTH__DATA_KEY", "AUTH__KEY_PEPPER")
text = pathlib.Path(".env.example").read_text(encoding="utf-8")
for name in wanted:
    text, count = re.subn(rf"^#(TIDEMILL_{name})=.*$", lambda match: f"{match[1]}={secrets.token_urlsafe(48)}", text, flags=re.M)
    if count != 1:
        raise SystemExit(f".env.example has no line for TIDEMILL_{name}; run make openapi")
print(text, end="")
PYTHON
  mv .env.new .env
  echo ".env made from .env.example with fresh secrets (readable by you alone)."
fi
echo "Next: make run"
