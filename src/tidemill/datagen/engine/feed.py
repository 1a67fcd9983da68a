"""A task's event stream, for any number of watchers on any instance.

Everything is read from the database after it was committed. Watchers of one task share one reading, at most ten a
second, and one ring of recent events; who is behind the ring reads on its own until it has caught up. Nobody is
buffered for: a slow watcher gets what stands there when it is ready again, every row and line in order, and of the
progress only the latest.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen import repository, views
from tidemill.datagen.contracts import credits_text
from tidemill.datagen.repository_run import BELL
from tidemill.kernel import clock
from tidemill.kernel.actor import Scope, SystemReason, SystemScope
from tidemill.kernel.lang import Lang
from tidemill.platform.db import Database, Reader, Row

RING = 2_000
PAGE = 500
# A new watcher without a position sees this much of the past.
PAST = 100
READ_INTERVAL_S = 0.1
FRAME_INTERVAL_S = 0.2
KEEP_ALIVE = b": keep-alive\n\n"
_SYSTEM = SystemScope(SystemReason.GENERATION)


class _Event(Struct, frozen=True):
    """One committed event. ``data`` is what its ``data:`` line holds, but for a log line's language."""

    seq: int
    kind: str
    data: dict[str, Any]


class _Seen(Struct, frozen=True):
    """One reading: the task's row and the events after some position, of one snapshot."""

    row: Row | None
    events: list[_Event]
    complete: bool


class _Feed:
    """One watched task. Invariant: the ring holds every event in (start, end]."""

    def __init__(self, db: Database, task_id: str) -> None:
        self._db = db
        self._task_id = task_id
        self._lock = asyncio.Lock()
        self._ring: deque[_Event] = deque()
        self._start = -1
        self._end = -1
        self._row: Row | None = None
        self._read_s = -READ_INTERVAL_S
        self._stale = True
        self._caught_up = True
        self.rung = asyncio.Event()
        self.watchers = 0

    def ring(self) -> None:
        """Note that something was committed, and wake those who wait."""
        self._stale = True
        self.rung.set()
        self.rung = asyncio.Event()

    async def read(self, after: int) -> _Seen:
        """Return the newest state and up to 500 events after ``after``."""
        async with self._lock:
            if self._stale:
                wait_s = self._read_s + READ_INTERVAL_S - clock.monotonic()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                await self._refresh()
            if after >= self._start:
                events = [event for event in self._ring if event.seq > after][:PAGE]
                return _Seen(self._row, events, len(events) < PAGE and self._caught_up)
        async with self._db.read() as r:
            row = await repository.task(r, _SYSTEM, self._task_id)
            return await _events(r, row, self._task_id, after)

    async def _refresh(self) -> None:
        self._stale = False
        async with self._db.read() as r:
            row = await repository.task(r, _SYSTEM, self._task_id)
            if self._end < 0:
                self._start = self._end = 0 if row is None else row["seq"]
            seen = await _events(r, row, self._task_id, self._end)
        self._read_s = clock.monotonic()
        self._row = row
        self._caught_up = seen.complete
        if not seen.complete:
            self._stale = True
        self._ring.extend(seen.events)
        if seen.events:
            self._end = seen.events[-1].seq
        if seen.complete and row is not None:
            self._end = max(self._end, row["seq"])
        while len(self._ring) > RING:
            self._start = self._ring.popleft().seq


async def _events(r: Reader, row: Row | None, task_id: str, after: int) -> _Seen:
    """Read events in order, without holes: where one of the two sources was cut off, nothing behind it is taken."""
    rows = await repository.rows_since(r, _SYSTEM, task_id, after, PAGE)
    lines = await repository.lines_since(r, _SYSTEM, task_id, after, PAGE)
    found = [*(_row_event(one) for one in rows), *(_Event(line["seq"], line["kind"], line["data"]) for line in lines)]
    found.sort(key=lambda event: event.seq)
    cuts: list[int] = []
    if len(rows) == PAGE:
        cuts.append(rows[-1]["event_seq"])
    if len(lines) == PAGE:
        cuts.append(lines[-1]["seq"])
    if cuts:
        found = [event for event in found if event.seq <= min(cuts)]
    return _Seen(row, found[:PAGE], not cuts and len(found) < PAGE)


def _row_event(row: Row) -> _Event:
    data = {
        "type": "row",
        "id": row["id"],
        "index": row["item_no"],
        "preview": row["preview"],
        "model_score": row["model_score"],
        "rule_score": row["rule_score"],
        "final_score": row["final_score"],
        "status": row["status"],
    }
    return _Event(row["event_seq"], "row", data)


class Feeds:
    """The watched tasks of this process."""

    def __init__(self, db: Database, *, keep_alive_s: float) -> None:
        self._db = db
        self._keep_alive_s = keep_alive_s
        self._feeds: dict[str, _Feed] = {}
        self._closing = asyncio.Event()
        self._subscribed = False

    def __len__(self) -> int:
        """How many tasks are watched."""
        return len(self._feeds)

    def _ring_all(self) -> None:
        for feed in self._feeds.values():
            feed.ring()

    def close(self) -> None:
        """End every stream: the process drains; watchers come back with their position."""
        self._closing.set()
        self._ring_all()

    async def watch(self, scope: Scope, task_id: str, after: int | None, lang: Lang) -> AsyncGenerator[bytes]:
        """Yield the stream as bytes; the caller has checked that ``scope`` may see the task."""
        del scope  # checked by the caller; readings are shared by all watchers
        if not self._subscribed:
            self._subscribed = True
            self._db.subscribe(BELL, self._ring_all)
        feed = self._feeds.setdefault(task_id, _Feed(self._db, task_id))
        feed.watchers += 1
        try:
            async for chunk in self._chunks(feed, after, lang):
                yield chunk
        finally:
            feed.watchers -= 1
            if feed.watchers == 0:
                self._feeds.pop(task_id, None)

    async def _chunks(self, feed: _Feed, after: int | None, lang: Lang) -> AsyncGenerator[bytes]:
        rung = feed.rung
        seen = await feed.read(after if after is not None else 2**62)
        if seen.row is None:
            return
        position = after if after is not None else max(0, seen.row["seq"] - PAST)
        shown = _progress(seen.row, lang)
        yield _frame(position, shown)
        sent_s = clock.monotonic()
        while not self._closing.is_set():
            seen = await feed.read(position)
            chunk, position, shown, ended = _chunk(seen, position, shown, lang)
            if chunk:
                yield chunk
                sent_s = clock.monotonic()
            if ended:
                return
            if seen.complete and not await _within(rung, self._keep_alive_s):
                yield KEEP_ALIVE
            rung = feed.rung
            pause_s = sent_s + FRAME_INTERVAL_S - clock.monotonic()
            if seen.complete and pause_s > 0:
                await asyncio.sleep(pause_s)


def _chunk(seen: _Seen, position: int, shown: dict[str, Any], lang: Lang) -> tuple[bytes, int, dict[str, Any], bool]:
    """Return what to send, the position after it, the progress then shown, and whether the stream has ended."""
    row = seen.row
    if row is None:
        return _frame(position, {"type": "complete", "status": "stopped"}), position, shown, True
    frames: list[bytes] = []
    end: _Event | None = None
    for event in seen.events:
        if event.kind == "complete":
            end = event
            continue
        frames.append(_frame(event.seq, event.data if event.kind == "row" else _line(event.data, lang)))
        position = event.seq
    ended = False
    if seen.complete:
        over = row["status"] not in repository.LIVE
        position = max(position, row["seq"] - 1 if over else row["seq"])
        progress = _progress(row, lang)
        if progress != shown:
            shown = progress
            frames.append(_frame(position, progress))
        if over:
            position = end.seq if end else row["seq"]
            frames.append(_frame(position, {"type": "complete", "status": row["status"]}))
            ended = True
    return b"".join(frames), position, shown, ended


def _line(data: dict[str, Any], lang: Lang) -> dict[str, Any]:
    return {"type": "log", "message": data.get(lang) or data.get("en", ""), "code": data.get("code")}


def _progress(row: Row, lang: Lang) -> dict[str, Any]:
    done = views.current(row)
    rate, eta_s = views.pace(row, clock.now())
    return {
        "type": "progress",
        "current": done,
        "total": row["total"],
        "percent": views.percent(done, row["total"]),
        "status": row["status"],
        "paused_reason": views.paused_sentence(row["paused"], lang),
        **{name: row[name] for name in views.COUNTS},
        "retried": row["retried"],
        "rows_per_s": rate,
        "eta_s": eta_s,
        "tokens": {"input": row["input_tokens"], "output": row["output_tokens"]},
        "cost": credits_text(row["cost_nano"]),
        "services": views.services(row),
    }


def _frame(seq: int, data: dict[str, Any]) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (seq, msgspec.json.encode(data))


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def ended_before(row: Row, after: int | None) -> bool:
    """Tell whether a watcher at ``after`` has seen the end of the task already."""
    return after is not None and row["status"] not in repository.LIVE and after >= row["seq"]
