"""PostgreSQL behind the database port, by asyncpg.

Loaded only when the database URL names PostgreSQL: the asyncio extension brings SQLAlchemy's ORM with it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from sqlalchemy import Connection, Executable, Insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from tidemill.kernel import clock
from tidemill.kernel.errors import StorageFull
from tidemill.platform.db.bells import Bells, bumped
from tidemill.platform.db.listening import connect, failures
from tidemill.platform.db.port import Dialect, Parameters, Reader, Row, Writer

T = TypeVar("T")


CHANNEL = "tidemill_changes"
POOL_SIZE = 10
RECONNECT_S = 1.0
LISTEN_CHECK_S = 5.0


class _Reader:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self, stmt: Executable, params: Parameters | None = None) -> Sequence[Row]:
        return (await self._connection.execute(stmt, dict(params) if params else None)).mappings().all()

    async def first(self, stmt: Executable, params: Parameters | None = None) -> Row | None:
        return (await self._connection.execute(stmt, dict(params) if params else None)).mappings().first()

    async def scalar(self, stmt: Executable, params: Parameters | None = None) -> Any:
        return (await self._connection.execute(stmt, dict(params) if params else None)).scalar()


class _Writer(_Reader):
    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
        self.topics: set[str] = set()
        self.callbacks: list[Callable[[], None]] = []

    async def run(self, stmt: Executable, rows: Parameters | Sequence[Parameters] | None = None) -> int:
        if isinstance(rows, Sequence) and not rows:
            return 0
        return (await self._connection.execute(stmt, rows)).rowcount  # pyright: ignore[reportArgumentType] - Mapping is enough

    async def load(self, stmt: Insert, rows: Sequence[Parameters]) -> int:
        return await self.run(stmt, rows)

    def changed(self, topic: str) -> None:
        self.topics.add(topic)

    def after_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


async def run_sync(url: str, work: Callable[[Connection], T]) -> T:
    """Run synchronous ``work`` (migrations) on one connection of its own."""
    engine = create_async_engine(_driver_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _driver_url(url: str) -> str:
    return urlunsplit(("postgresql+asyncpg", *urlsplit(url)[1:]))


class PostgresDatabase:
    """A PostgreSQL database; the pool opens connections as they are needed."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        self._url = url
        self._engine = create_async_engine(
            _driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
        )
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._bells = Bells()
        self._process = uuid4().hex

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reader]:
        """Open a read-only snapshot (REPEATABLE READ)."""
        async with self._snapshots.connect() as connection:
            yield _Reader(connection)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Writer]:
        """Open a transaction (READ COMMITTED)."""
        try:
            async with self._engine.begin() as connection:
                writer = _Writer(connection)
                yield writer
                # In one order, so that two writers of the same topics cannot wait for each other.
                for topic in sorted(writer.topics):
                    await connection.execute(bumped(topic))
                    await connection.execute(
                        text("SELECT pg_notify(:channel, :payload)"),
                        {"channel": CHANNEL, "payload": f"{self._process} {topic}"},
                    )
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == "53100":  # disk_full
                raise StorageFull from error
            raise
        self._bells.ring(writer.topics)
        for callback in writer.callbacks:
            callback()

    def subscribe(self, topic: str, callback: Callable[[], None]) -> None:
        """Listen to a topic."""
        self._bells.subscribe(topic, callback)

    async def watch(self) -> None:
        """LISTEN on a connection of its own; after a gap every topic rings, since notices may have been missed."""
        first = True
        while True:
            try:
                connection = await connect(self._url)
                try:
                    await connection.add_listener(CHANNEL, self._heard)
                    if not first:
                        self._bells.ring_all()
                    first = False
                    while not connection.is_closed():
                        await asyncio.sleep(LISTEN_CHECK_S)
                        await connection.execute("SELECT 1")
                finally:
                    await connection.close(timeout=1)
            except failures():
                await asyncio.sleep(RECONNECT_S)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        del connection, pid, channel
        process, _, topic = str(payload).partition(" ")
        if process != self._process:
            self._bells.ring([topic])

    async def check(self) -> float:
        """Prove that the server answers."""
        started = clock.monotonic()
        async with self._engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        return clock.monotonic() - started

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()
