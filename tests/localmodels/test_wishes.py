"""Start and stop from the command line, through the database."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from tests.localmodels.conftest import Mill, until, until_status
from tidemill.kernel import clock
from tidemill.localmodels.errors import NoServerRunning
from tidemill.localmodels.tables import local_model_wishes
from tidemill.localmodels.wish_service import TOPIC, ask, place_of
from tidemill.platform.db import Database
from tidemill.server.lock import ServerLock, is_served


@pytest.fixture
def lock(mill: Mill) -> Iterator[None]:
    held = ServerLock(mill.data_dir)
    held.take()
    yield
    held.release()


@pytest.mark.usefixtures("lock")
async def test_a_wish_is_fulfilled_and_waited_for(mill: Mill, database: Database) -> None:
    mill.model("one")
    models = await mill.open(db=database)
    started = await ask(database, mill.data_dir, "one", "start", is_served=is_served)
    assert (started.status, started.error) == ("running", "")
    assert models.get("one").pinned
    stopped = await ask(database, mill.data_dir, "one", "stop", is_served=is_served)
    assert stopped.status == "available"
    assert len(mill.starts("one")) == 1


@pytest.mark.usefixtures("lock")
async def test_a_wish_that_cannot_be_fulfilled_says_why(mill: Mill, memory_database: Database) -> None:
    mill.model("one", exits=[1], say="error: no such architecture")
    await mill.open(db=memory_database)
    failed = await ask(memory_database, mill.data_dir, "one", "start", is_served=is_served)
    assert (failed.status, failed.code) == ("failed", "local_model_failed")
    assert "no such architecture" in failed.error
    unknown = await ask(memory_database, mill.data_dir, "nobody", "stop", is_served=is_served, lang="zh")
    assert unknown.code == "local_model_not_found"
    assert "没有名为 nobody" in unknown.error


@pytest.mark.usefixtures("lock")
async def test_a_wish_from_just_before_the_start_counts_and_an_old_one_does_not(
    mill: Mill, memory_database: Database
) -> None:
    mill.model("fresh")
    mill.model("stale")
    async with memory_database.write() as w:
        for name, age_s in (("fresh", 5), ("stale", 600)):
            moment = clock.now() - timedelta(seconds=age_s)
            row = {"place": place_of(mill.data_dir), "name": name, "wish": "start", "asked_at": moment}
            await w.run(insert(local_model_wishes), row)
        w.changed(TOPIC)
    models = await mill.open(db=memory_database)
    await until_status(models, "fresh", "running")
    assert models.get("stale").status == "available"


@pytest.mark.usefixtures("lock")
async def test_a_wish_for_another_place_is_not_ours(mill: Mill, memory_database: Database, tmp_path: Path) -> None:
    mill.model("one")
    models = await mill.open(db=memory_database)
    elsewhere = tmp_path / "elsewhere"
    held = ServerLock(elsewhere)
    held.take()
    outcome = await ask(memory_database, elsewhere, "one", "start", is_served=is_served, timeout_s=0.5)
    held.release()
    assert outcome.status == "starting"
    assert models.get("one").status == "available"


async def test_without_a_server_nothing_is_written(mill: Mill, memory_database: Database) -> None:
    with pytest.raises(NoServerRunning, match="start one with tidemill serve"):
        await ask(memory_database, mill.data_dir, "one", "start", is_served=is_served)
    async with memory_database.read() as r:
        assert await r.scalar(select(func.count()).select_from(local_model_wishes)) == 0


async def test_a_server_that_dies_meanwhile_ends_the_wait(mill: Mill, memory_database: Database) -> None:
    held = ServerLock(mill.data_dir)
    held.take()
    asked = asyncio.ensure_future(ask(memory_database, mill.data_dir, "one", "start", is_served=is_served))

    async def is_written() -> bool:
        async with memory_database.read() as r:
            return bool(await r.scalar(select(func.count()).select_from(local_model_wishes)))

    while not await is_written():
        await asyncio.sleep(0.01)
    held.release()
    await until(asked.done)
    with pytest.raises(NoServerRunning):
        await asked
