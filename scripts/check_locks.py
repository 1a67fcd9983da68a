"""Say whether the lock files still answer pyproject.toml; needs no network.

Every dependency that a set names must be pinned in that set's lock within its limits, every pin must carry hashes, the
three locks must agree with each other, and none may hold an address or a path.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?P<marker> ;[^\\]*)?")
ADDRESS = re.compile(r"https?://|file:|--index|--find-links| @ ")


class Pin(NamedTuple):
    """One pinned version and whether hashes follow it."""

    name: str
    version: Version
    hashed: bool


def pins(text: str) -> list[Pin]:
    """Return what a lock file pins; one name may stand more than once, for different platforms."""
    logical = text.replace("\\\n", " ").splitlines()
    found = [(PIN.match(line), "--hash=sha256:" in line) for line in logical]
    return [
        Pin(canonicalize_name(match["name"]), Version(match["version"]), hashed) for match, hashed in found if match
    ]


def problems_of(name: str, text: str, wanted: list[str]) -> Iterator[str]:
    """Yield, as sentences, what is wrong with lock ``name`` when it should answer ``wanted``."""
    pinned = pins(text)
    if ADDRESS.search(text):
        yield f"{name} holds an address or a path"
    for pin in pinned:
        if not pin.hashed:
            yield f"{name} pins {pin.name} without a hash"
    for line in wanted:
        requirement = Requirement(line)
        versions = [pin.version for pin in pinned if pin.name == canonicalize_name(requirement.name)]
        if not versions:
            yield f"{name} does not pin {requirement.name}"
        for version in versions:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{name} pins {requirement.name} {version}, and pyproject.toml wants {requirement.specifier}"


def disagreements(smaller: str, larger: str) -> Iterator[str]:
    """Yield each pin of the first lock that the second, which holds all of it, has otherwise."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in (smaller, larger)}
    rest = {(pin.name, pin.version) for pin in pins(texts[larger])}
    for pin in pins(texts[smaller]):
        if (pin.name, pin.version) not in rest:
            yield f"{smaller} pins {pin.name} {pin.version} and {larger} does not"


def wanted_by(project: dict[str, Any]) -> dict[str, list[str]]:
    """Return, for each lock, the requirements it has to answer."""
    program: list[str] = project["project"]["dependencies"]
    extras: list[str] = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    groups: dict[str, list[str]] = project["dependency-groups"]
    everything = [*program, *extras, *groups["build"]]
    return {
        "requirements.lock": program,
        "requirements-all.lock": everything,
        "requirements-dev.lock": [*everything, *groups["dev"]],
    }


def main() -> int:
    """Print every problem; 1 when there is one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locks = wanted_by(project)
    found = [
        problem
        for name, wanted in locks.items()
        for problem in problems_of(name, (ROOT / name).read_text(encoding="utf-8"), wanted)
    ]
    names = list(locks)
    for smaller, larger in pairwise(names):
        found += disagreements(smaller, larger)
    for problem in found:
        print(problem)
    if found:
        print("Run `make lock` and commit what it writes.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
