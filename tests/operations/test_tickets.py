"""With a broker that carries tickets: replayed jobs are announced, markers of the dead are taken away, depths shown."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from tests.operations.conftest import ROOT, SYSTEM, Desk, never
from tidemill.operations.contracts import DeadFilter, JobBatch
from tidemill.operations.facade import JobService, QueueService
from tidemill.platform.db import Database
from tidemill.platform.jobs import JobKind
from tidemill.platform.jobs import engine as engine_module
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.transport import StillDead, Ticket


class Broker(DatabaseTransport):
    """Keeps what it is given."""

    remote = True

    def __init__(self) -> None:
        super().__init__("broker")
        self.published: list[Ticket] = []
        self.buried: list[str] = []
        self.walks = 0
        self.settled = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def publish(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        self.published += tickets
        return tickets

    async def settle_dead(self, still_dead: StillDead) -> int:
        still = await still_dead(self.buried)
        gone = len(self.buried) - len(still)
        self.buried = sorted(still)
        self.walks += 1
        self.settled.set()
        return gone

    async def depths(self) -> Mapping[str, int]:
        await self.answers.wait()
        return {"default": 3}


class Beside(Desk):
    """A desk whose engine has a broker."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.broker = Broker()
        self.engine = JobEngine(db, self.broker, alone=False, worker=this_process(["api"]))
        self.engine.register(JobKind(type="work", handler=never))
        self.jobs = JobService(db, self.engine, {})
        self.queues = QueueService(db, self.engine, 30.0)


@pytest.fixture
async def beside(memory_database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Beside]:
    monkeypatch.setattr(engine_module, "SETTLE_S", 0.05)
    made = Beside(memory_database)
    await made.engine.open()
    yield made
    await made.engine.drain(0)


async def test_replays_are_announced_and_markers_walked_through_once(beside: Beside) -> None:
    dead = [await beside.lost() for _ in range(3)]
    stays = await beside.lost(error="other")
    beside.broker.buried = [*dead, stays]
    async with asyncio.timeout(10):
        while len(beside.broker.published) < 4:
            await asyncio.sleep(0.01)
    beside.broker.published.clear()
    batch = JobBatch(filter=DeadFilter(error_code="boom"), dry_run=False)
    await beside.jobs.replay_many(ROOT, SYSTEM, batch)
    async with asyncio.timeout(10):
        await beside.broker.settled.wait()
        while len(beside.broker.published) < 3:
            await asyncio.sleep(0.01)
    assert (beside.broker.buried, beside.broker.walks) == ([stays], 1)
    assert {ticket.job_id for ticket in beside.broker.published} == set(dead)
    assert {ticket.epoch for ticket in beside.broker.published} == {2}


async def test_a_queue_shows_its_tickets_unless_the_broker_is_silent(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tickets() -> Any:
        return (await beside.queues.get(SYSTEM, "default")).tickets

    assert await tickets() == 3
    monkeypatch.setattr("tidemill.operations.queue_service.BROKER_TIMEOUT_S", 0.05)
    beside.broker.answers.clear()
    assert await tickets() is None
