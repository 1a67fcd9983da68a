"""One suite for every engine of the job port (local is the only one yet), on every database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tidemill.kernel import clock
from tidemill.kernel.actor import AdminScope, SystemReason, SystemScope, UserScope
from tidemill.platform.db import Database
from tidemill.platform.jobs import JobCancelled, JobContext, JobFailed, JobKind, JobYield
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.tables import job, job_event

SYSTEM = SystemScope(SystemReason.JOBS)
DEADLINE_S = 20.0
Start = Callable[..., Awaitable[JobEngine]]


@pytest.fixture
async def start(database: Database) -> AsyncIterator[Start]:
    engines: list[JobEngine] = []

    async def build(handler: Callable[[JobContext], Awaitable[None]], **options: Any) -> JobEngine:
        engine = JobEngine(
            database,
            DatabaseTransport("database"),
            alone=bool(options.pop("alone", False)),
            worker=this_process(["worker"]),
        )
        engine.register(JobKind(type="work", handler=handler, **options))
        await engine.open()
        await engine.start()
        engines.append(engine)
        return engine

    yield build
    for engine in engines:
        await engine.drain(0)


async def enqueue(engine: JobEngine, **options: Any) -> str:
    async with engine.db.write() as w:
        return await engine.enqueue(w, SYSTEM, "work", {"n": 1}, user_id=7, **options)


async def row_of(db: Database, job_id: str) -> dict[str, Any]:
    async with db.read() as r:
        row = await r.first(select(job).where(job.c.id == job_id))
    assert row is not None
    return dict(row)


async def until(db: Database, job_id: str, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while (row := await row_of(db, job_id))["state"] not in states:
            await asyncio.sleep(0.02)
    return row


async def history(db: Database, job_id: str) -> list[str]:
    async with db.read() as r:
        rows = await r.all(select(job_event.c.kind).where(job_event.c.job_id == job_id).order_by(job_event.c.seq))
    return [row["kind"] for row in rows]


async def test_runs_what_was_committed_and_only_that(database: Database, start: Start) -> None:
    seen: list[tuple[str, Any]] = []

    async def work(context: JobContext) -> None:
        seen.append((context.job_id, context.payload))
        context.progress(3, 4, "nearly")

    engine = await start(work)
    with pytest.raises(LookupError):
        async with database.write() as w:
            await engine.enqueue(w, SYSTEM, "work", {}, user_id=None)
            raise LookupError
    job_id = await enqueue(engine)
    row = await until(database, job_id, "succeeded")
    assert seen == [(job_id, {"n": 1})]
    assert (row["progress_done"], row["progress_total"], row["progress_message"]) == (3, 4, "nearly")
    assert await history(database, job_id) == ["queued", "running", "succeeded"]


async def test_the_same_key_is_the_same_job_until_it_is_cancelled(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        await context.cancelled.wait()
        raise JobCancelled

    engine = await start(work)
    first = await enqueue(engine, idem_key="k")
    assert await enqueue(engine, idem_key="k") == first
    await until(database, first, "running")
    async with database.write() as w:
        await engine.cancel(w, SYSTEM, first)
    await until(database, first, "cancelled")
    assert await enqueue(engine, idem_key="k") != first


async def test_failures_are_retried_and_then_dead(database: Database, start: Start) -> None:
    attempts: list[int] = []

    async def work(context: JobContext) -> None:
        attempts.append(context.attempt)
        raise ValueError("no luck")

    engine = await start(work, max_attempts=3)
    job_id = await enqueue(engine)
    async with asyncio.timeout(DEADLINE_S):
        while (row := await row_of(database, job_id))["state"] != "dead":
            if row["state"] == "retry_wait":
                async with database.write() as w:
                    await w.run(update(job).where(job.c.id == job_id).values(run_at=clock.now()))
                    w.changed("jobs")
            await asyncio.sleep(0.02)
    assert attempts == [1, 2, 3]
    assert (row["error_code"], row["error_text"]) == ("ValueError", "no luck")


async def test_a_permanent_failure_is_not_retried(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        del context
        raise JobFailed("file_gone", "The file was deleted.")

    job_id = await enqueue(await start(work))
    row = await until(database, job_id, "failed")
    assert (row["error_code"], row["attempt"]) == ("file_gone", 1)


async def test_draining_hands_back_with_the_checkpoint_and_uncounted(database: Database, start: Start) -> None:
    running = asyncio.Event()
    resumed: list[dict[str, Any] | None] = []

    async def leave(context: JobContext) -> None:
        await context.save({"at": 5})
        running.set()
        await context.draining.wait()
        raise JobYield

    async def take_over(context: JobContext) -> None:
        resumed.append(context.checkpoint)

    engine = await start(leave)
    job_id = await enqueue(engine)
    await running.wait()
    await engine.drain(DEADLINE_S)
    assert (await row_of(database, job_id))["state"] == "queued"
    await start(take_over)
    row = await until(database, job_id, "succeeded")
    assert resumed == [{"at": 5}]
    assert row["attempt"] == 1


async def test_a_handler_that_does_not_listen_is_cancelled_by_the_drain(database: Database, start: Start) -> None:
    running = asyncio.Event()

    async def deaf(context: JobContext) -> None:
        del context
        running.set()
        await asyncio.Event().wait()

    engine = await start(deaf)
    job_id = await enqueue(engine)
    await running.wait()
    await engine.drain(0.05)
    row = await row_of(database, job_id)
    assert (row["state"], row["attempt"]) == ("queued", 0)


async def test_orphans_of_a_dead_process_go_back_and_late_writes_are_dropped(database: Database, start: Start) -> None:
    stuck = asyncio.Event()
    release = asyncio.Event()
    outcomes: list[str] = []

    async def slow(context: JobContext) -> None:
        stuck.set()
        await release.wait()
        try:
            await context.save({"late": True})
        except JobYield:
            outcomes.append("fenced")
            raise

    async def work(context: JobContext) -> None:
        outcomes.append(f"attempt {context.attempt}")

    old = await start(slow)
    job_id = await enqueue(old)
    await stuck.wait()
    # A second engine that knows to be alone takes every running row for an orphan, as after a kill -9.
    await start(work, alone=True)
    row = await until(database, job_id, "succeeded")
    release.set()
    async with asyncio.timeout(DEADLINE_S):
        while "fenced" not in outcomes:
            await asyncio.sleep(0.01)
    after = await row_of(database, job_id)
    assert outcomes == ["attempt 1", "fenced"]
    assert (after["state"], after["checkpoint"], row["crashes"]) == ("succeeded", None, 1)


async def test_a_job_whose_process_dies_each_time_is_dead_after_three(database: Database, start: Start) -> None:
    async def never(context: JobContext) -> None:
        del context
        raise AssertionError

    engine = await start(never, concurrency=0)
    job_id = await enqueue(engine)
    row = await row_of(database, job_id)
    for crash in range(1, 4):
        async with database.write() as w:
            await w.run(update(job).where(job.c.id == job_id).values(state="running", lease_owner="gone"))
        other = await start(never, concurrency=0, alone=True)
        row = await row_of(database, job_id)
        assert row["crashes"] == crash
        await other.drain(0)
    assert (row["state"], row["error_code"]) == ("dead", "crashed")


async def test_a_delayed_job_waits_for_its_time(database: Database, start: Start) -> None:
    done = asyncio.Event()

    async def work(context: JobContext) -> None:
        del context
        done.set()

    engine = await start(work)
    job_id = await enqueue(engine, run_at=clock.now() + timedelta(hours=1))
    now = await enqueue(engine)
    await until(database, now, "succeeded")
    assert (await row_of(database, job_id))["state"] == "queued"


async def test_only_the_owner_or_an_administrator_cancels(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        await context.cancelled.wait()
        raise JobCancelled

    engine = await start(work)
    job_id = await enqueue(engine)
    await until(database, job_id, "running")
    async with database.write() as w:
        await engine.cancel(w, UserScope(8), job_id)
    assert (await row_of(database, job_id))["cancel_requested_at"] is None
    async with database.write() as w:
        await engine.cancel(w, AdminScope(1), job_id)
    await until(database, job_id, "cancelled")


async def test_concurrency_is_bounded_by_type(database: Database, start: Start) -> None:
    running = 0
    peak = 0
    gate = asyncio.Event()

    async def work(context: JobContext) -> None:
        nonlocal running, peak
        del context
        running += 1
        peak = max(peak, running)
        if running == 2:
            gate.set()
        await gate.wait()
        await asyncio.sleep(0)
        running -= 1

    engine = await start(work, concurrency=2)
    jobs = [await enqueue(engine) for _ in range(6)]
    for job_id in jobs:
        await until(database, job_id, "succeeded")
    assert peak == 2
