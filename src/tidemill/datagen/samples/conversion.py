"""Turn a sample file into another format or encoding, beside the original.

Rows are stored alike whatever they came from, so a conversion reads chunks and writes chunks: to JSONL the rows stay
as they are; to CSV every value becomes text under the union of all keys; to UTF-8 only the encoding is a new one.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tidemill.datagen.samples.chunks import Piece
from tidemill.datagen.samples.contracts import FileFormat, LanguageHint
from tidemill.datagen.samples.delivery import renamed
from tidemill.datagen.samples.errors import NothingToConvert, TargetUnknown, TooManyColumns
from tidemill.datagen.samples.intake import Stored
from tidemill.datagen.samples.reader import SampleReader
from tidemill.datagen.samples.render import cell, csv_header, csv_lines
from tidemill.datagen.samples.repository import FileRow, Span
from tidemill.datagen.samples.rows import MAX_COLUMNS
from tidemill.datagen.samples.store import ChunkStore, new_key

Target = Literal["jsonl", "csv", "utf-8"]
_BYTES = 1 << 40


class Source(Struct, frozen=True, kw_only=True):
    """What is converted: a registered file or an upload that is not kept."""

    filename: str
    format: FileFormat
    encoding: str
    columns: list[str]
    language_hint: LanguageHint | None
    chunks: AsyncGenerator[list[bytes]]


def target_of(text: str | None) -> Target:
    """Read a caller's word for the target; raises TargetUnknown."""
    word = (text or "").strip().lower().lstrip(".").replace("_", "-")
    if word == "jsonl":
        return "jsonl"
    if word == "csv":
        return "csv"
    if word in {"utf-8", "utf8"}:
        return "utf-8"
    raise TargetUnknown(text or "")


def of_file(reader: SampleReader, file: FileRow) -> Source:
    """Convert from a registered file."""
    return Source(
        filename=file.filename,
        format=file.format,
        encoding=file.encoding,
        columns=file.columns,
        language_hint=file.language_hint,
        chunks=reader.through(file),
    )


def of_upload(store: ChunkStore, stored: Stored) -> Source:
    """Convert from an upload that is not registered."""

    async def chunks() -> AsyncGenerator[list[bytes]]:
        for new in stored.chunks:
            yield await store.rows(Span(id=0, first=0, **msgspec.structs.asdict(new)))

    return Source(
        filename=stored.filename,
        format=stored.format,
        encoding=stored.encoding,
        columns=stored.columns,
        language_hint=stored.language_hint,
        chunks=chunks(),
    )


def outcome(source: Source, target: Target) -> tuple[str, FileFormat]:
    """Return name and format of the converted file; raises NothingToConvert, TooManyColumns."""
    if target == "utf-8":
        if source.encoding == "utf-8":
            raise NothingToConvert(source.filename, target="UTF-8")
        return source.filename, source.format
    if source.format == target:
        raise NothingToConvert(source.filename, target=target.upper())
    if target == "csv" and len(source.columns) > MAX_COLUMNS:
        raise TooManyColumns(source.filename, limit=MAX_COLUMNS)
    return renamed(source.filename, target), target


async def convert(store: ChunkStore, user_id: int, source: Source, target: Target) -> Stored:
    """Write the converted rows to the object store; the file is not registered yet."""
    filename, file_format = outcome(source, target)
    size = len(csv_header(source.columns)) if file_format == "csv" else 0

    async def pieces() -> AsyncIterator[tuple[int, Piece]]:
        nonlocal size
        slot = 0
        async with aclosing(source.chunks):
            async for rows in source.chunks:
                piece, grown = await asyncio.to_thread(_converted, rows, source, file_format)
                size += grown
                yield slot, piece
                slot += piece.rows

    key = new_key(user_id)
    chunks = await store.put(key, pieces(), max_bytes=_BYTES)
    return Stored(
        key=key,
        filename=filename,
        size=size,
        format=file_format,
        encoding="utf-8",
        columns=source.columns,
        problems=[],
        problem_count=0,
        chunks=chunks,
        language_hint=source.language_hint,
    )


def _converted(rows: list[bytes], source: Source, file_format: FileFormat) -> tuple[Piece, int]:
    """Return a chunk of the new file, and how many bytes it is when written out."""
    kept = rows
    if file_format == "csv":
        if source.format != "csv":
            kept = [_flat(row, source.columns) for row in rows]
        return _piece(kept), len(csv_lines(kept, source.columns))
    piece = _piece(kept)
    return piece, len(piece.data)


def _flat(raw: bytes, columns: Sequence[str]) -> bytes:
    row = msgspec.json.decode(raw, type=dict[str, Any])
    return msgspec.json.encode({column: cell(row.get(column)) for column in columns})


def _piece(rows: list[bytes]) -> Piece:
    return Piece(b"\n".join(rows) + b"\n", len(rows))
