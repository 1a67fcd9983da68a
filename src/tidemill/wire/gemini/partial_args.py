"""Put a call's arguments together that come in pieces: each says by a path (``$.list[0].name``) where it belongs."""

import re
from itertools import pairwise
from typing import Any, cast

from tidemill.wire.canonical_json import encode
from tidemill.wire.gemini.shapes import PartialArgIn

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
# A list has no more places than this, lest a path of one number ask for gigabytes.
_MOST_PLACES = 10_000


class PartialArguments:
    """The arguments of one call so far."""

    def __init__(self) -> None:
        self._value: dict[str, Any] = {}

    def take(self, pieces: list[PartialArgIn]) -> None:
        """Add pieces; a text that is there already goes on."""
        for piece in pieces:
            steps = [
                int(found.group(2)) if found.group(2) else found.group(1) or found.group(3) or found.group(4) or ""
                for found in _STEP.finditer(piece.json_path)
            ]
            if steps:
                _put(self._value, steps, piece)

    def text(self) -> str:
        """Return the arguments as JSON text."""
        return encode(self._value).decode()


def _put(holder: Any, steps: list[str | int], piece: PartialArgIn) -> None:
    for step, following in pairwise(steps):
        if not _has_room(holder, step):
            return
        if holder[step] is None:
            holder[step] = [] if isinstance(following, int) else {}
        holder = holder[step]
    last = steps[-1]
    if _has_room(holder, last):
        holder[last] = _value(piece, holder[last])


def _has_room(holder: Any, step: str | int) -> bool:
    """Make the place that ``step`` names; returns whether there can be one."""
    if isinstance(holder, dict) and isinstance(step, str):
        cast("dict[str, Any]", holder).setdefault(step, None)
        return True
    if isinstance(holder, list) and isinstance(step, int) and step < _MOST_PLACES:
        places = cast("list[Any]", holder)
        places.extend([None] * (step + 1 - len(places)))
        return True
    return False


def _value(piece: PartialArgIn, before: Any) -> Any:
    if piece.string_value is not None:
        return before + piece.string_value if isinstance(before, str) else piece.string_value
    if piece.number_value is not None:
        number = piece.number_value
        return int(number) if number.is_integer() else number
    return piece.bool_value if piece.bool_value is not None else before
