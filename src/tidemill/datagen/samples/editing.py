"""Edits of a sample file: each makes the next version by copying only the chunks it touches.

New bytes are written to the object store first; then one short transaction ends the life of the old chunks and brings
forth the new, provided the file still stands at the version the edit was made from. Otherwise the edit is made again
from the newer version. Edits of one file queue up in this process, so that happens only between processes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from tidemill.datagen.samples import chunks, repository
from tidemill.datagen.samples.chunks import Piece, pack
from tidemill.datagen.samples.contracts import Changed, SampleRow
from tidemill.datagen.samples.errors import (
    FileChanged,
    FileNotFound,
    IndicesRefused,
    RowNotFound,
    RowRefused,
    TooManyColumns,
)
from tidemill.datagen.samples.lines import MAX_LINE_BYTES
from tidemill.datagen.samples.ports import LiveTasks
from tidemill.datagen.samples.reader import SampleReader
from tidemill.datagen.samples.render import flat
from tidemill.datagen.samples.repository import Change, FileRow, Span
from tidemill.datagen.samples.rows import MAX_COLUMNS
from tidemill.datagen.samples.store import ChunkStore, new_key
from tidemill.kernel import clock
from tidemill.kernel.actor import UserScope
from tidemill.platform.blobs import Blobs
from tidemill.platform.db import Database, Reader

MAX_INDICES = 100_000
MAX_APPENDED = 10_000
_TRIES = 5
_EDIT_BYTES = 1 << 40
# Readers of other processes finish a page well within this; readers of this process hold a lease.
PRUNE_AFTER_S = 300.0

_Slotted = tuple[int, bytes]
_Plan = Callable[[Reader, FileRow], Awaitable["_Edit"]]


class _Edit(msgspec.Struct, kw_only=True):
    """What an edit will do: the chunks that end, the new rows by slot, and the sums afterwards."""

    dead: list[Span]
    pieces: AsyncIterator[tuple[int, Piece]]
    row_count: int
    grown_bytes: Callable[[], int]
    next_slot: int
    columns: list[str]


class SampleEdits:
    """Replaces, appends and deletes rows."""

    def __init__(self, db: Database, blobs: Blobs, reader: SampleReader, live_tasks: LiveTasks) -> None:
        self._db = db
        self._store = ChunkStore(blobs)
        self._reader = reader
        self._live_tasks = live_tasks
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def replace(
        self, scope: UserScope, file_id: int, index: int, row: Any, *, version: int | None = None
    ) -> SampleRow:
        """Put ``row`` at position ``index``; ``version``, when given, is the one the caller looked at.

        Raises RowNotFound, RowRefused, FileChanged, FileNotFound.
        """
        shown: dict[str, Any] = {}

        async def plan(r: Reader, file: FileRow) -> _Edit:
            nonlocal shown
            if not 0 <= index < file.row_count:
                raise RowNotFound(index=index, rows=file.row_count)
            shown, raw = _accepted(file, row, "data")
            [span] = await repository.spans(r, file.id, None, index, index + 1)
            delta = 0

            async def pieces() -> AsyncIterator[tuple[int, Piece]]:
                nonlocal delta
                rows = await self._store.rows(span)
                delta = len(raw) - len(rows[index - span.first])
                rows[index - span.first] = raw
                for slotted in _packed(_slots(span, rows)):
                    yield slotted

            return _Edit(
                dead=[span],
                pieces=pieces(),
                row_count=file.row_count,
                grown_bytes=lambda: delta,
                next_slot=file.next_slot,
                columns=_columns(file, [shown]),
            )

        await self._edit(scope, file_id, version, plan)
        return SampleRow(index, shown)

    async def append(self, scope: UserScope, file_id: int, items: Sequence[Any]) -> Changed:
        """Put rows behind the last one. Raises RowRefused naming the item, and nothing is added then."""
        if not 1 <= len(items) <= MAX_APPENDED:
            raise RowRefused(f"items: 1 to {MAX_APPENDED} rows", field="items", limit_kb=MAX_LINE_BYTES // 1024)

        async def plan(r: Reader, file: FileRow) -> _Edit:
            accepted = [_accepted(file, item, f"items[{number}]") for number, item in enumerate(items)]
            raw = [text for _, text in accepted]
            tail = await repository.last_span(r, file)
            if tail is not None and (tail.rows > chunks.CHUNK_ROWS // 2 or tail.length > chunks.CHUNK_BYTES // 2):
                tail = None
            first = file.next_slot if tail is None else tail.ord

            async def pieces() -> AsyncIterator[tuple[int, Piece]]:
                kept = [] if tail is None else await self._store.rows(tail)
                for slotted in _packed(enumerate([*kept, *raw], first)):
                    yield slotted

            rows = len(raw) + (tail.rows if tail else 0)
            return _Edit(
                dead=[tail] if tail else [],
                pieces=pieces(),
                row_count=file.row_count + len(raw),
                grown_bytes=lambda: sum(len(text) + 1 for text in raw),
                next_slot=max(file.next_slot, first + rows),
                columns=_columns(file, [shown for shown, _ in accepted]),
            )

        file = await self._edit(scope, file_id, None, plan)
        return Changed(rows=file.row_count, version=file.version, added=len(items))

    async def delete(
        self, scope: UserScope, file_id: int, indices: Sequence[int], *, version: int | None = None
    ) -> Changed:
        """Delete the rows at these positions of the file as it stands before the call; all of them or none.

        A position that is named twice counts once. Raises IndicesRefused, FileChanged, FileNotFound.
        """
        wanted = sorted(set(indices))

        async def plan(r: Reader, file: FileRow) -> _Edit:
            _check_indices(wanted, file.row_count)
            spans = await repository.spans(r, file.id, None, wanted[0], wanted[-1] + 1)
            touched = _touched(spans, wanted)
            removed = 0

            async def survivors() -> AsyncIterator[tuple[bool, list[_Slotted]]]:
                nonlocal removed
                previous = -1
                for number, span, gone in touched:
                    rows = await self._store.rows(span)
                    removed += sum(len(rows[position - span.first]) + 1 for position in gone)
                    kept = [pair for place, pair in enumerate(_slots(span, rows), span.first) if place not in gone]
                    yield number == previous + 1, kept
                    previous = number

            return _Edit(
                dead=[span for _, span, _ in touched],
                pieces=_repacked(survivors()),
                row_count=file.row_count - len(wanted),
                grown_bytes=lambda: -removed,
                next_slot=file.next_slot,
                columns=file.columns,
            )

        file = await self._edit(scope, file_id, version, plan)
        return Changed(rows=file.row_count, version=file.version, deleted=len(wanted))

    async def _edit(self, scope: UserScope, file_id: int, version: int | None, plan: _Plan) -> FileRow:
        lock = self._locks.setdefault(file_id, asyncio.Lock())
        async with lock:
            file: FileRow | None = None
            for _ in range(_TRIES):
                async with self._db.read() as r:
                    file = await repository.get(r, scope, file_id)
                    if file is None:
                        raise FileNotFound(file_id=file_id)
                    if version is not None and version != file.version:
                        raise FileChanged(version=file.version)
                    edit = await plan(r, file)
                changed = await self._apply(scope, file, edit)
                if changed is not None:
                    return changed
        raise FileChanged(version=file.version if file else "?")

    async def _apply(self, scope: UserScope, file: FileRow, edit: _Edit) -> FileRow | None:
        key = new_key(file.user_id)
        unused: list[str] = [key]
        try:
            born = await self._store.put(key, edit.pieces, max_bytes=_EDIT_BYTES)
            change = Change(
                dead=edit.dead,
                born=born,
                row_count=edit.row_count,
                file_size=max(0, file.file_size + edit.grown_bytes()),
                next_slot=edit.next_slot,
                columns=edit.columns,
            )
            # A caller that leaves during the commit does not say how it ended: what is unused then waits for the sweep.
            unused = []
            old: list[str] = []
            async with self._db.write() as w:
                now = clock.now()
                done = await repository.commit(w, scope, file, change, now)
                if done:
                    pinned = await self._live_tasks.pinned_versions(w, file.id)
                    pinned += self._reader.leased_versions(file.id)
                    old = await repository.prune(w, file.id, now - timedelta(seconds=PRUNE_AFTER_S), pinned)
            unused = old if done else [key]
        finally:
            await self._store.discard(unused)
        if not done:
            return None
        return msgspec.structs.replace(
            file,
            version=file.version + 1,
            row_count=change.row_count,
            next_slot=change.next_slot,
            columns=change.columns,
        )


def _accepted(file: FileRow, row: Any, field: str) -> tuple[dict[str, Any], bytes]:
    """Return the row as the file will hold it, and as bytes."""
    if not isinstance(row, dict) or not row:
        raise RowRefused(field=field, limit_kb=MAX_LINE_BYTES // 1024)
    data: dict[str, Any] = flat(row) if file.format == "csv" else row  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - a JSON object
    if file.format == "csv":
        data = {**dict.fromkeys(file.columns, ""), **data}
    raw = msgspec.json.encode(data)
    if len(raw) > MAX_LINE_BYTES:
        raise RowRefused(field=field, limit_kb=MAX_LINE_BYTES // 1024)
    return data, raw


def _columns(file: FileRow, rows: Iterable[dict[str, Any]]) -> list[str]:
    columns = dict.fromkeys(file.columns)
    for row in rows:
        for key in row:
            columns.setdefault(key)
    if len(columns) <= MAX_COLUMNS:
        return list(columns)
    if file.format == "csv":
        raise TooManyColumns(field="items", limit=MAX_COLUMNS)
    return list(columns)[: MAX_COLUMNS + 1]


def _check_indices(wanted: list[int], rows: int) -> None:
    wrong = [position for position in wanted if not 0 <= position < rows]
    if not wanted or len(wanted) > MAX_INDICES or wrong:
        raise IndicesRefused(limit=MAX_INDICES, last=rows - 1, wrong=wrong[0] if wrong else f"a count of {len(wanted)}")


def _slots(span: Span, rows: Sequence[bytes]) -> Iterable[_Slotted]:
    return enumerate(rows, span.ord)


def _packed(rows: Iterable[_Slotted]) -> Iterable[tuple[int, Piece]]:
    """Pack rows into chunks, each with the slot of its first row."""
    held = list(rows)
    done = 0
    for piece in pack(row for _, row in held):
        yield held[done][0], piece
        done += piece.rows


async def _repacked(groups: AsyncIterator[tuple[bool, list[_Slotted]]]) -> AsyncIterator[tuple[int, Piece]]:
    """Pack what is left of chunks; neighbours are joined, so that deleting does not leave a trail of tiny chunks.

    Each group says whether it follows directly on the group before: across a gap stands a chunk that stays.
    """
    held: list[_Slotted] = []
    async for follows, rows in groups:
        if held and (not follows or len(held) >= chunks.CHUNK_ROWS):
            for slotted in _packed(held):
                yield slotted
            held = []
        held += rows
    for slotted in _packed(held):
        yield slotted


def _touched(spans: Sequence[Span], wanted: Sequence[int]) -> list[tuple[int, Span, set[int]]]:
    """Return the chunks that lose rows, with their number among ``spans`` and the positions that go."""
    touched: list[tuple[int, Span, set[int]]] = []
    place = 0
    for number, span in enumerate(spans):
        gone: set[int] = set()
        while place < len(wanted) and wanted[place] < span.first + span.rows:
            gone.add(wanted[place])
            place += 1
        if gone:
            touched.append((number, span, gone))
    return touched
