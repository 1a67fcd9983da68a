"""Alerts over a fresh database, with ways out that remember, and a worker that runs their jobs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.pages import PageRequest
from tidemill.operations.alerts.contracts import AlertFilter, AlertView, AlertWish, Words
from tidemill.operations.alerts.ports import Message, Undelivered, WayOut
from tidemill.operations.alerts.sending import AlertSender, register_alerts
from tidemill.operations.alerts.service import SEND, Alerts
from tidemill.platform.db import Database
from tidemill.platform.events import MemoryEvents
from tidemill.platform.jobs import repository
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.repository import Claimed, End
from tidemill.platform.jobs.rules import Outcome

SYSTEM = SystemScope(SystemReason.CHANNEL_HEALTH)


def wish(key: str = "channel_down:1", **fields: Any) -> AlertWish:
    given: dict[str, Any] = {
        "kind": "channel_down",
        "severity": "critical",
        "subject_type": "channel",
        "subject_id": "1",
        "dedup_key": key,
        "title": Words("渠道 a 不可用", "Channel a is down"),
        "text": Words("请检查该服务。", "Look at the service."),
        "details": {"channel": "a"},
    }
    return AlertWish(**{**given, **fields})


class Postbox:
    """A way out that keeps messages, or fails as told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failures: list[Undelivered] = []

    async def send(self, message: Message) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.messages.append(message)

    @property
    def told(self) -> list[str]:
        return [message.event for message in self.messages]


class _Context:
    """As much of a job's run as sending looks at."""

    def __init__(self, claimed: Claimed) -> None:
        self.payload = claimed.payload


class Office:
    """The alerts of one installation; ``work`` runs the jobs that are due."""

    def __init__(self, db: Database, ways: Mapping[str, WayOut]) -> None:
        self.db = db
        self.events = MemoryEvents()
        self.engine = JobEngine(db, DatabaseTransport("database"), alone=False, worker=this_process(["api"]))
        self.alerts = Alerts(db, self.engine, ways, self.events)  # pyright: ignore[reportArgumentType]
        self.sender = AlertSender(db, ways, "en")  # pyright: ignore[reportArgumentType]
        register_alerts(self.engine, self.alerts, self.sender)

    async def raise_(self, **fields: Any) -> bool:
        async with self.db.write() as w:
            return await self.alerts.raise_(w, SYSTEM, wish(**fields))

    async def recover(self, key: str = "channel_down:1") -> bool:
        async with self.db.write() as w:
            return await self.alerts.recover(w, SYSTEM, key)

    async def claim(self) -> Sequence[Claimed]:
        async with self.db.write() as w:
            return await repository.claim(w, SYSTEM, "w1", SEND, 100)

    async def runs(self) -> list[Any]:
        """Return what the handler sees of each job that is due."""
        return [_Context(one) for one in await self.claim()]

    async def work(self) -> int:
        """Run every job that is due, once; returns how many."""
        claimed = await self.claim()
        for one in claimed:
            await self.sender.send(_Context(one))  # pyright: ignore[reportArgumentType]
        async with self.db.write() as w:
            await repository.finish(w, SYSTEM, [End(one.lease, Outcome("succeeded"), None) for one in claimed])
        return len(claimed)

    async def all(self, **wanted: Any) -> list[AlertView]:
        return (await self.alerts.page(SYSTEM, AlertFilter(**wanted), PageRequest(page_size=200), "en")).items


Open = Callable[..., Office]


@pytest.fixture
def hook() -> Postbox:
    return Postbox()


@pytest.fixture
def office(database: Database, hook: Postbox) -> Office:
    return Office(database, {"webhook": hook})
