"""From an uploaded file on disk to rows in the store: sniff, decode, pack, index, all in one pass and in small steps.

Each step is a slice of one chunk on a worker thread, so a file of 1 GB takes no more memory than one of 1 MB and the
loop stays free for others.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen.samples import repository
from tidemill.datagen.samples.chunks import Piece, pack
from tidemill.datagen.samples.contracts import CONTENT_TYPES, FileFormat, LanguageHint
from tidemill.datagen.samples.encoding import TextForm, detect
from tidemill.datagen.samples.errors import (
    FileEmpty,
    FormatUnknown,
    JsonArray,
    NothingReadable,
    UploadTooLarge,
)
from tidemill.datagen.samples.forms import Spooled
from tidemill.datagen.samples.lines import read_lines
from tidemill.datagen.samples.problems import Problem
from tidemill.datagen.samples.repository import NewChunk
from tidemill.datagen.samples.rows import RowSource, language_hint, open_rows
from tidemill.datagen.samples.store import ChunkStore, new_key
from tidemill.kernel import clock
from tidemill.kernel.actor import UserScope
from tidemill.kernel.errors import TooLarge
from tidemill.kernel.lang import Lang
from tidemill.platform.blobs import Blobs
from tidemill.platform.db import Database, Writer

_BY_ENDING: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
_BY_TYPE: dict[str, FileFormat] = {
    "application/x-jsonlines": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/json": "jsonl",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
}
# Rows repeat the column names that CSV writes once; a file that would grow beyond this is a trap.
_GROWTH_LIMIT = 8


class Stored(Struct, frozen=True, kw_only=True):
    """An upload whose rows are in the object store and whose file is not registered yet."""

    key: str
    filename: str
    size: int
    format: FileFormat
    encoding: str
    columns: list[str]
    problems: list[Problem]
    problem_count: int
    chunks: list[NewChunk]
    language_hint: LanguageHint | None

    @property
    def rows(self) -> int:
        """How many rows were good."""
        return sum(chunk.rows for chunk in self.chunks)


class Intake:
    """Takes uploads in."""

    def __init__(self, db: Database, blobs: Blobs, max_upload_bytes: int) -> None:
        self._db = db
        self._store = ChunkStore(blobs)
        self._max_upload_bytes = max_upload_bytes

    async def store(self, scope: UserScope, spooled: Spooled, encoding: str | None, lang: Lang) -> Stored:
        """Write the rows of ``spooled`` to the object store; raises UploadRefused and its kin, UploadTooLarge."""
        if spooled.fault is not None:
            raise spooled.fault
        if spooled.size == 0:
            raise FileEmpty
        form, file_format = await asyncio.to_thread(_recognise, spooled, encoding or None)
        source = open_rows(spooled.path, form, file_format)
        pieces = pack(source)
        first = await asyncio.to_thread(next, pieces, None)
        if first is None:
            raise await asyncio.to_thread(_why_nothing, spooled.path, form, source, lang)
        key = new_key(scope.user_id)
        limit = max(_GROWTH_LIMIT * self._max_upload_bytes, 1 << 20)
        try:
            chunks = await self._store.put(key, _slotted(first, pieces), max_bytes=limit)
        except TooLarge as error:
            raise UploadTooLarge(str(error), limit_mb=limit // (1024 * 1024)) from None
        return Stored(
            key=key,
            filename=spooled.filename,
            size=spooled.size,
            format=file_format,
            encoding=form.encoding,
            columns=list(source.columns),
            problems=source.problems.first,
            problem_count=source.problems.count,
            chunks=chunks,
            language_hint=language_hint(source),
        )

    async def register(self, w: Writer, scope: UserScope, stored: Stored) -> int:
        """Make a stored upload a file of its owner; returns its id."""
        now = clock.now()
        values: dict[str, Any] = {
            "filename": stored.filename,
            "file_size": stored.size,
            "content_type": CONTENT_TYPES[stored.format],
            "created_at": now,
            "updated_at": now,
            "object_key": stored.key,
            "format": stored.format,
            "encoding": stored.encoding,
            "columns": stored.columns,
            "problems": msgspec.to_builtins(stored.problems),
            "problem_count": stored.problem_count,
            "row_count": stored.rows,
            "next_slot": stored.rows,
            "language_hint": stored.language_hint,
        }
        return await repository.add(w, scope, values, stored.chunks)


async def _slotted(first: Piece, pieces: Iterator[Piece]) -> AsyncIterator[tuple[int, Piece]]:
    slot = 0
    piece: Piece | None = first
    while piece is not None:
        yield slot, piece
        slot += piece.rows
        piece = await asyncio.to_thread(next, pieces, None)


def _recognise(spooled: Spooled, encoding: str | None) -> tuple[TextForm, FileFormat]:
    named = _BY_ENDING.get(Path(spooled.filename).suffix.lower())
    if named is None:
        named = _BY_TYPE.get(spooled.content_type.partition(";")[0].strip().lower())
    form = detect(spooled.path, encoding, json_lines=named == "jsonl")
    if named is not None:
        return form, named
    if _first_line(spooled.path, form).startswith(b"{"):
        return form, "jsonl"
    raise FormatUnknown(spooled.filename)


def _first_line(path: Path, form: TextForm) -> bytes:
    for line in read_lines(path, form):
        text = line.data.strip()
        if text or line.fault:
            return text
    return b""


def _why_nothing(path: Path, form: TextForm, source: RowSource, lang: Lang) -> Exception:
    start = _first_line(path, form)
    if start.startswith(b"[") or start == b"{":
        return JsonArray()
    if not source.problems.first:
        return FileEmpty()
    told = source.problems.first[0].told(lang)
    return NothingReadable(line=told.line, reason=told.reason)
