"""What watchers are told of tasks, from what is committed: starts, progress now and then, ends, deletions."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from tidemill.datagen.news import PROGRESS_INTERVAL_S, TaskNews, topic_of
from tidemill.datagen.repository import DELETED
from tidemill.datagen.repository_run import BELL
from tidemill.datagen.tables import tasks
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database
from tidemill.platform.events import MemoryEvents, Subscription
from tidemill.platform.tasks import TaskOwner

DEADLINE_S = 20.0


class Desk:
    """Tasks that are changed by hand, and the news of them."""

    def __init__(self, db: Database, news: Subscription, owner: int) -> None:
        self._db = db
        self._news = news
        self._owner = owner
        self.heard: list[dict[str, Any]] = []

    async def add(self, name: str, status: str = "running", **values: Any) -> None:
        row = {"task_id": name, "user_id": self._owner, "status": status, "started_at": clock.now(), "total": 10}
        async with self._db.write() as w:
            await w.run(insert(tasks), {**row, **values})
            w.changed(BELL)

    async def change(self, name: str, **values: Any) -> None:
        async with self._db.write() as w:
            await w.run(update(tasks).where(tasks.c.task_id == name).values(**values))
            w.changed(BELL)

    async def erase(self, name: str) -> None:
        async with self._db.write() as w:
            await w.run(delete(tasks).where(tasks.c.task_id == name))
            w.changed(BELL)

    async def until(self, event: str, name: str) -> dict[str, Any]:
        """Return the next news of this kind."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for one in await self._news.wait(DEADLINE_S):
                    self.heard.append(json.loads(one.payload))
                    assert one.key == self.heard[-1]["task_id"]
                if self.heard and (self.heard[-1]["event"], self.heard[-1]["task_id"]) == (event, name):
                    return self.heard[-1]


@pytest.fixture
async def desk(database: Database, ann: Actor) -> AsyncIterator[Desk]:
    events, owner = MemoryEvents(), TaskOwner()
    async with events.subscribe(topic_of(ann.user_id)) as news:
        made = Desk(database, news, ann.user_id)
        await made.add("before", status="finished", finished_at=clock.now())
        TaskNews(database, events).start(owner)
        await asyncio.sleep(0.3)  # its first look, which tells nothing
        yield made
        await owner.cancel()


async def test_a_tasks_life_is_told(desk: Desk) -> None:
    await desk.add("t", task_type="qa_pairs")
    started = await desk.until("started", "t")
    assert (started["status"], started["task_type"], started["current"], started["total"]) == (
        "running", "qa_pairs", 0, 10,
    )  # fmt: skip
    await desk.change("t", accepted=3, failed=1, seq=4, cost_nano=2_500_000_000)
    shown = await desk.until("progress", "t")
    assert (shown["current"], shown["percent"], shown["cost"]) == (4, 40.0, "2.5")
    await desk.change("t", paused={"code": "budget_spent", "zh": "…", "en": "…"}, seq=5)
    assert (await desk.until("progress", "t"))["paused_code"] == "budget_spent"
    await desk.change("t", status="finished", finished_at=clock.now(), seq=6, paused=None, accepted=9)
    ended = await desk.until("ended", "t")
    assert (ended["status"], ended["current"], ended["percent"]) == ("finished", 10, 100.0)
    assert [one["event"] for one in desk.heard].count("started") == 1


async def test_progress_is_told_once_a_second_with_the_newest_figures(desk: Desk) -> None:
    await desk.add("t")
    await desk.until("started", "t")
    began_s = clock.monotonic()
    for number in range(1, 9):
        await desk.change("t", accepted=number, seq=number)
    shown = await desk.until("progress", "t")
    while shown["current"] < 8:
        shown = await desk.until("progress", "t")
    seconds = clock.monotonic() - began_s
    assert [one["event"] for one in desk.heard].count("progress") <= seconds / PROGRESS_INTERVAL_S + 1


async def test_a_task_that_is_over_at_once_is_told_of(desk: Desk) -> None:
    await desk.add("brief", status="failed", finished_at=clock.now())
    assert (await desk.until("ended", "brief"))["status"] == "failed"


async def test_deleted_tasks_are_told_of_hidden_or_gone(desk: Desk) -> None:
    for name in ("hidden", "gone"):
        await desk.add(name)
        await desk.until("started", name)
    await desk.change("hidden", status=DELETED)
    assert (await desk.until("deleted", "hidden"))["status"] == "deleted"
    await desk.erase("gone")
    assert (await desk.until("deleted", "gone"))["status"] == "deleted"


async def test_the_past_is_told_as_it_stands_now(database: Database, desk: Desk) -> None:
    old = clock.now() - timedelta(hours=2)
    await desk.add("long-over", status="finished", started_at=old, finished_at=old)
    await desk.add("just-over", status="stopped", started_at=old, finished_at=clock.now())
    await desk.add("still-running", started_at=old)
    await desk.add("deleted", status=DELETED)
    news = TaskNews(database, MemoryEvents())
    found = await news.changed_since(clock.now() - timedelta(minutes=1), 10)
    assert {(one.task_id, one.event) for one in found} == {
        ("before", "ended"),
        ("just-over", "ended"),
        ("still-running", "progress"),
    }
    assert len(await news.changed_since(old - timedelta(hours=1), 2)) == 2
