"""The group commit: one transaction for many, patience with a full disk, an end for what cannot be written."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from tests.datagen.engine.conftest import until
from tests.datagen.engine.fakes import OWNER, Installation, Writer
from tests.datagen.engine.test_run import assert_whole, run, started, task_row
from tidemill.datagen.engine.claim import Place, Unclaimed
from tidemill.datagen.engine.commit import GroupCommit, Note
from tidemill.datagen.engine.log_lines import log_line
from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.repository_crew import Standing
from tidemill.datagen.tables import task_event
from tidemill.kernel.errors import StorageFull, Unavailable
from tidemill.platform.db import Database
from tidemill.platform.db import Writer as DatabaseWriter


class Moody:
    """A database whose writes fail while there are troubles left; everything else is the real one."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.troubles: list[Exception] = []
        self.forever: Exception | None = None
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[DatabaseWriter]:
        """Open a transaction, or fail."""
        if self.forever is not None:
            raise self.forever
        if self.troubles:
            raise self.troubles.pop(0)
        async with self._inner.write() as w:
            self.commits += 1
            yield w


def moody_mill(installation: Installation, moody: Moody) -> Mill:
    """Return an engine whose group commit writes through ``moody``."""
    mill = installation.new_mill()
    commit = GroupCommit(cast("Database", moody), window_s=0.002)
    # The writer alone fails here: the rest of the engine keeps the real database.
    mill._commit = commit  # pyright: ignore[reportPrivateUsage] - as said above
    parts = mill._parts  # pyright: ignore[reportPrivateUsage] - as said above
    mill._parts = msgspec.structs.replace(parts, commit=commit)  # pyright: ignore[reportPrivateUsage] - as said above
    return mill


async def test_many_rows_share_one_transaction(quick: Installation) -> None:
    moody = Moody(quick.db)
    mill = moody_mill(quick, moody)
    task_id = await started(quick, variants_per_sample=40, max_concurrent=64)
    assert await mill.run(task_id, asyncio.Event(), asyncio.Event()) == "finished"
    await assert_whole(quick, task_id)
    assert moody.commits < 320 / 4
    await mill.close()


async def test_a_full_disk_and_a_busy_database_are_waited_for(
    quick: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.commit.RETRY_MAX_S", 0.01)
    moody = Moody(quick.db)
    moody.troubles = [Unavailable("busy"), StorageFull(), StorageFull(), OSError("torn")]
    mill = moody_mill(quick, moody)
    task_id = await started(quick)
    assert await mill.run(task_id, asyncio.Event(), asyncio.Event()) == "finished"
    await assert_whole(quick, task_id)
    await mill.close()


async def test_the_status_says_that_the_disk_is_full(quick: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.commit.RETRY_MAX_S", 0.01)
    moody = Moody(quick.db)
    moody.forever = StorageFull()
    mill = moody_mill(quick, moody)
    quick.service._mill = mill  # pyright: ignore[reportPrivateUsage] - this process's engine
    task_id = await started(quick)
    running = asyncio.ensure_future(mill.run(task_id, asyncio.Event(), asyncio.Event()))

    async def full() -> bool:
        return (await quick.service.status(OWNER.scope, task_id, "en")).paused_code == "storage_full"

    await until(full)
    assert (await task_row(quick, task_id))["accepted"] == 0
    moody.forever = None
    assert await running == "finished"
    await assert_whole(quick, task_id)
    assert (await quick.service.status(OWNER.scope, task_id, "en")).paused_code is None
    await mill.close()


async def test_what_cannot_be_written_at_all_fails_the_task_in_words(
    quick: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.commit.RETRY_MAX_S", 0.001)
    monkeypatch.setattr("tidemill.datagen.engine.mill.RETRY_MAX_S", 0.001)
    moody = Moody(quick.db)
    moody.forever = OSError("the disk is gone")
    mill = moody_mill(quick, moody)
    task_id = await started(quick)
    with capture_logs() as logs:
        assert await mill.run(task_id, asyncio.Event(), asyncio.Event()) == "failed"
    assert "datagen.run_failed" in [line["event"] for line in logs]
    row = await task_row(quick, task_id)
    assert row["status"] == "failed"
    assert row["error_message"]
    await mill.close()


class Listener:
    """A sender that keeps what it hears."""

    user_id = 1
    task_type = "note"
    prompt_version = "1"
    alone = False

    def __init__(self, task_id: str, entry: int) -> None:
        self.place = Place(task_id, entry, Unclaimed())
        self.heard: list[str] = []
        self.told = asyncio.Event()

    def completed_by(self, outcomes: Sequence[Outcome]) -> list[int]:
        del outcomes
        return []

    def committed(self, outcomes: Sequence[Outcome], standing: Standing, before: int) -> None:
        self.heard.append(f"committed {len(outcomes)} at {before}..{standing.seq}")
        self.told.set()

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        self.heard.append(f"refused {len(outcomes)}")

    def lost(self, error: BaseException | None) -> None:
        self.heard.append(f"lost {error}")
        self.told.set()

    def blocked(self, error: StorageFull | None) -> None:
        self.heard.append(f"blocked {error}")


async def test_a_run_without_its_place_changes_nothing(quick: Installation) -> None:
    quick.relay.script = Writer(latency_s=0.01)
    task_id = await started(quick)
    running = asyncio.ensure_future(run(quick, task_id))

    async def under_way() -> bool:
        return (await task_row(quick, task_id))["accepted"] > 0

    await until(under_way)
    stale = Listener(task_id, (await task_row(quick, task_id))["epoch"] - 1)
    commit = GroupCommit(quick.db, window_s=0.001)
    writing = asyncio.ensure_future(commit.run())
    await commit.put(stale, Note(line=log_line("failed", reason="never to be seen")))
    await asyncio.wait_for(stale.told.wait(), 10)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert stale.heard == ["lost None"]
    assert await running == "finished"
    await assert_whole(quick, task_id)
    async with quick.db.read() as r:
        lines = [
            row["data"]["code"]
            for row in await r.all(select(task_event.c.data).order_by(task_event.c.seq))
            if "code" in row["data"]
        ]
    assert lines == ["started", "finished"]
