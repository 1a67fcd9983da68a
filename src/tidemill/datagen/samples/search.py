"""Find the rows of a file that hold a text, reading it through chunk by chunk.

A search looks at no more than 200,000 rows a call; where it stopped is the cursor to go on from.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen.samples.contracts import SampleRow
from tidemill.datagen.samples.language import value_text
from tidemill.datagen.samples.reader import SampleReader
from tidemill.datagen.samples.repository import FileRow

SEARCH_ROWS = 200_000


class Found(Struct, frozen=True):
    """Matching rows; ``total`` is the count of all matches when the whole file was seen, else None.

    ``next`` is the position to search on from, None at the end of the file.
    """

    rows: list[SampleRow]
    total: int | None
    next: int | None


async def search(reader: SampleReader, file: FileRow, text: str, *, start: int, skip: int, limit: int) -> Found:
    """Return matches of ``text`` (any case, in the values) from position ``start``, passing over ``skip`` of them."""
    matches: list[SampleRow] = []
    seen = 0
    position = start
    following: int | None = None
    chunks = reader.through(file, start)
    async with aclosing(chunks):
        async for hits, count in _hits(chunks, text):
            for offset, row in hits:
                seen += 1
                if seen <= skip:
                    continue
                if len(matches) < limit:
                    matches.append(SampleRow(position + offset, row))
                elif following is None:
                    following = position + offset
            position += count
            if position - start >= SEARCH_ROWS and position < file.row_count:
                return Found(matches, None, position if following is None else following)
    return Found(matches, seen if start == 0 else None, following)


async def _hits(
    chunks: AsyncIterator[list[bytes]], text: str
) -> AsyncIterator[tuple[list[tuple[int, dict[str, Any]]], int]]:
    wanted = text.casefold()
    async for rows in chunks:
        yield await asyncio.to_thread(_matching, rows, wanted), len(rows)


def _matching(rows: list[bytes], wanted: str) -> list[tuple[int, dict[str, Any]]]:
    plain = not any(character in wanted for character in '"\\/') and wanted.isprintable()
    found: list[tuple[int, dict[str, Any]]] = []
    for offset, raw in enumerate(rows):
        # Without escapes the text of a value stands in the JSON as it is: most rows are passed over undecoded.
        if plain and b"\\" not in raw and wanted not in raw.decode().casefold():
            continue
        row = msgspec.json.decode(raw, type=dict[str, Any])
        if wanted in value_text(row).casefold():
            found.append((offset, row))
    return found
