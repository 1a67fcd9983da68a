"""What the head of an answer says about its body, and what a head may not say.

A head that two readers could take in two ways is refused, for the second reading is how one caller's answer is slipped
to another (RFC 9112, section 11.2). llhttp has refused lengths that contradict each other before this is asked.
"""

import math
import re
from typing import NamedTuple

MOST_FIELDS = 256
MOST_HEAD_BYTES = 64 * 1024

_SWITCHING = 101
_FIRST_STATUS = 100
_FIRST_FINAL = 200
_BODILESS = frozenset({204, 304})
_TIMEOUT = re.compile(rb"\btimeout *= *\"?(\d{1,6})\b")

Fields = dict[bytes, bytes]


class MalformedError(ValueError):
    """An answer that cannot be trusted."""


class Shape(NamedTuple):
    """A final answer's form. ``has_end``: its body ends by itself; else it lasts until the connection does.

    ``packed``: it says ``content-encoding``. ``patience_s``: how long the service keeps an idle connection.
    """

    has_end: bool
    packed: bool
    patience_s: float


def shape_of(status: int, fields: Fields, read_bytes: int) -> Shape | None:
    """Return the form of an answer, None for one that only announces it (1xx); raises MalformedError.

    ``read_bytes``: how many bytes have come so far, of which the head is a part.
    """
    names = b"\n%b\n" % b"\n".join(fields).lower()
    coded = b"\ntransfer-encoding\n" in names
    sized = b"\ncontent-length\n" in names
    if status < _FIRST_FINAL:
        if status < _FIRST_STATUS or status == _SWITCHING or coded or sized:
            raise MalformedError("a status that cannot stand here")
        return None
    if len(fields) > MOST_FIELDS or (read_bytes > MOST_HEAD_BYTES and _size(fields) > MOST_HEAD_BYTES):
        raise MalformedError("too long a head")
    if coded and _first(fields, b"transfer-encoding") != b"chunked":
        raise MalformedError("a coding other than chunked")
    patience_s = _patience_s(fields) if b"\nkeep-alive\n" in names else math.inf
    return Shape(coded or sized or status in _BODILESS, b"\ncontent-encoding\n" in names, patience_s)


def _patience_s(fields: Fields) -> float:
    """Read ``keep-alive: timeout=5, max=100``."""
    told = _TIMEOUT.search(_first(fields, b"keep-alive"))
    return math.inf if told is None else float(told[1])


def _first(fields: Fields, name: bytes) -> bytes:
    return next(value.strip().lower() for known, value in fields.items() if known.lower() == name)


def _size(fields: Fields) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in fields.items())
