"""Fixtures of the engine's tests: two accounts and an installation around a fake relay."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import insert

from tests.datagen.engine.fakes import Installation
from tidemill.identity.tables import users
from tidemill.kernel import clock
from tidemill.platform.db import Database

WAIT_S = 20.0


async def add_users(db: Database) -> None:
    """Make the owner (1) and a stranger (2)."""
    async with db.write() as w:
        for number, name in ((1, "owner"), (2, "stranger")):
            now = clock.now()
            row = {
                "id": number,
                "username": name,
                "username_key": name,
                "password_hash": "none",
                "created_at": now,
                "updated_at": now,
            }
            await w.run(insert(users), row)


@pytest.fixture
async def installation(database: Database) -> AsyncIterator[Installation]:
    """Give an installation on each database."""
    await add_users(database)
    made = Installation(database)
    yield made
    await made.jobs.drain(1)
    await made.mill.close()


@pytest.fixture
async def quick(memory_database: Database) -> AsyncIterator[Installation]:
    """Give an installation in memory, for tests that do not look at the database itself."""
    await add_users(memory_database)
    made = Installation(memory_database)
    yield made
    await made.jobs.drain(1)
    await made.mill.close()


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = WAIT_S) -> None:
    """Wait for a condition to hold; raises TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)
