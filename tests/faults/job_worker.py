"""A process that runs jobs of the tests: the real engine with handlers whose effects can be counted.

    python tests/faults/job_worker.py DATABASE_URL QUEUE_URL LEASE_S

Handlers write what they do into the tables ``started`` (a row for each run, unfenced: what was begun) and ``effect``
(one row a job, fenced: what counts). It says ``ready`` when it takes jobs and ends in order on SIGTERM.
"""

import asyncio
import signal
import sys
import time

from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.dialects.postgresql import insert as insert_on_conflict

from tidemill.platform.db import Database, open_database
from tidemill.platform.jobs import JobContext, JobKind, JobYield
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.engines import open_transport
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.rules import Pulse
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import configure_logs

TABLES = MetaData()
started = Table(
    "started",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(36), nullable=False),
)
effect = Table("effect", TABLES, Column("job_id", String(36), primary_key=True), Column("attempt", Integer))


def kinds(db: Database) -> list[JobKind]:
    """Return the handlers: ``work`` takes some milliseconds, ``hang`` blocks the loop for some seconds."""

    async def begin(context: JobContext) -> None:
        async with db.write() as w:
            await w.run(insert(started), {"job_id": context.job_id})

    async def leave_effect(context: JobContext) -> None:
        async with db.write() as w:
            if not await context.holds(w):
                raise JobYield
            row = {"job_id": context.job_id, "attempt": context.attempt}
            await w.run(insert_on_conflict(effect).on_conflict_do_nothing(), row)

    async def work(context: JobContext) -> None:
        await begin(context)
        await asyncio.sleep(context.payload["seconds"])
        await leave_effect(context)

    async def hang(context: JobContext) -> None:
        await begin(context)
        time.sleep(context.payload["seconds"])  # noqa: ASYNC251 - a handler that blocks its loop is what is tested
        await leave_effect(context)

    async def crash(context: JobContext) -> None:
        await begin(context)
        signal.raise_signal(signal.SIGKILL)

    return [
        JobKind(type="work", handler=work, concurrency=8),
        JobKind(type="hang", handler=hang, concurrency=1),
        JobKind(type="crash", handler=crash, concurrency=1),
    ]


def engine_of(db: Database, database_url: str, queue_url: str, lease_s: float) -> JobEngine:
    """Return an engine that knows the handlers; the caller opens, starts and drains it."""
    engine = JobEngine(
        db,
        open_transport(queue_url, database_url),
        alone=False,
        worker=this_process(["worker"]),
        beat_database=lambda: open_database(database_url, pool_size=1),
        pulse=Pulse(lease_s),
    )
    for kind in kinds(db):
        engine.register(kind)
    return engine


async def main(database_url: str, queue_url: str, lease_s: float) -> None:
    """Run until SIGTERM."""
    db, owner, stop = open_database(database_url), TaskOwner(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    owner.spawn("db.watch", db.watch())
    engine = engine_of(db, database_url, queue_url, lease_s)
    await engine.open()
    await engine.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await engine.drain(10)
    await owner.cancel()
    await db.close()


if __name__ == "__main__":
    configure_logs("info", "text", None)
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
