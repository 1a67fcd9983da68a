"""Jobs over each carrier: enqueued a second, run a second by one worker process, and from enqueue to start when idle.

Each job is enqueued in a transaction of its own, as requests do; jobs do nothing. SQLite's worker is the enqueuing
process itself, the others have one of their own. Baselines of the same run: for
enqueueing, a transaction that inserts one row of the same size into the same database; for the brokers' runs and
starts, PostgreSQL carrying its own tickets; for those two without a broker, SQLite.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, func, insert, select
from sqlalchemy.schema import CreateTable

from bench.figures import Figure, median_of
from bench.jobs_child import KIND, engine_of
from tests.fixtures.postgres import running_postgres
from tests.fixtures.processes import Child, clean_environment
from tests.fixtures.rabbitmq import INNER_PROGRAM, RabbitMqServer
from tests.fixtures.valkey import ValkeyServer
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, open_database
from tidemill.platform.db.migrate import upgrade
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.tables import job
from tidemill.platform.tasks import TaskOwner

JOBS = 1_000
WRITERS = 16
LATENCIES = 30
REPETITIONS = 3
PATIENCE_S = 120.0
ROOT = Path(__file__).parents[1]
SYSTEM = SystemScope(SystemReason.JOBS)
PAYLOAD = {"file": 17, "pages": [1, 2, 3], "title": "a payload as jobs have it"}
plain = Table(
    "bench_plain",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(36)),
    Column("payload", Text),
)


class Rates(Struct):
    """What one carrier did in one repetition."""

    insert_per_s: float
    enqueue_per_s: float
    run_per_s: float
    start_ms: float


@contextmanager
def places(folder: Path) -> Generator[dict[str, tuple[str, str]]]:
    """Give every carrier's database and queue address on servers of their own."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        rabbitmq, valkey = _rabbitmq(), ValkeyServer()
        stack.callback(rabbitmq.stop)
        stack.callback(valkey.stop)
        given = {
            "sqlite": (f"sqlite:///{folder / 'jobs.db'}", "local://"),
            "postgresql": (postgres.create("alone"), "local://"),
            "rabbitmq": (postgres.create("rabbitmq"), rabbitmq.url),
            "redis": (postgres.create("redis"), valkey.url),
        }
        for url, _ in given.values():
            upgrade(url)
        yield given


def _rabbitmq() -> RabbitMqServer:
    program, epmd = shutil.which("rabbitmq-server"), shutil.which("epmd")
    if program is None or epmd is None:
        raise RuntimeError("RabbitMQ is missing; `make test` installs it where it may, else your system's packages do")
    return RabbitMqServer(str(INNER_PROGRAM) if INNER_PROGRAM.is_file() else program, epmd)


@asynccontextmanager
async def opened(url: str, queue_url: str) -> AsyncGenerator[tuple[Database, JobEngine]]:
    """Open a database and an engine that only enqueues."""
    db, owner = open_database(url), TaskOwner()
    owner.spawn("db.watch", db.watch())
    engine = engine_of(db, url, queue_url)
    await engine.open()
    while not engine.transport.connected:  # noqa: ASYNC110 - the transport says no more than this
        await asyncio.sleep(0.01)
    try:
        yield db, engine
    finally:
        await engine.drain(0)
        await owner.cancel()
        await db.close()


async def rate_of(once: Callable[[], Awaitable[object]]) -> float:
    """Do ``once`` JOBS times from WRITERS writers and return how many a second."""

    async def write() -> None:
        for _ in range(JOBS // WRITERS):
            await once()

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return JOBS // WRITERS * WRITERS / (time.perf_counter() - began)


async def ended(db: Database, count: int) -> None:
    """Wait until so many jobs have succeeded."""
    done = select(func.count()).select_from(job).where(job.c.state == "succeeded")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with db.read() as r:
                if await r.scalar(done) >= count:
                    return
            await asyncio.sleep(0.05)


async def measure_place(url: str, queue_url: str) -> Rates:
    """Measure one carrier once, on jobs of its own."""
    async with opened(url, queue_url) as (db, engine):
        async with db.write() as w:
            await w.run(job.delete())
            await w.run(CreateTable(plain, if_not_exists=True))

        async def insert_one() -> None:
            async with db.write() as w:
                await w.run(insert(plain), {"name": "x" * 36, "payload": str(PAYLOAD)})

        async def enqueue_one() -> str:
            async with db.write() as w:
                return await engine.enqueue(w, SYSTEM, KIND, PAYLOAD, user_id=None)

        inserted = await rate_of(insert_one)
        enqueued = await rate_of(enqueue_one)
        async with working(url, queue_url, engine):
            count = JOBS // WRITERS * WRITERS
            await ended(db, count)
            async with db.read() as r:
                (row,) = await r.all(select(func.min(job.c.started_at), func.max(job.c.finished_at)))
            first, last = row.values()
            waits: list[float] = []
            for number in range(LATENCIES):
                identifier = await enqueue_one()
                await ended(db, count + number + 1)
                async with db.read() as r:
                    (one,) = await r.all(select(job.c.created_at, job.c.started_at).where(job.c.id == identifier))
                waits.append((one["started_at"] - one["created_at"]).total_seconds() * 1000)
        return Rates(inserted, enqueued, count / (last - first).total_seconds(), median_of(waits)[0])


@asynccontextmanager
async def working(url: str, queue_url: str, engine: JobEngine) -> AsyncGenerator[None]:
    """Run jobs: on SQLite in this process, as the product does, else in one of their own."""
    if url.startswith("sqlite"):
        await engine.start()
        yield
        return
    child = Child(
        [sys.executable, "-m", "bench.jobs_child", url, queue_url], ROOT, clean_environment({"PYTHONPATH": str(ROOT)})
    )
    try:
        yield
    finally:
        await asyncio.to_thread(child.stop)


def measure() -> list[Figure]:
    """Measure every carrier in turn, three times over."""
    taken: dict[str, list[Rates]] = {}
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder, places(Path(folder)) as given:
        for _ in range(REPETITIONS):
            for name, (url, queue_url) in given.items():
                taken.setdefault(name, []).append(asyncio.run(measure_place(url, queue_url)))
    figures: list[Figure] = []
    for name, rates in taken.items():
        beside = "sqlite" if name in {"sqlite", "postgresql"} else "postgresql"
        inserts = median_of(one.insert_per_s for one in rates)[0]
        for title, field, unit in (
            ("enqueued", "enqueue_per_s", "jobs/s"),
            ("run by one worker", "run_per_s", "jobs/s"),
            ("enqueue to start, idle", "start_ms", "ms"),
        ):
            value, samples = median_of(getattr(one, field) for one in rates)
            own = field == "enqueue_per_s"
            beside_it = None if name == "sqlite" else median_of(getattr(one, field) for one in taken[beside])[0]
            figures.append(
                Figure(
                    name=f"jobs, {name}: {title}",
                    value=value,
                    unit=unit,
                    samples=samples,
                    baseline=inserts if own else beside_it,
                    baseline_name="one plain row a transaction" if own else f"{beside}, same run" if beside_it else "",
                )
            )
    return figures
