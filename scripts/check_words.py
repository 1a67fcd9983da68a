"""Refuse, in tracked files, what must not be committed.

That is: addresses of package registries, paths of one machine, keys and databases, and work put off in a comment. The
patterns are put together from parts so that this file does not hold what it looks for.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REGISTRIES = ("pypi.", "files.pythonhosted.", "registry.npmjs.", "registry.yarnpkg.", "deb.debian.", "proxy.golang.")
HOMES = ("work", "root", "farm", "home/[a-z]+", "Users/[A-Za-z]+")
LATER = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")
PATTERNS = {
    "the address of a package registry": re.compile("|".join(re.escape(name) + "org" for name in REGISTRIES)),
    "a path of one machine": re.compile(r"(?<![\w.$}~*/-])/(" + "|".join(HOMES) + r")/(?!\.)\w"),
    "a private key": re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----"),
    "work put off": re.compile(r"\b(" + "|".join(LATER) + r")\b"),
}
# Files that only an installation may hold.
PRIVATE = re.compile(r"(^|/)(secrets/|\.env$|initial-admin-password$)|\.(key|pem|db|db-wal|gguf)$")
# Made by their tools; the lock files have a check of their own.
EXEMPT = re.compile(r"(^|/)(package-lock\.json|requirements[\w-]*\.lock)$|\.(png|ico|woff2|gz|svg)$")
# A package lock may name no registry either: the build machine's own is used.
RESOLVED = re.compile(r'"resolved": "https?://')


def tracked() -> list[Path]:
    """Return every file that git tracks and that is there."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)  # noqa: S607 - git is git
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def is_private(name: str) -> bool:
    """Tell whether a file is one that only an installation may hold; modules of the same words are not."""
    return PRIVATE.search(name) is not None and not name.endswith((".py", ".ts", ".tsx", ".md"))


def problems(name: str, text: str) -> list[str]:
    """Return ``file:line: what`` for every line of ``text`` that may not be committed."""
    if name.endswith("package-lock.json"):
        return [f"{name}: an address of a package registry"] if RESOLVED.search(text) else []
    if EXEMPT.search(name):
        return []
    return [
        f"{name}:{number}: {what}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in PATTERNS.items()
        if pattern.search(line)
    ]


def main() -> int:
    """Print every problem; 1 when there is one."""
    found: list[str] = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if is_private(name):
            found.append(f"{name}: belongs to one installation")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += problems(name, text)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
