"""SQLite behind the database port.

Each connection lives on a thread of its own, so a statement that its task stopped waiting for is over before the next
one starts. One connection writes (BEGIN IMMEDIATE, behind an asyncio lock, which is first come first served), a few
read snapshots (WAL). A file in memory has one connection for both.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable, Insert, create_engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tidemill.kernel import clock
from tidemill.kernel.errors import StorageFull, Unavailable
from tidemill.platform.db.bells import Bells, bumped, change_seq
from tidemill.platform.db.bulk import Bulk
from tidemill.platform.db.port import Dialect, Parameters, Reader, Row, Writer

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
WATCH_INTERVAL_S = 0.5
READERS = 4


def _into_wal(connection: sqlite3.Connection) -> None:
    """Have a log written ahead.

    On a new file several connections can want this change at once. The one that SQLite fears would deadlock hears
    without the busy timeout that the file is locked, so it asks again here for as long.
    """
    give_up_at = clock.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or clock.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


class _Lane:
    """One connection and the thread that alone touches it."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: Connection | None = None

    def submit(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Queue ``work`` behind what this lane still does."""
        return asyncio.wrap_future(self._thread.submit(self._on_thread, work))

    def _on_thread(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            return work(self._connection)
        except OperationalError as error:
            reason = str(error.orig)
            if "is full" in reason:
                raise StorageFull from error
            if "is locked" in reason:
                raise Unavailable("another process holds the database") from error
            raise

    async def close(self) -> None:
        def shut() -> None:
            if self._connection is not None:
                self._connection.close()

        await asyncio.wrap_future(self._thread.submit(shut))
        self._thread.shutdown(wait=False)


class _Reader:
    """One snapshot; it begins with the first statement."""

    def __init__(self, lane: _Lane) -> None:
        self._lane = lane

    def _before(self, connection: Connection) -> None:
        if not connection.in_transaction():
            connection.exec_driver_sql("BEGIN")

    async def _fetch(self, work: Callable[[CursorResult[Any]], T], stmt: Executable, params: Parameters | None) -> T:
        def on_thread(connection: Connection) -> T:
            self._before(connection)
            return work(connection.execute(stmt, dict(params) if params else None))

        return await self._lane.submit(on_thread)

    async def all(self, stmt: Executable, params: Parameters | None = None) -> Sequence[Row]:
        return await self._fetch(lambda result: result.mappings().all(), stmt, params)

    async def first(self, stmt: Executable, params: Parameters | None = None) -> Row | None:
        return await self._fetch(lambda result: result.mappings().first(), stmt, params)

    async def scalar(self, stmt: Executable, params: Parameters | None = None) -> Any:
        return await self._fetch(lambda result: result.scalar(), stmt, params)


class _Writer(_Reader):
    def __init__(self, lane: _Lane, bulks: dict[tuple[Insert, tuple[str, ...]], Bulk]) -> None:
        super().__init__(lane)
        self._bulks = bulks
        self.topics: set[str] = set()
        self.callbacks: list[Callable[[], None]] = []

    def _before(self, connection: Connection) -> None:
        if not connection.in_transaction():
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    async def run(self, stmt: Executable, rows: Parameters | Sequence[Parameters] | None = None) -> int:
        if isinstance(rows, Sequence) and not rows:
            return 0

        def on_thread(connection: Connection) -> int:
            self._before(connection)
            return connection.execute(stmt, rows).rowcount  # pyright: ignore[reportArgumentType] - Mapping is enough

        return await self._lane.submit(on_thread)

    async def load(self, stmt: Insert, rows: Sequence[Parameters]) -> int:
        if not rows:
            return 0

        def on_thread(connection: Connection) -> int:
            self._before(connection)
            key = stmt, tuple(rows[0])
            bulk = self._bulks.get(key)
            if bulk is None:
                bulk = self._bulks[key] = Bulk(stmt, key[1], connection.dialect)
            return connection.exec_driver_sql(bulk.sql, bulk.values(rows)).rowcount

        return await self._lane.submit(on_thread)

    def changed(self, topic: str) -> None:
        self.topics.add(topic)

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class SqliteDatabase:
    """A database file (or, for tests, one in memory)."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: str, *, synchronous: str = "FULL") -> None:
        self.path = path
        self._in_memory = path == ":memory:"
        self._synchronous = synchronous
        self._bells = Bells()
        self._known_seq: dict[str, int] = {}
        # As many as there are statements for bulk in the program.
        self._bulks: dict[tuple[Insert, tuple[str, ...]], Bulk] = {}
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        self._writer = _Lane(engine, "db-write")
        self._write_queue = asyncio.Lock()
        self._lanes = [] if self._in_memory else [_Lane(engine, f"db-read-{number}") for number in range(READERS)]
        self._idle: asyncio.Queue[_Lane] = asyncio.Queue()
        for lane in self._lanes:
            self._idle.put_nowait(lane)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if not self._in_memory:
            _into_wal(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        return connection

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reader]:
        """Open a snapshot on one of the reading connections; waits while all are busy."""
        if self._in_memory:
            async with self._write_queue:
                try:
                    yield _Reader(self._writer)
                finally:
                    await asyncio.shield(self._writer.submit(_rollback))
            return
        lane = await self._idle.get()
        try:
            yield _Reader(lane)
        finally:
            done = lane.submit(_rollback)
            self._idle.put_nowait(lane)
            await asyncio.shield(done)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Writer]:
        """Open the one writing transaction of this process."""
        async with self._write_queue:
            writer = _Writer(self._writer, self._bulks)
            try:
                yield writer
                committed = await self._commit(writer)
            except BaseException:
                await asyncio.shield(self._writer.submit(_rollback))
                raise
        self._known_seq.update(committed)
        self._bells.ring(writer.topics)
        for callback in writer.callbacks:
            callback()

    async def _commit(self, writer: _Writer) -> dict[str, int]:
        """Write the notices, commit, and see it through even when the task is being cancelled."""
        topics = sorted(writer.topics)

        def on_thread(connection: Connection) -> dict[str, int]:
            if not connection.in_transaction():
                if not topics:
                    return {}
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            seqs: dict[str, int] = {}
            for topic in topics:
                seqs[topic] = connection.execute(bumped(topic)).scalar_one()
            connection.commit()
            return seqs

        future = self._writer.submit(on_thread)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if future.exception() is None:
                self._bells.ring(topics)
                for callback in writer.callbacks:
                    callback()
            raise

    def subscribe(self, topic: str, callback: Callable[[], None]) -> None:
        """Listen to a topic."""
        self._bells.subscribe(topic, callback)

    async def watch(self) -> None:
        """Notice other processes' writes by ``PRAGMA data_version`` on a connection that never writes."""
        if self._in_memory:
            return
        lane = self._lanes[0]
        seen = -1
        while True:
            version = await lane.submit(_data_version)
            if version != seen:
                first, seen = seen == -1, version
                topics = await self._moved_topics()
                if not first:
                    self._bells.ring(topics)
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _moved_topics(self) -> list[str]:
        async with self.read() as reader:
            rows = await reader.all(select(change_seq.c.topic, change_seq.c.seq))
        moved = [row["topic"] for row in rows if row["seq"] > self._known_seq.get(row["topic"], 0)]
        self._known_seq.update({row["topic"]: row["seq"] for row in rows})
        return moved

    async def check(self) -> float:
        """Prove that the file still takes a write lock."""
        started = clock.monotonic()
        async with self._write_queue:
            await self._writer.submit(_touch)
        return clock.monotonic() - started

    async def close(self) -> None:
        """Close every connection; the last one folds the WAL back into the file."""
        for lane in [*self._lanes, self._writer]:
            await lane.close()


def _rollback(connection: Connection) -> None:
    connection.rollback()


def _data_version(connection: Connection) -> int:
    driver = connection.connection.driver_connection
    if driver is None:
        return -1
    return int(driver.execute("PRAGMA data_version").fetchone()[0])


def _touch(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.rollback()
