"""Both HTTP clients on both event loops, so that one suite says what either must do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop

from tests.relay.upstreams.far import Far, Script, far
from tidemill.relay.upstreams.aiohttp_client import AiohttpUpstreams
from tidemill.relay.upstreams.http1 import Http1Upstreams
from tidemill.relay.upstreams.port import Upstreams

Serve = Callable[..., Awaitable[Far]]
Open = Callable[..., Upstreams]
ENGINES: Mapping[str, Callable[..., Upstreams]] = {"http1": Http1Upstreams, "aiohttp": AiohttpUpstreams}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this folder on asyncio's loop and on the one that the product uses."""
    del config, item
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start services that follow a script."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, **options: Any) -> Far:
            return await stack.enter_async_context(far(script, **options))

        yield start


async def _opening(kinds: Mapping[str, Callable[..., Upstreams]], kind: str) -> AsyncIterator[Open]:
    opened: list[Upstreams] = []

    def open_one(**options: Any) -> Upstreams:
        opened.append(kinds[kind](**{"allow_private": True, "connect_timeout_s": 5.0, **options}))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture(params=sorted(ENGINES))
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Open clients of each kind in turn."""
    async for opening in _opening(ENGINES, request.param):
        yield opening


@pytest.fixture
async def http1() -> AsyncIterator[Callable[..., Http1Upstreams]]:
    """Open clients of our own."""
    opened: list[Http1Upstreams] = []

    def open_one(**options: Any) -> Http1Upstreams:
        given: dict[str, Any] = {"allow_private": True, "connect_timeout_s": 5.0, **options}
        opened.append(Http1Upstreams(**given))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()
        assert len(one) == 0
