"""Take the journal into the database, each event exactly once.

A batch and the mark of how far its file has been read are one transaction, and the mark moves only from where this
pump last saw it. So a process may be killed anywhere: the next one goes on at the mark. Files whose writer is dead are
taken over by whoever finds them first.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.metering import repository
from tidemill.metering.contracts import UsageEvent
from tidemill.metering.errors import JournalMoved
from tidemill.metering.journal.segments import START, left_over, read_from, segments, taken_over
from tidemill.metering.journal.writer import JournalWriter
from tidemill.metering.rows import Hours, Row, decode_events, event_row
from tidemill.platform.db import Database, Writer
from tidemill.platform.telemetry import get_logger

_SCOPE = SystemScope(SystemReason.USAGE_JOURNAL)
# How often files that other processes left behind are looked for.
ORPHANS_EVERY_S = 30.0
# A mark without a file stays this long; it is 100 bytes, and younger ones may belong to another machine's folder.
_MARK_KEPT = timedelta(days=7)
_RETRY_S = 2.0
# Events worked on at a time: about half a millisecond, here and on the database's thread, which calls have to wait.
SLICE = 100

_log = get_logger("tidemill.metering.pump")


class _Batch(Struct, frozen=True):
    """What one transaction writes. ``slices``: the events' rows, ``SLICE`` at a time."""

    events: list[UsageEvent]
    slices: list[list[Row]]
    hours: list[Row]
    unreadable: int


async def _batch_of(payloads: Sequence[bytes]) -> _Batch:
    """Make a batch, giving way to calls after each slice."""
    events: list[UsageEvent] = []
    slices: list[list[Row]] = []
    hours, unreadable = Hours(), 0
    for start in range(0, len(payloads), SLICE):
        some, lost = decode_events(payloads[start : start + SLICE])
        unreadable += lost
        events.extend(some)
        slices.append([event_row(event) for event in some])
        hours.add(some)
        await asyncio.sleep(0)
    return _Batch(events, slices, hours.rows(), unreadable)


class UsagePump:
    """Moves events from one journal folder to the database, oldest first."""

    def __init__(self, db: Database, folder: Path, writer: JournalWriter | None, *, interval_s: float = 0.5) -> None:
        self._db = db
        self._folder = folder
        self._writer = writer
        self._interval_s = interval_s
        self._marks: dict[str, int | None] = {}
        self._dirty = asyncio.Event()
        self._draining = asyncio.Lock()
        self._looked_for_orphans = float("-inf")
        self.on_batch: Callable[[Sequence[UsageEvent]], None] = lambda _events: None

    def wake(self) -> None:
        """Say that something was appended."""
        self._dirty.set()

    async def run(self) -> None:
        """Move what is there, batch by batch, until cancelled."""
        while True:
            try:
                await self.drain()
                pause_s = self._interval_s
            except Exception:  # noqa: BLE001 - the edge of a background job
                # Whatever the database or disk had, the journal keeps everything meanwhile, and is put on the disk
                # itself should the power fail too.
                _log.exception("usage.batch_failed", retry_s=_RETRY_S)
                await self._sync()
                self._dirty.set()
                pause_s = _RETRY_S
            await asyncio.sleep(pause_s)
            await self._wait(ORPHANS_EVERY_S)

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._dirty.wait()
        except TimeoutError:
            return

    async def _sync(self) -> None:
        if self._writer is not None:
            await asyncio.to_thread(self._writer.sync)

    async def drain(self) -> int:
        """Take in everything written so far; returns how many events that were. One at a time, others wait."""
        async with self._draining:
            return await self._drain()

    async def _drain(self) -> int:
        self._dirty.clear()
        count = 0
        if self._writer is not None:
            self._writer.flush()
            count += await self._take(self._writer.path, self._writer.size)
        if self._writer is None or clock.monotonic() - self._looked_for_orphans >= ORPHANS_EVERY_S:
            self._looked_for_orphans = clock.monotonic()
            count += await self._take_orphans()
        elif self._marks.keys() - {self._writer.path.name}:
            count += await self._take_orphans()  # the file rolled over: finish and drop the old one
        return count

    async def _take_orphans(self) -> int:
        count = 0
        for path in segments(self._folder):
            with taken_over(path) as ours:
                if ours:
                    count += await self._take(path)
                    path.unlink()
                    async with self._db.write() as w:
                        await repository.forget_journal(w, _SCOPE, path.name)
                    self._marks.pop(path.name, None)
        await self._forget_old_marks()
        return count

    async def _forget_old_marks(self) -> None:
        async with self._db.read() as r:
            old = await repository.journals_before(r, _SCOPE, clock.now() - _MARK_KEPT)
        gone = [name for name in old if not (self._folder / name).exists()]
        if gone:
            async with self._db.write() as w:
                for name in gone:  # a handful a year
                    await repository.forget_journal(w, _SCOPE, name)

    async def _take(self, path: Path, end: int | None = None) -> int:
        """Take in ``path`` from its mark to ``end``; None: to its end, for nobody will add to it.

        Bounded, because a busy server appends while a batch is being written: following it to the end of the file
        would be a transaction for every dozen events, without pause.
        """
        count = 0
        while True:
            mark = await self._mark(path.name)
            offset = START if mark is None else mark
            if end is not None and offset >= end:
                return count
            found = read_from(path, offset)
            if found.damaged:
                _log.error("usage.journal_damaged", file=path.name, offset=offset, entries=found.damaged)
            if not found.used:
                if end is None and left_over(path, offset):
                    _log.warning("usage.journal_torn", file=path.name, offset=offset, broken=found.broken)
                return count
            batch = await _batch_of(found.payloads)
            if batch.unreadable:
                _log.error("usage.journal_unreadable", file=path.name, offset=offset, entries=batch.unreadable)
            async with self._db.write() as w:
                await self._advance(w, path.name, mark, offset + found.used)
                for rows in batch.slices:
                    await repository.add_events(w, _SCOPE, rows)
                await repository.add_hours(w, _SCOPE, batch.hours)
            self._marks[path.name] = offset + found.used
            count += len(batch.events)
            self.on_batch(batch.events)

    async def _advance(self, w: Writer, name: str, before: int | None, after: int) -> None:
        if not await repository.move_taken(w, _SCOPE, name, before, after):
            self._marks.pop(name, None)
            raise JournalMoved(file=name)

    async def _mark(self, name: str) -> int | None:
        if name not in self._marks:
            async with self._db.read() as r:
                self._marks[name] = await repository.taken_bytes(r, _SCOPE, name)
        return self._marks[name]
