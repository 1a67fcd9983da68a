"""A relay whose channels are looked after, by hand: each test says when a probe or a retry is due."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.relay.rig import ADMIN, Rig, relay_rig
from tests.relay.upstream import ANSWER, DEADLINE_S, Request, Script, Upstream, Wire, upstream
from tidemill.kernel import clock
from tidemill.kernel.pages import PageRequest
from tidemill.operations.alerts.contracts import AlertFilter, AlertView
from tidemill.operations.alerts.service import Alerts
from tidemill.platform.db import Database
from tidemill.platform.events import MemoryEvents
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.contracts import ChannelView
from tidemill.relay.health.app import HealthContext
from tidemill.relay.health.contracts import ChannelEvent

Start = Callable[..., Awaitable[Upstream]]


def key_of(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


class Service:
    """What a model service answers: its list of models, calls, by key; each as a test says."""

    def __init__(self) -> None:
        self.lists: int = 200
        self.calls: int = 200
        self.refused: dict[str, tuple[int, str]] = {}  # key → status and code

    async def __call__(self, request: Request, wire: Wire) -> None:
        status, code = self.refused.get(key_of(request), (0, ""))
        if status:
            await wire.json({"error": {"message": "no", "type": "x", "code": code}}, status)
        elif request.path.partition("?")[0].endswith("/models"):
            await wire.json({"object": "list", "data": []}, self.lists)
        elif self.calls != 200:
            await wire.json({"error": {"message": "broken", "type": "x"}}, self.calls)
        else:
            await wire.json(ANSWER)


class Ward:
    """A relay, its health, and questions about them."""

    def __init__(self, rig: Rig, db: Database, settings: GatewaySettings) -> None:
        self.rig = rig
        self.db = db
        self.house = rig.context.house
        self.engine = JobEngine(db, DatabaseTransport("database"), alone=False, worker=this_process(["api"]))
        self.alerts = Alerts(db, self.engine, {}, MemoryEvents())
        self.health = HealthContext(self.house, self.alerts, settings)
        self.house.board.listeners.append(self.health.desk.hear)
        self._rounds = 0

    async def probe(self) -> None:
        """Go round once, an interval after the time before."""
        self._rounds += 1
        with clock.shifted(61.0 * self._rounds):
            await self.health.rounds.round()

    async def probe_again(self) -> None:
        """Go round once more in the same interval."""
        with clock.shifted(61.0 * self._rounds):
            await self.health.rounds.round()

    async def write_down(self) -> None:
        """Do what the desk would do by itself, and take in what it changed."""
        await self.health.desk.flush()
        await self.rig.context.sync.load()

    async def channel(self, channel_id: int) -> ChannelView:
        return await self.rig.context.channels.get(ADMIN, channel_id)

    async def events(self, channel_id: int) -> list[ChannelEvent]:
        """Return what befell a channel, oldest first."""
        page = await self.health.service.events(ADMIN, channel_id, PageRequest(page_size=200))
        return list(reversed(page.items))

    async def open_alerts(self) -> list[AlertView]:
        page = await self.alerts.page(ADMIN, AlertFilter(status="active"), PageRequest(page_size=200), "en")
        return page.items

    async def call(self) -> int:
        """Make a call as a client; returns its status."""
        async with self.rig.post() as answer:
            await answer.read()
            return int(answer.status)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not await holds():
                await asyncio.sleep(0.01)


SETTINGS: dict[str, Any] = {"breaker_failures": 2, "probe_interval_s": 60.0, "key_retest_s": 1800.0, "retries": 0}


@pytest.fixture
async def ward(database: Database) -> AsyncIterator[Ward]:
    async with relay_rig(database, **SETTINGS) as rig:
        built = Ward(rig, database, GatewaySettings(**SETTINGS))
        yield built
        await built.health.close()


@pytest.fixture
async def services() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(script: Script) -> Upstream:
            return await stack.enter_async_context(upstream(script))

        yield start
