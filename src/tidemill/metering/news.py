"""Tells watchers what they have used today, at most once a second, after the batch that holds it was committed.

Each user's sums go to topic ``usage.{user_id}``, and keyed by user to ``usage`` for administrators. They are totals,
not differences, so that a folded or lost one does no harm.
"""

import asyncio
from collections.abc import Sequence
from datetime import date

import msgspec
from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.metering import repository
from tidemill.metering.contracts import UsageEvent
from tidemill.platform.db import Database
from tidemill.platform.events import EventBus
from tidemill.platform.tasks import TaskOwner

EVERYBODYS = "usage"
INTERVAL_S = 1.0
# Users of one look; the next ones come a second later.
MOST = 500
_SCOPE = SystemScope(SystemReason.USAGE_JOURNAL)
_encode = msgspec.json.Encoder().encode


class UsageToday(Struct, frozen=True):
    """A user's calls since midnight (UTC)."""

    user_id: int
    day: date
    requests: int
    errors: int
    request_tokens: int
    response_tokens: int
    total_tokens: int


def topic_of(user_id: int) -> str:
    """Return the topic of one user's usage."""
    return f"{EVERYBODYS}.{user_id}"


class UsageNews:
    """The news of what one process's journal brought into the database."""

    def __init__(self, db: Database, events: EventBus) -> None:
        self._db = db
        self._events = events
        self._users: dict[int, None] = {}
        self._telling = False
        self._tasks = TaskOwner()

    def took(self, events: Sequence[UsageEvent]) -> None:
        """Note whose calls were committed; never waits."""
        self._users.update(dict.fromkeys(event.user_id for event in events))
        if not self._telling:
            self._telling = True
            self._tasks.spawn("usage.news", self._tell())

    async def close(self) -> None:
        """Stop telling."""
        await self._tasks.cancel()

    async def _tell(self) -> None:
        try:
            while self._users:
                users = list(self._users)[:MOST]
                for user_id in users:
                    del self._users[user_id]
                await self._tell_of(users)
                await asyncio.sleep(INTERVAL_S)
        finally:
            self._telling = False

    async def _tell_of(self, users: Sequence[int]) -> None:
        midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._db.read() as r:
            rows = await repository.totals_of(r, _SCOPE, users, midnight)
        for row in rows:
            # PostgreSQL sums large integers to decimals.
            totals = {name: int(row[name]) for name in UsageToday.__struct_fields__[2:]}
            payload = _encode(UsageToday(row["user_id"], midnight.date(), **totals))
            for topic in (EVERYBODYS, topic_of(row["user_id"])):
                await self._events.publish(topic, payload, key=str(row["user_id"]))
