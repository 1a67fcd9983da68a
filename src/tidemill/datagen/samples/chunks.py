"""Rows packed into chunks: the unit that is stored, looked up and copied on write.

A chunk is lines of JSON, each ended by LF; 512 rows or 128 KB, whichever comes first (one row may be larger
alone). Small enough that an edit copies little, large enough that a million rows are some two thousand chunks.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

CHUNK_ROWS = 512
CHUNK_BYTES = 128 * 1024


class Piece(Struct, frozen=True):
    """The bytes of one chunk and how many rows they are."""

    data: bytes
    rows: int


def pack(rows: Iterable[bytes]) -> Iterator[Piece]:
    """Group rows, in order, into chunks within both limits."""
    max_rows, max_bytes = CHUNK_ROWS, CHUNK_BYTES
    held: list[bytes] = []
    size = 0
    for row in rows:
        if held and (len(held) >= max_rows or size + len(row) + 1 > max_bytes):
            yield _piece(held)
            held, size = [], 0
        held.append(row)
        size += len(row) + 1
    if held:
        yield _piece(held)


def unpack(data: bytes) -> list[bytes]:
    """Return the rows of a chunk."""
    return data.split(b"\n")[:-1]


def _piece(rows: list[bytes]) -> Piece:
    return Piece(b"\n".join(rows) + b"\n", len(rows))
