"""All SQL of sample files. Positions count from 0 at one version; version None means the living one."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, update

from tidemill.datagen.samples.contracts import FileFormat
from tidemill.datagen.samples.tables import data_file_chunk as chunk
from tidemill.datagen.samples.tables import data_file_shelf as shelf
from tidemill.datagen.samples.tables import data_files as files
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.db import Reader, Row, Writer, upsert

SHELF_SLOTS = 1 << 16
_IN_LIMIT = 500
_COLUMNS = [column for column in files.c if column.name != "file_content"]


class FileRow(Struct, frozen=True, kw_only=True):
    """A row of ``data_files`` without its blob."""

    id: int
    filename: str
    file_size: int
    content_type: str
    user_id: int
    created_at: datetime
    updated_at: datetime
    object_key: str
    format: FileFormat
    encoding: str
    columns: list[str]
    problems: list[Any]
    problem_count: int
    row_count: int
    next_slot: int
    version: int
    language_hint: Any


class Span(Struct, frozen=True, kw_only=True):
    """A chunk and where it is; ``first`` is the position of its first row at the version that was asked for."""

    id: int
    ord: int
    rows: int
    object_key: str
    offset: int
    length: int
    first: int


class NewChunk(Struct, frozen=True, kw_only=True):
    """A chunk to be born."""

    ord: int
    rows: int
    object_key: str
    offset: int
    length: int


class Change(Struct, frozen=True, kw_only=True):
    """One edit of a file, ready to be committed against the version it was made from."""

    dead: list[Span]
    born: list[NewChunk]
    row_count: int
    file_size: int
    next_slot: int
    columns: list[str]


def _owned(scope: Scope) -> list[ColumnElement[bool]]:
    owner = owner_filter(scope)
    return [] if owner is None else [files.c.user_id == owner]


def _visible(version: int | None) -> ColumnElement[bool]:
    if version is None:
        return chunk.c.dead_version.is_(None)
    return and_(chunk.c.born_version <= version, or_(chunk.c.dead_version.is_(None), chunk.c.dead_version > version))


async def get(r: Reader, scope: Scope, file_id: int, *, hold: bool = False) -> FileRow | None:
    """Return one file, None when it is not there for ``scope``.

    ``hold`` keeps its version from moving until the transaction ends (PostgreSQL; SQLite has one writer anyway).
    """
    stmt = select(*_COLUMNS).where(files.c.id == file_id, *_owned(scope))
    row = await r.first(stmt.with_for_update(read=True) if hold else stmt)
    return _file(row) if row else None


async def get_many(r: Reader, scope: Scope, file_ids: Sequence[int]) -> dict[int, FileRow]:
    """Return those of ``file_ids`` (at most 500) that are there for ``scope``."""
    rows = await r.all(select(*_COLUMNS).where(files.c.id.in_(file_ids), *_owned(scope)))
    return {row["id"]: _file(row) for row in rows}


async def page(
    r: Reader, scope: Scope, *, text: str | None, after: int | None, offset: int, limit: int
) -> list[FileRow]:
    """Return files, newest first; ``after`` is the id of the last one seen."""
    stmt = _named(select(*_COLUMNS).where(*_owned(scope)), text)
    if after is not None:
        stmt = stmt.where(files.c.id < after)
    rows = await r.all(stmt.order_by(files.c.id.desc()).offset(offset).limit(limit))
    return [_file(row) for row in rows]


async def count(r: Reader, scope: Scope, *, text: str | None) -> int:
    """Count the files that ``page`` would list."""
    return int(await r.scalar(_named(select(func.count()).select_from(files).where(*_owned(scope)), text)))


def _named(stmt: Select[Any], text: str | None) -> Select[Any]:
    return stmt.where(files.c.filename.icontains(text, autoescape=True)) if text else stmt


async def add(w: Writer, scope: Scope, values: dict[str, Any], chunks: Sequence[NewChunk]) -> int:
    """Insert a file at version 1 with its chunks; ``user_id`` comes from the scope unless ``values`` has one."""
    owner = owner_filter(scope)
    row = {"file_content": b"", "version": 1, **({} if owner is None else {"user_id": owner}), **values}
    file_id = int(await w.scalar(insert(files).values(**row).returning(files.c.id)))
    await w.run(insert(chunk), [_born(file_id, 1, new) for new in chunks])
    await _shelve(w, file_id, [(new.ord, new.rows) for new in chunks])
    return file_id


async def spans(r: Reader, file_id: int, version: int | None, start: int, end: int) -> list[Span]:
    """Return the chunks that hold positions ``start`` to ``end`` (exclusive), in order.

    The living version (None) costs the same in any file; an older one costs a look at each of its chunks.
    Uses index: ix_data_file_chunk_file_id_dead_version_ord_rows, read without touching the table.
    """
    before, where = 0, [chunk.c.file_id == file_id, _visible(version)]
    if version is None:
        before, low, high = await _shelves(r, file_id, start, end)
        where += [chunk.c.ord >= low, chunk.c.ord < high]
    upto = (func.sum(chunk.c.rows).over(order_by=chunk.c.ord) + before).label("upto")
    sums = select(chunk.c.id, chunk.c.rows, upto).where(*where).subquery()
    first = (sums.c.upto - sums.c.rows).label("first")
    stmt = (
        select(chunk, first)
        .join(sums, sums.c.id == chunk.c.id)
        .where(sums.c.upto > start, sums.c.upto - sums.c.rows < end)
        .order_by(chunk.c.ord)
    )
    return [_span(row) for row in await r.all(stmt)]


async def _shelves(r: Reader, file_id: int, start: int, end: int) -> tuple[int, int, int]:
    """Return the slots of the shelves that hold these positions, and how many rows stand before them."""
    rows = await r.all(select(shelf.c.shelf, shelf.c.rows).where(shelf.c.file_id == file_id).order_by(shelf.c.shelf))
    before = upto = low = high = 0
    for row in rows:
        upto += row["rows"]
        if upto <= start:
            before, low = upto, (row["shelf"] + 1) * SHELF_SLOTS
        high = (row["shelf"] + 1) * SHELF_SLOTS
        if upto >= end:
            break
    return before, low, high


async def _shelve(w: Writer, file_id: int, changes: Iterable[tuple[int, int]]) -> None:
    """Add up rows (negative: taken away) on the shelves of their chunks' slots."""
    sums: dict[int, int] = {}
    for slot, rows in changes:
        sums[slot // SHELF_SLOTS] = sums.get(slot // SHELF_SLOTS, 0) + rows
    for number, rows in sums.items():
        if rows:
            values = {"file_id": file_id, "shelf": number, "rows": rows}
            await w.run(upsert(shelf, ["file_id", "shelf"], values, {"rows": shelf.c.rows + rows}))


async def last_span(r: Reader, file: FileRow) -> Span | None:
    """Return the last living chunk, None for a file without rows."""
    stmt = select(chunk).where(chunk.c.file_id == file.id, _visible(None)).order_by(chunk.c.ord.desc()).limit(1)
    row = await r.first(stmt)
    return _span({**row, "first": file.row_count - row["rows"]}) if row else None


async def spans_after(r: Reader, file_id: int, version: int, after_ord: int, limit: int) -> list[Span]:
    """Return up to ``limit`` chunks behind ``after_ord`` (-1: from the start), for reading a file through.

    Their ``first`` is not known here and stays 0.
    """
    stmt = select(chunk).where(chunk.c.file_id == file_id, _visible(version), chunk.c.ord > after_ord)
    return [_span({**row, "first": 0}) for row in await r.all(stmt.order_by(chunk.c.ord).limit(limit))]


async def commit(w: Writer, scope: Scope, file: FileRow, change: Change, now: datetime) -> bool:
    """Put ``change`` into force as the version after ``file.version``; False when the file has moved on."""
    version = file.version + 1
    moved = await w.run(
        update(files)
        .where(files.c.id == file.id, files.c.version == file.version, *_owned(scope))
        .values(
            version=version,
            row_count=change.row_count,
            file_size=change.file_size,
            next_slot=change.next_slot,
            columns=change.columns,
            updated_at=now,
        )
    )
    if not moved:
        return False
    for part in _slices([span.id for span in change.dead]):
        await w.run(update(chunk).where(chunk.c.id.in_(part)).values(dead_version=version, dead_at=now))
    await w.run(insert(chunk), [_born(file.id, version, new) for new in change.born])
    taken = [(span.ord, -span.rows) for span in change.dead]
    await _shelve(w, file.id, [*taken, *((new.ord, new.rows) for new in change.born)])
    return True


async def prune(w: Writer, file_id: int, before: datetime, pinned: Sequence[int]) -> list[str]:
    """Delete up to 500 chunks that died before ``before`` and that no version in ``pinned`` shows.

    Returns the object keys that nothing refers to any more.
    """
    dead = select(chunk.c.id, chunk.c.object_key).where(
        chunk.c.file_id == file_id,
        chunk.c.dead_version.is_not(None),
        chunk.c.dead_at < before,
        *(or_(chunk.c.born_version > version, chunk.c.dead_version <= version) for version in pinned),
    )
    rows = await w.all(dead.limit(_IN_LIMIT))
    if not rows:
        return []
    await w.run(delete(chunk).where(chunk.c.id.in_([row["id"] for row in rows])))
    keys = {row["object_key"] for row in rows}
    return sorted(keys - await _referred(w, sorted(keys)))


async def remove(w: Writer, scope: Scope, file_id: int) -> list[str] | None:
    """Delete a file with its chunks; returns their object keys, None when it is not there for ``scope``."""
    keys = await w.all(select(chunk.c.object_key).where(chunk.c.file_id == file_id).distinct())
    own = await w.scalar(delete(files).where(files.c.id == file_id, *_owned(scope)).returning(files.c.object_key))
    return None if own is None else sorted({own, *(row["object_key"] for row in keys)})


async def remove_all(w: Writer, scope: Scope) -> int:
    """Delete every file of ``scope``; returns how many."""
    return await w.run(delete(files).where(*_owned(scope)))


async def keys_of_user(r: Reader, user_id: int) -> list[str]:
    """Return every object key of a user's files."""
    stmt = select(chunk.c.object_key).join(files, files.c.id == chunk.c.file_id).where(files.c.user_id == user_id)
    rows = await r.all(stmt.distinct())
    own = await r.all(select(files.c.object_key).where(files.c.user_id == user_id))
    return sorted({row["object_key"] for row in [*rows, *own]})


async def unknown_keys(r: Reader, keys: Sequence[str]) -> list[str]:
    """Return those of ``keys`` that no file refers to."""
    unknown: list[str] = []
    for part in _slices(keys):
        unknown += sorted(set(part) - await _referred(r, part))
    return unknown


async def _referred(r: Reader, keys: Sequence[str]) -> set[str]:
    in_chunks = await r.all(select(chunk.c.object_key).where(chunk.c.object_key.in_(keys)).distinct())
    in_files = await r.all(select(files.c.object_key).where(files.c.object_key.in_(keys)))
    return {row["object_key"] for row in [*in_chunks, *in_files]}


def _slices(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _IN_LIMIT] for start in range(0, len(values), _IN_LIMIT)]


def _born(file_id: int, version: int, new: NewChunk) -> dict[str, Any]:
    return {
        "file_id": file_id,
        "born_version": version,
        "ord": new.ord,
        "rows": new.rows,
        "object_key": new.object_key,
        "offset": new.offset,
        "length": new.length,
    }


def _file(row: Row) -> FileRow:
    return FileRow(**row)


def _span(row: Any) -> Span:
    return Span(
        id=row["id"],
        ord=row["ord"],
        rows=row["rows"],
        object_key=row["object_key"],
        offset=row["offset"],
        length=row["length"],
        first=int(row["first"]),
    )
