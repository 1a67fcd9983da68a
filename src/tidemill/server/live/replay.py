"""What a watcher has missed, read from the database: the present state of whatever changed since its position.

After a restart every watcher comes back within seconds. Those who wait while a reading is under way share the next
one, so a thousand of them cost a few readings. How far back and how much is read is bounded; past it a watcher is told
to read its lists again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from tidemill.platform.db import Database
from tidemill.platform.tasks import TaskOwner
from tidemill.server.live.event import LiveEvent, now_ms
from tidemill.server.live.jobs import TOPIC as JOBS
from tidemill.server.live.jobs import changed_jobs

# Commits become visible a moment after the time they carry, and clocks differ; repeats can be told by their ids.
OVERLAP_MS = 10_000
LONGEST_GAP_MS = 15 * 60_000
MOST = 2_000

Changed = Callable[[datetime, int], Awaitable[tuple[Sequence[LiveEvent], int | None]]]


class Past:
    """What happened since some position; ``complete_from`` says, by topic, from where on nothing is missing."""

    def __init__(self, found: Sequence[LiveEvent], complete_from: dict[str, int]) -> None:
        self._complete_from = complete_from
        self._all = sorted(found, key=lambda event: event.at_ms)
        self._of_user: defaultdict[int | None, list[LiveEvent]] = defaultdict(list)
        for event in self._all:
            self._of_user[event.user_id].append(event)

    def since(self, since_ms: int, topics: frozenset[str], user_id: int | None) -> Sequence[LiveEvent] | None:
        """Return the events of these topics since a position: a user's, or all (None). None: some are missing."""
        if any(self._complete_from.get(topic, 0) > since_ms for topic in topics):
            return None
        found = self._all if user_id is None else self._of_user.get(user_id, ())
        return [event for event in found if event.at_ms >= since_ms and event.topic in topics]


class _Reading:
    def __init__(self, since_ms: int) -> None:
        self.since_ms = since_ms
        self.found: asyncio.Future[Past] = asyncio.get_running_loop().create_future()


class Replays:
    """Reads the past for any number of watchers."""

    def __init__(self, db: Database, others: dict[str, Changed]) -> None:
        self._db = db
        # Topics that other contexts answer for.
        self._others = others
        self._next: _Reading | None = None
        self._turn = asyncio.Lock()
        self._tasks = TaskOwner()
        self.topics = frozenset({JOBS, *others})
        self.readings = 0

    async def since(self, position_ms: int) -> Past | None:
        """Return what happened since a position and a little before; None when that is too long ago."""
        since_ms = min(position_ms, now_ms()) - OVERLAP_MS
        if now_ms() - since_ms > LONGEST_GAP_MS:
            return None
        if self._next is None:
            self._next = _Reading(since_ms)
            self._tasks.spawn("live.replay", self._read(self._next))
        reading = self._next
        reading.since_ms = min(reading.since_ms, since_ms)
        # One who leaves does not take the reading from the others.
        return await asyncio.shield(reading.found)

    async def close(self) -> None:
        """Stop reading."""
        await self._tasks.cancel()

    async def _read(self, reading: _Reading) -> None:
        async with self._turn:
            # From here on a newcomer would need to see what is read: it waits for the next reading.
            self._next = None
            try:
                reading.found.set_result(await self._found_since(reading.since_ms))
            except Exception as error:  # noqa: BLE001 - goes to whoever waits
                reading.found.set_exception(error)
                reading.found.exception()  # and to nobody when all have left
            finally:
                reading.found.cancel()

    async def _found_since(self, since_ms: int) -> Past:
        self.readings += 1
        since = datetime.fromtimestamp(since_ms / 1000, UTC)
        found: list[LiveEvent] = []
        complete_from: dict[str, int] = {}
        async with self._db.read() as r:
            events, first_ms = await changed_jobs(r, since, MOST)
        found.extend(events)
        if first_ms is not None:
            complete_from[JOBS] = first_ms
        for topic, changed in self._others.items():
            events, first_ms = await changed(since, MOST)
            found.extend(events)
            if first_ms is not None:
                complete_from[topic] = first_ms
        return Past(found, complete_from)
