"""Simulators on real sockets, stopped at the end of the test, and the providers' own SDKs set on them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.serving import Served, running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def start() -> AsyncIterator[Callable[[SimulatorConfig], Awaitable[Served]]]:
    async with AsyncExitStack() as stack:
        yield lambda config: stack.enter_async_context(running(config))
