"""How a file becomes a model's name: the stem in lower case, of ``[a-z0-9._-]``."""

import re
from typing import Final

_OUTSIDE: Final = re.compile(r"[^a-z0-9._-]+")
_PART: Final = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})$")
_VALID: Final = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


def from_stem(stem: str) -> str:
    """Return the name for a file stem; a stem without one usable character becomes ``model``."""
    return _OUTSIDE.sub("-", stem.lower()).strip("-._") or "model"


def is_valid(name: str) -> bool:
    """Tell whether ``name`` can be a model's name."""
    return bool(_VALID.match(name))


def part_of(stem: str) -> tuple[str, int, int] | None:
    """Return (stem, number, count) for one file of a split model, None for a whole file."""
    match = _PART.match(stem)
    return (match["stem"], int(match["number"]), int(match["count"])) if match else None


def distinct(name: str, taken: set[str]) -> str:
    """Return ``name``, or the first ``name-2``, ``name-3`` … that is free."""
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
