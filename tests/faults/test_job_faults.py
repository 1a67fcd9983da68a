"""Jobs under kill -9, restarts, cut wires and blocked loops, with real processes and servers.

Every job ends in the right state, none is lost, and what a run writes for its job counts once however often the job was
begun. ``JOBS`` (500 unless set) makes the runs longer: ``make soak`` does.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.faults.job_rig import JobRig, Proxy, job_rig
from tests.fixtures.postgres import PostgresServer, running_postgres
from tidemill.platform.db.migrate import upgrade

JOBS = int(os.environ.get("JOBS", "500"))
LEASE_S = 6.0
AT_ONCE = 8  # runs that one worker process has under way
Record = Callable[[str, object], None]


class Place(NamedTuple):
    """Where jobs are kept, how their tickets travel, and the workers that such a place stands."""

    database_url: str
    queue_url: str
    workers: int


@pytest.fixture(params=["sqlite", "postgresql", "rabbitmq", "redis"])
def place(request: pytest.FixtureRequest) -> Place:
    """Give each carrier on a fresh database; brokers of the test's own, so that nothing of another is in them."""
    if request.param == "sqlite":
        return Place(request.getfixturevalue("sqlite_url"), "local://", 1)
    url = request.getfixturevalue("postgres_url")
    if request.param == "postgresql":
        return Place(url, "local://", 2)
    server = request.getfixturevalue("start_rabbitmq" if request.param == "rabbitmq" else "start_valkey")()
    return Place(url, server.url, 2)


def report(record: Record, **figures: object) -> None:
    """Leave figures in the test's report: a soak is run for them."""
    for name, value in figures.items():
        record(name, value)
    print(figures)  # noqa: T201 - shown with -rA


async def start_workers(rig: JobRig, place: Place) -> None:
    """Start as many as the place stands."""
    await asyncio.gather(*(rig.start_worker() for _ in range(place.workers)))


async def test_a_killed_worker_among_many_jobs(place: Place, record_property: Record) -> None:
    async with job_rig(place.database_url, place.queue_url, LEASE_S) as rig:
        await rig.enqueue(JOBS)
        first = await rig.start_worker()
        if place.workers > 1:
            await rig.start_worker()
        before = await rig.until(effects=JOBS // 3)
        first.kill()
        killed_s = time.monotonic()
        if place.workers == 1:
            await rig.start_worker()
        counts = await rig.until(states={"succeeded": JOBS})
        assert counts.effects == JOBS
        # Each repeat is a run that was under way in the killed process.
        assert counts.started - JOBS <= AT_ONCE
        took_s = round(time.monotonic() - killed_s, 2)
        report(record_property, repeats=counts.started - JOBS, done_before=before.effects, seconds_to_the_end=took_s)


async def test_a_handler_that_blocks_its_loop_keeps_its_job(place: Place) -> None:
    async with job_rig(place.database_url, place.queue_url, lease_s=3.0) as rig:
        await start_workers(rig, place)
        await rig.enqueue(1, "hang", seconds=7.0)
        counts = await rig.until(states={"succeeded": 1})
        assert (counts.started, counts.effects) == (1, 1)


async def test_a_job_that_kills_its_process_is_dead_after_three(place: Place) -> None:
    async with job_rig(place.database_url, place.queue_url, lease_s=3.0) as rig:
        await rig.enqueue(1, "crash")
        for _ in range(3):
            child = await rig.start_worker()
            await asyncio.to_thread(child.process.wait, 30)
        await rig.start_worker()
        counts = await rig.until(states={"dead": 1})
        assert (counts.started, counts.effects) == (3, 0)


@pytest.mark.parametrize("broker", ["start_rabbitmq", "start_valkey"])
async def test_a_broker_killed_and_restarted_under_traffic(
    broker: str, request: pytest.FixtureRequest, postgres_url: str, record_property: Record
) -> None:
    server = request.getfixturevalue(broker)()
    async with job_rig(postgres_url, server.url, LEASE_S) as rig:
        await asyncio.gather(rig.start_worker(), rig.start_worker())
        await rig.until_connected()
        await rig.enqueue(JOBS // 5)
        await asyncio.to_thread(server.kill)
        killed_s = time.monotonic()
        # Jobs go on over the database while the broker is away: those there were, and new ones.
        await rig.enqueue(JOBS // 5)
        away = await rig.until(states={"succeeded": JOBS // 5 * 2})
        without_s = round(time.monotonic() - killed_s, 2)
        await asyncio.to_thread(server.restart)
        back_s = time.monotonic()
        await rig.until_connected()
        up_s = round(time.monotonic() - back_s, 2)
        await rig.enqueue(JOBS // 5)
        counts = await rig.until(states={"succeeded": JOBS // 5 * 3})
        assert counts.effects == counts.started == JOBS // 5 * 3
        assert away.effects == JOBS // 5 * 2
        report(record_property, seconds_without_broker=without_s, seconds_to_reconnect=up_s)


@pytest.mark.parametrize("broker", ["start_rabbitmq", "start_valkey"])
@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_a_wire_to_the_broker_that_carries_nothing(
    broker: str, how: str, request: pytest.FixtureRequest, postgres_url: str
) -> None:
    server = request.getfixturevalue(broker)()
    wire = Proxy(server.port)
    await wire.start()
    try:
        async with job_rig(postgres_url, server.url.replace(f":{server.port}", f":{wire.port}"), LEASE_S) as rig:
            await rig.start_worker()
            await rig.until_connected()
            await rig.enqueue(50)
            if how == "cut":
                await wire.cut()
            else:
                wire.freeze()
            await rig.enqueue(50)
            await rig.until(states={"succeeded": 100})
            if how == "cut":
                await wire.start()
            else:
                wire.thaw()
            await rig.until_connected()
            await rig.enqueue(50)
            counts = await rig.until(states={"succeeded": 150})
            assert counts.effects == counts.started == 150
    finally:
        await wire.close()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server that the test may kill."""
    with running_postgres(mortal=True) as server:
        yield server


async def test_postgres_killed_and_restarted_under_traffic(
    own_postgres: PostgresServer, record_property: Record
) -> None:
    url = await asyncio.to_thread(own_postgres.create, "jobs")
    await asyncio.to_thread(upgrade, url)
    async with job_rig(url, "local://", LEASE_S) as rig:
        count = JOBS // 2
        await rig.enqueue(count)
        await asyncio.gather(rig.start_worker(), rig.start_worker())
        await rig.until(effects=count // 3)
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(own_postgres.restart)
        back_s = time.monotonic()
        counts = await rig.until(states={"succeeded": count})
        assert counts.effects == count
        took_s = round(time.monotonic() - back_s, 2)
        report(record_property, repeats=counts.started - count, seconds_after_restart=took_s)


async def test_a_worker_cut_from_the_database_loses_its_jobs_and_writes_no_more(
    own_postgres: PostgresServer, record_property: Record
) -> None:
    url = await asyncio.to_thread(own_postgres.create, "jobs")
    await asyncio.to_thread(upgrade, url)
    wire = Proxy(own_postgres.port)
    await wire.start()
    try:
        async with job_rig(url, "local://", LEASE_S) as rig:
            far = await rig.start_worker(url=url.replace(f":{own_postgres.port}/", f":{wire.port}/"))
            await rig.enqueue(AT_ONCE, seconds=LEASE_S / 3)
            while (await rig.counts()).states != {"running": AT_ONCE}:
                await asyncio.sleep(0.02)
            wire.freeze()
            frozen_s = time.monotonic()
            await rig.start_worker()
            counts = await rig.until(states={"succeeded": AT_ONCE})
            took_s = round(time.monotonic() - frozen_s, 2)
            wire.thaw()
            # The cut-off worker is alive, finds its lease gone, and goes on with what comes.
            await rig.enqueue(AT_ONCE * 2, seconds=0.2)
            after = await rig.until(states={"succeeded": AT_ONCE * 3})
            assert far.process.poll() is None
            assert after.effects == AT_ONCE * 3
            report(record_property, repeats=counts.started - AT_ONCE, seconds_to_take_over=took_s)
    finally:
        await wire.close()
