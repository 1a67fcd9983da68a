"""The log of calls: one's own, or everybody's for an administrator; pages by key, and a file of any length."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime

from tidemill.kernel.actor import Scope
from tidemill.kernel.csv_lines import csv_lines, safe_cell
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import decode_cursor, encode_cursor
from tidemill.metering import repository_calls
from tidemill.metering.contracts_calls import CallDetail, CallEntry, CallFilter, CallPage
from tidemill.metering.errors import CallNotFound
from tidemill.metering.repository_calls import Place
from tidemill.platform.db import Database, Row

SLICE_ROWS = 1000
_OLDER, _NEWER = "older", "newer"
_MARK = b"\xef\xbb\xbf"


class CallLog:
    """Answers which calls were made."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, scope: Scope, wanted: CallFilter, *, page_size: int, cursor: str | None = None) -> CallPage:
        """Return calls, newest first; the newest of all arrive about half a second late. Raises BadInput."""
        way, place = _read(cursor)
        newer = way == _NEWER
        async with self._db.read() as r:
            rows = await repository_calls.page(r, scope, wanted, place, page_size + 1, newer=newer)
        more = len(rows) > page_size
        rows = (rows[-page_size:] if newer else rows[:page_size]) if more else rows
        if not rows:
            return CallPage([])
        return CallPage(
            [_entry(row) for row in rows],
            next=_cursor(_OLDER, rows[-1]) if more or newer else None,
            previous=_cursor(_NEWER, rows[0]) if (more if newer else place is not None) else None,
        )

    async def get(self, scope: Scope, call_id: str) -> CallDetail:
        """Return one call; raises CallNotFound, also for somebody else's."""
        if not call_id.isprintable():  # PostgreSQL takes no NUL
            raise CallNotFound(id="?")
        async with self._db.read() as r:
            row = await repository_calls.one(r, scope, call_id)
        if row is None:
            raise CallNotFound(id=call_id)
        return CallDetail(**{name: row[name] for name in CallDetail.__struct_fields__})

    async def csv(self, scope: Scope, wanted: CallFilter, *, mark: bool = False) -> AsyncGenerator[bytes]:
        """Yield the calls as CSV, newest first, slice by slice: no transaction stays open, memory stays flat.

        Texts that a spreadsheet would run as a formula get an apostrophe in front; ``mark`` is for Excel.
        """
        yield (_MARK if mark else b"") + csv_lines([CallEntry.__struct_fields__])
        place: Place | None = None
        while True:
            async with self._db.read() as r:
                rows = await repository_calls.page(r, scope, wanted, place, SLICE_ROWS)
            if rows:
                yield await asyncio.to_thread(_lines, rows)
                place = rows[-1]["created_at"], rows[-1]["id"]
            if len(rows) < SLICE_ROWS:
                return


def _entry(row: Row) -> CallEntry:
    return CallEntry(**{name: row[name] for name in CallEntry.__struct_fields__})


def _lines(rows: Sequence[Row]) -> bytes:
    return csv_lines([_cell(row[name]) for name in CallEntry.__struct_fields__] for row in rows)


def _cell(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else safe_cell(value)


def _cursor(way: str, row: Row) -> str:
    return encode_cursor(way, row["created_at"].astimezone(UTC).isoformat(), row["id"])


def _read(cursor: str | None) -> tuple[str, Place | None]:
    if not cursor:
        return _OLDER, None
    way, at, call_id = decode_cursor(cursor, 3)
    try:
        moment = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None or way not in {_OLDER, _NEWER} or not isinstance(call_id, str):
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before")
    return way, (moment, call_id)
