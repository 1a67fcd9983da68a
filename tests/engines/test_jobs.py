"""One suite for every carrier of tickets: SQLite and PostgreSQL alone, PostgreSQL beside RabbitMQ and beside Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import insert, select, update

from tests.fixtures.transports import KINDS, Carrier
from tidemill.kernel import clock
from tidemill.kernel.actor import AdminScope, SystemReason, SystemScope, UserScope
from tidemill.kernel.errors import BadInput, TooMany, Unavailable
from tidemill.platform.db import Database, open_database
from tidemill.platform.jobs import JobCancelled, JobContext, JobFailed, JobKind, JobRetry, JobYield
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import QUEUES_BELL, JobEngine
from tidemill.platform.jobs.errors import PayloadTooLarge, QueueFull
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.tables import job, job_event, job_queue
from tidemill.platform.jobs.transport import Transport

SYSTEM = SystemScope(SystemReason.JOBS)
DEADLINE_S = 20.0
Start = Callable[..., Awaitable[JobEngine]]


class Home(NamedTuple):
    """Where jobs are kept, and how another end of what carries their tickets is made."""

    url: str
    transport: Callable[[], Transport]
    carrier: Carrier | None


@pytest.fixture(params=["sqlite", "postgresql", *sorted(KINDS)])
def home(request: pytest.FixtureRequest) -> Home:
    """Give every carrier; brokers stand beside PostgreSQL."""
    if request.param not in KINDS:
        url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
        return Home(url, lambda: DatabaseTransport(request.param), None)
    carrier = Carrier(*KINDS[request.param](request, False))  # noqa: FBT003 - Kind's shape
    return Home(request.getfixturevalue("postgres_url"), carrier.make, carrier)


@pytest.fixture
async def database(home: Home) -> AsyncIterator[Database]:
    opened = open_database(home.url)
    yield opened
    await opened.close()
    if home.carrier is not None:
        await home.carrier.close()


@pytest.fixture
async def start(home: Home, database: Database) -> AsyncIterator[Start]:
    engines: list[JobEngine] = []

    async def build(handler: Callable[[JobContext], Awaitable[None]], **options: Any) -> JobEngine:
        engine = JobEngine(
            database,
            home.transport(),
            alone=bool(options.pop("alone", False)),
            worker=this_process(["worker"]),
        )
        engine.register(JobKind(type="work", handler=handler, **options))
        await engine.open()
        async with asyncio.timeout(DEADLINE_S):
            while not engine.transport.connected:
                await asyncio.sleep(0.01)
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

    old = await start(slow, concurrency=1)
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


async def test_the_urgent_go_first_and_the_old_before_the_young(database: Database, start: Start) -> None:
    order: list[str] = []

    async def work(context: JobContext) -> None:
        order.append(context.job_id)

    idle = await start(work, concurrency=0)
    plain = [await enqueue(idle) for _ in range(3)]
    urgent = [await enqueue(idle, priority=5) for _ in range(2)]
    await idle.drain(0)
    await start(work, concurrency=1)
    await until(database, plain[-1], "succeeded")
    assert order == [*urgent, *plain]


async def set_queue(database: Database, **values: Any) -> None:
    async with database.write() as w:
        changed = await w.run(update(job_queue).where(job_queue.c.name == "default").values(values))
        if not changed:
            await w.run(insert(job_queue), {"name": "default", "updated_at": clock.now(), **values})
        w.changed(QUEUES_BELL)


async def test_a_paused_queue_rests_until_it_is_resumed(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        del context

    engine = await start(work)
    await set_queue(database, paused=True)
    job_id = await enqueue(engine)
    await asyncio.sleep(0.3)
    assert (await row_of(database, job_id))["state"] == "queued"
    await set_queue(database, paused=False)
    await until(database, job_id, "succeeded")


async def test_a_full_queue_refuses_with_a_time_to_come_again(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        del context

    engine = await start(work, concurrency=0)
    await set_queue(database, max_length=3, max_per_user=2)
    await enqueue(engine)
    await enqueue(engine)
    with pytest.raises(QueueFull) as own:
        await enqueue(engine)
    assert (own.value.status, own.value.retry_after_s) == (429, 5.0)
    async with database.write() as w:
        await engine.enqueue(w, SYSTEM, "work", {}, user_id=8)
    with pytest.raises(TooMany):
        async with database.write() as w:
            await engine.enqueue(w, SYSTEM, "work", {}, user_id=9)


async def test_a_payload_has_a_bound(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        del context

    engine = await start(work)
    with pytest.raises(PayloadTooLarge):
        async with database.write() as w:
            await engine.enqueue(w, SYSTEM, "work", {"text": "x" * 70_000}, user_id=7)


async def test_all_workers_together_keep_the_bound_of_a_queue(database: Database, start: Start) -> None:
    running, peak, gate = 0, 0, asyncio.Event()

    async def work(context: JobContext) -> None:
        nonlocal running, peak
        del context
        running += 1
        peak = max(peak, running)
        await asyncio.wait_for(gate.wait(), DEADLINE_S)
        running -= 1

    await set_queue(database, concurrency=3)
    first = await start(work)
    await start(work)
    jobs = [await enqueue(first) for _ in range(8)]
    async with asyncio.timeout(DEADLINE_S):
        while running < 3:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    gate.set()
    for job_id in jobs:
        await until(database, job_id, "succeeded")
    assert peak == 3


async def test_a_retry_waits_as_long_as_it_was_asked_to(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        if context.attempt == 1:
            raise JobRetry("busy", "Come again.", after_s=600)
        if context.attempt == 2:
            raise Unavailable("down", retry_after_s=700)

    job_id = await enqueue(await start(work))
    for wanted_s, code in ((600, "busy"), (700, Unavailable.code)):
        row = await until(database, job_id, "retry_wait")
        assert wanted_s - 5 < (row["run_at"] - clock.now()).total_seconds() < wanted_s + 5
        assert row["error_code"] == code
        async with database.write() as w:
            await w.run(update(job).where(job.c.id == job_id).values(run_at=clock.now()))
            w.changed("jobs")
        await until(database, job_id, "running", "retry_wait", "succeeded")
        async with asyncio.timeout(DEADLINE_S):
            while (await row_of(database, job_id))["attempt"] == row["attempt"]:
                await asyncio.sleep(0.02)
    row = await until(database, job_id, "succeeded")
    assert (row["attempt"], row["error_code"]) == (3, None)


async def test_a_refusal_of_the_input_is_final(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        del context
        raise BadInput.of("file", "is no PDF")

    row = await until(database, await enqueue(await start(work)), "failed")
    assert (row["error_code"], row["attempt"]) == (BadInput.code, 1)


async def test_a_run_has_a_time_limit_and_may_not_stand_still(database: Database, start: Start) -> None:
    async def work(context: JobContext) -> None:
        del context
        await asyncio.Event().wait()

    for options, code in (({"timeout_s": 0.2}, "timeout"), ({"stall_s": 0.2}, "stalled")):
        engine = await start(work, max_attempts=1, **options)
        row = await until(database, await enqueue(engine), "dead")
        assert row["error_code"] == code
        await engine.drain(0)


async def test_what_a_handler_writes_is_fenced(database: Database, start: Start) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    held: list[bool] = []

    async def work(context: JobContext) -> None:
        for _ in range(2):
            async with database.write() as w:
                held.append(await context.holds(w))
            begun.set()
            await go_on.wait()

    job_id = await enqueue(await start(work))
    await begun.wait()
    async with database.write() as w:
        await w.run(update(job).where(job.c.id == job_id).values(epoch=job.c.epoch + 1, state="cancelled"))
    go_on.set()
    async with asyncio.timeout(DEADLINE_S):
        while len(held) < 2:
            await asyncio.sleep(0.01)
    assert held == [True, False]


async def test_a_job_that_one_process_does_not_take_is_left_to_another(database: Database, start: Start) -> None:
    ran: list[str] = []

    def worker(name: str) -> Callable[[JobContext], Awaitable[None]]:
        async def work(context: JobContext) -> None:
            ran.append(f"{name}: {context.payload['for']}")

        return work

    def not_for_two(payload: dict[str, Any]) -> bool:
        return payload["for"] != "two"

    async def wanted(name: str) -> str:
        async with database.write() as w:
            return await one.enqueue(w, SYSTEM, "work", {"for": name}, user_id=7)

    one = await start(worker("one"), takes=not_for_two)
    refused = await wanted("two")
    # Behind a job that it does not take, it still finds those that it does.
    await until(database, await wanted("one"), "succeeded")
    assert (await row_of(database, refused))["state"] == "queued"
    await start(worker("two"))
    await until(database, refused, "succeeded")
    assert ran == ["one: one", "two: two"]
