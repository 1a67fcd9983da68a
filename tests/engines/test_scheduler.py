"""Schedulers fire each moment once, however many they are and wherever the clock jumps."""

import asyncio
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from tests.fixtures.databases import opened_in_memory
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Database, open_database
from tidemill.platform.jobs import JobContext, JobKind, repository_schedules
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.firings import MAX_MADE_UP
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.scheduler import Scheduler
from tidemill.platform.jobs.tables import job, job_queue, job_schedule

SYSTEM = SystemScope(SystemReason.JOBS)
MINUTE = timedelta(minutes=1)


async def never(context: JobContext) -> None:
    raise AssertionError(context.job_id)


def scheduler(db: Database, kind: str = "work") -> Scheduler:
    engine = JobEngine(db, DatabaseTransport("database"), alone=False, worker=this_process(["scheduler"]))
    engine.register(JobKind(type=kind, handler=never))
    return Scheduler(db, engine)


def next_minute() -> datetime:
    return (clock.now() + MINUTE).replace(second=0, microsecond=0)


def past(first: datetime, seconds: float) -> AbstractContextManager[None]:
    """Move the clock to ``seconds`` after ``first``."""
    return clock.shifted((first - clock.now()).total_seconds() + seconds)


async def add(db: Database, **values: Any) -> str:
    schedule_id = uuid7()
    at = clock.now()
    row = {
        "id": schedule_id,
        "name": schedule_id,
        "type": "work",
        "payload": {"n": 1},
        "cron": "* * * * *",
        "timezone": "UTC",
        "misfire": "all",
        "enabled": True,
        "next_run_at": next_minute(),
        "created_at": at,
        "updated_at": at,
    }
    async with db.write() as w:
        assert await repository_schedules.add(w, SYSTEM, row | values)
    return schedule_id


async def fired(db: Database, schedule_id: str) -> list[datetime]:
    """Return which moments made a job, in order."""
    async with db.read() as r:
        keys = await r.all(select(job.c.idem_key).where(job.c.schedule_id == schedule_id))
    return sorted(datetime.fromisoformat(row["idem_key"].removeprefix(f"sched:{schedule_id}:")) for row in keys)


async def row_of(db: Database, schedule_id: str) -> dict[str, Any]:
    async with db.read() as r:
        row = await r.first(select(job_schedule).where(job_schedule.c.id == schedule_id))
    assert row is not None
    return dict(row)


async def test_schedulers_of_several_processes_fire_each_moment_once(database_url: str) -> None:
    databases = [open_database(database_url) for _ in range(3)]
    first = next_minute()
    schedules = [await add(databases[0], next_run_at=first) for _ in range(4)]
    with past(first, 130):
        made = await asyncio.gather(*(scheduler(db).tick() for db in databases))
    assert sum(made) == 12
    for schedule_id in schedules:
        assert Counter(await fired(databases[0], schedule_id)).most_common(1)[0][1] == 1
        assert len(await fired(databases[0], schedule_id)) == 3
    for db in databases:
        await db.close()


@pytest.mark.parametrize(("misfire", "count"), [("skip", 0), ("once", 1), ("all", MAX_MADE_UP)])
async def test_missed_firings_follow_the_schedules_rule(database: Database, misfire: str, count: int) -> None:
    schedule_id = await add(database, misfire=misfire, cron="0 * * * *")
    with clock.shifted(0):
        at = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=300)
        async with database.write() as w:
            await w.run(update(job_schedule).values(next_run_at=at))
        # Half an hour past the last firing, so that none is merely late.
        past_s = (clock.now().replace(minute=30, second=0) - clock.now()).total_seconds()
        with clock.shifted(past_s):
            assert await scheduler(database).tick() == count
            row = await row_of(database, schedule_id)
            assert row["next_run_at"] > clock.now()
            assert await scheduler(database).tick() == 0
    assert (row["last_job_id"] is not None, row["last_run_at"] is not None) == (count > 0, count > 0)


async def test_a_schedule_of_one_moment_ends_with_it(database: Database) -> None:
    at = clock.now() + timedelta(seconds=30)
    schedule_id = await add(database, cron=None, run_at=at, next_run_at=at)
    assert await scheduler(database).tick() == 0
    with clock.shifted(31):
        assert await scheduler(database).tick() == 1
    row = await row_of(database, schedule_id)
    assert (row["enabled"], row["next_run_at"]) == (False, None)


async def test_what_is_disabled_or_unknown_here_does_not_fire(database: Database) -> None:
    first = next_minute()
    await add(database, enabled=False, next_run_at=first)
    await add(database, type="newer", next_run_at=first)
    with past(first, 70):
        assert await scheduler(database).tick() == 0
        assert await scheduler(database, "newer").tick() == 2


async def test_a_full_queue_is_tried_again_and_holds_nobody_else_up(database: Database) -> None:
    full, other = await add(database, misfire="once", user_id=7), await add(database, misfire="once", user_id=8)
    async with database.write() as w:
        await w.run(job_queue.insert(), {"name": "default", "max_per_user": 0, "updated_at": clock.now()})
    with clock.shifted(120):
        assert await scheduler(database).tick() == 0
        async with database.write() as w:
            await w.run(update(job_queue).values(max_per_user=None))
        assert await scheduler(database).tick() == 2
    assert [len(await fired(database, one)) for one in (full, other)] == [1, 1]


async def test_a_zone_that_this_machine_lacks_turns_the_schedule_off(database: Database) -> None:
    schedule_id = await add(database, timezone="Mars/Olympus")
    other = await add(database, misfire="once")
    with clock.shifted(70):
        assert await scheduler(database).tick() == 1
    assert (await row_of(database, schedule_id))["enabled"] is False
    assert len(await fired(database, other)) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(-7200, 5400), st.sampled_from(["a", "b", "both"])), min_size=1, max_size=12)
)
def test_wherever_the_clock_jumps_no_moment_is_lost_or_doubled(
    migrated_sqlite: Path, steps: list[tuple[int, str]]
) -> None:
    async def play() -> None:
        db = await opened_in_memory(migrated_sqlite)
        two = {"a": scheduler(db), "b": scheduler(db)}
        schedule_id = await add(db)
        latest = first = (await row_of(db, schedule_id))["next_run_at"]
        with ExitStack() as jumps:
            for seconds, who in steps:
                jumps.enter_context(clock.shifted(seconds))
                await asyncio.gather(*(two[name].tick() for name in two if who in {name, "both"}))
                latest = max(latest, clock.now())
        moments = await fired(db, schedule_id)
        due = int((latest - first) / MINUTE) + 1 if moments else 0
        # Each minute since the first once, in order and without a gap; the last may have come while nobody looked.
        assert moments == [first + MINUTE * number for number in range(due)]
        await db.close()

    asyncio.run(play())
