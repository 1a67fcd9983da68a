"""A relay, and model services to put behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.relay.rig import Rig, relay_rig
from tests.relay.upstream import Script, Upstream, answers, upstream
from tidemill.platform.db import Database

Start = Callable[..., Awaitable[Upstream]]


@pytest.fixture
async def services() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(script: Script = answers) -> Upstream:
            return await stack.enter_async_context(upstream(script))

        yield start


@pytest.fixture
async def rig(memory_database: Database) -> AsyncIterator[Rig]:
    async with relay_rig(memory_database) as built:
        yield built
