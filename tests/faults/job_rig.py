"""What the fault tests of jobs share: worker processes, jobs whose effects are counted, a wire that can be cut."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.schema import CreateTable

from tests.faults.job_worker import TABLES, effect, engine_of, started
from tests.fixtures.processes import Child, clean_environment
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, open_database
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.tables import job
from tidemill.platform.tasks import TaskOwner

SYSTEM = SystemScope(SystemReason.JOBS)
ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("job_worker.py")
END_S = 90.0 + int(os.environ.get("JOBS", "500")) / 10


class Counts(Struct, frozen=True):
    """What the handlers did, and where the jobs stand."""

    started: int
    effects: int
    states: dict[str, int]


class JobRig:
    """Workers in processes of their own; the test's process enqueues and counts."""

    def __init__(self, db: Database, engine: JobEngine, url: str, queue_url: str, lease_s: float) -> None:
        self.db = db
        self.engine = engine
        self._url = url
        self._queue_url = queue_url
        self._lease_s = lease_s
        self._workers: list[Child] = []

    async def start_worker(self, *, url: str | None = None, queue_url: str | None = None) -> Child:
        """Start a worker process and wait until it takes jobs; other addresses lead it over a proxy."""
        addresses = [url or self._url, queue_url or self._queue_url]
        command = [sys.executable, str(SCRIPT), *addresses, str(self._lease_s)]
        child = Child(command, ROOT, clean_environment({"PYTHONPATH": str(ROOT)}))
        self._workers.append(child)
        await asyncio.to_thread(child.wait_for_line, "ready")
        return child

    async def enqueue(self, count: int, kind: str = "work", seconds: float = 0.02) -> list[str]:
        """Enqueue jobs, each in a transaction of its own as requests do."""
        ids: list[str] = []
        for _ in range(count):
            async with self.db.write() as w:
                ids.append(await self.engine.enqueue(w, SYSTEM, kind, {"seconds": seconds}, user_id=None))
        return ids

    async def counts(self) -> Counts:
        """Count."""
        async with self.db.read() as r:
            begun = await r.scalar(select(func.count()).select_from(started))
            effects = await r.scalar(select(func.count()).select_from(effect))
            rows = await r.all(select(job.c.state, func.count().label("count")).group_by(job.c.state))
        return Counts(begun, effects, {row["state"]: row["count"] for row in rows})

    async def until(self, *, effects: int | None = None, states: dict[str, int] | None = None) -> Counts:
        """Wait until so many effects are there, or the jobs stand exactly so; AssertionError after END_S."""
        deadline = time.monotonic() + END_S
        while True:
            counts = await self.counts()
            enough = effects is None or counts.effects >= effects
            if enough and (states is None or counts.states == states):
                return counts
            if time.monotonic() > deadline:
                logs = "\n".join(line for child in self._workers for line in child.log[-15:])
                raise AssertionError(f"still {counts}\n{logs}")
            await asyncio.sleep(0.05)

    async def until_connected(self) -> None:
        """Wait until this process's end of the broker is up; AssertionError when it takes too long."""
        deadline = time.monotonic() + END_S
        while not self.engine.transport.connected:
            if time.monotonic() > deadline:
                raise AssertionError(f"still {self.engine.transport.facts()}")
            await asyncio.sleep(0.05)

    def end_workers(self) -> None:
        """End what still runs."""
        for child in self._workers:
            child.end_group()


@asynccontextmanager
async def job_rig(url: str, queue_url: str, lease_s: float) -> AsyncGenerator[JobRig]:
    """Open the database and an engine that only enqueues; everything ends with the block."""
    db, owner = open_database(url), TaskOwner()
    owner.spawn("db.watch", db.watch())
    async with db.write() as w:
        for table in TABLES.sorted_tables:
            await w.run(CreateTable(table))
    engine = engine_of(db, url, queue_url, lease_s)
    await engine.open()
    rig = JobRig(db, engine, url, queue_url, lease_s)
    try:
        yield rig
    finally:
        await asyncio.to_thread(rig.end_workers)
        await engine.drain(0)
        await owner.cancel()
        await db.close()


class Proxy:
    """A wire to a local server that can be cut (connections die), or frozen (nothing gets through, none dies)."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._tasks = TaskOwner()
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and drop those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    def freeze(self) -> None:
        """Let nothing through."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let everything through that was held back."""
        self._flows.set()

    async def close(self) -> None:
        """End."""
        self.thaw()
        await self.cut()
        await self._tasks.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        self._tasks.spawn("proxy.there", self._carry(reader, back))
        self._tasks.spawn("proxy.back", self._carry(there, writer))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        except (ConnectionError, OSError):
            sink.transport.abort()
        finally:
            sink.close()
            self._writers.discard(sink)
