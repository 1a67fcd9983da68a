"""Two relays over one Valkey: their callers, models and channels are held to limits as if they were one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.fixtures.valkey import StartValkey, ValkeyServer
from tests.relay.conftest import Start
from tests.relay.rig import Rig, relay_rig
from tests.relay.upstream import DEADLINE_S, Request, Wire, answers
from tidemill.kernel import clock
from tidemill.platform.db import Database
from tidemill.relay.limits.dispatch import Dispatch
from tidemill.relay.ports import CallerLimits


class Gate:
    """Holds every request of a service until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = 0
        self.most = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.open.wait()
        self.inside -= 1
        await answers(request, wire)


@pytest.fixture
def own_valkey(start_valkey: StartValkey) -> ValkeyServer:
    return start_valkey()


@asynccontextmanager
async def two(database: Database, valkey: ValkeyServer, limits: CallerLimits) -> AsyncGenerator[list[Rig]]:
    async with AsyncExitStack() as stack:
        rigs = (relay_rig(database, limits_of=lambda _: limits, cache_url=valkey.url) for _ in range(2))
        yield [await stack.enter_async_context(rig) for rig in rigs]


async def call(rig: Rig) -> int:
    async with rig.post() as answer:
        await answer.read()
        return int(answer.status)


async def until_inside(gate: Gate, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while gate.inside != count:
            await asyncio.sleep(0.005)


async def test_a_key_has_one_minute_at_all_of_them(
    memory_database: Database, services: Start, own_valkey: ValkeyServer
) -> None:
    async with two(memory_database, own_valkey, CallerLimits(rpm=5)) as (one, other):
        service = await services()
        await one.channel(service)
        await other.context.sync.load()
        statuses = [await call(rig) for _ in range(4) for rig in (one, other)]
        assert statuses.count(200) == 5
        assert statuses[5:] == [429, 429, 429]
        with clock.shifted(61):
            assert [await call(one), await call(other)] == [200, 200]
    assert len(service.seen) == 7


@pytest.mark.parametrize("whose", ["channel", "key"])
async def test_calls_wait_for_places_that_another_relay_gives_back(
    memory_database: Database,
    services: Start,
    own_valkey: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
) -> None:
    gate, asked = Gate(), 0
    limits = CallerLimits(max_concurrent=2 if whose == "key" else None)
    ask = Dispatch.ask

    async def counted(self: Dispatch, *given: Any) -> list[int] | None:
        nonlocal asked
        asked += 1
        return await ask(self, *given)

    async with two(memory_database, own_valkey, limits) as (one, other):
        await one.channel(await services(gate), max_concurrent=2 if whose == "channel" else None)
        await other.context.sync.load()
        monkeypatch.setattr(Dispatch, "ask", counted)
        first = [asyncio.ensure_future(call(one)) for _ in range(2)]
        await until_inside(gate, 2)
        second = [asyncio.ensure_future(call(other)) for _ in range(3)]
        began = clock.monotonic()
        async with asyncio.timeout(DEADLINE_S):
            while clock.monotonic() < began + 1:
                await asyncio.sleep(0.05)
        assert gate.inside == 2
        assert asked < 100, "who waits does not ask without a pause"
        gate.open.set()
        async with asyncio.timeout(DEADLINE_S):
            assert await asyncio.gather(*first, *second) == [200] * 5
    assert gate.most == 2
