"""What a database is to the rest of the program: two doors and a bell.

``read()`` is a snapshot, any number at once. ``write()`` is one transaction, committed when the block ends and rolled
back when it raises; on SQLite it begins IMMEDIATE behind one fair queue per process. ``changed(topic)`` inside a write
rings the bell of that topic, here and in every other process on the same database, once the write is committed.
Nothing outside the database is awaited inside ``write()``.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from sqlalchemy import Executable, Insert, RowMapping

Row = RowMapping
Parameters = Mapping[str, Any]
Dialect = Literal["sqlite", "postgresql"]


class Reader(Protocol):
    """Statements that look. Rows arrive whole: page them, never read a table without a limit."""

    async def all(self, stmt: Executable, params: Parameters | None = None) -> Sequence[Row]:
        """Return every row of ``stmt``."""
        ...

    async def first(self, stmt: Executable, params: Parameters | None = None) -> Row | None:
        """Return the first row of ``stmt``, None when there is none."""
        ...

    async def scalar(self, stmt: Executable, params: Parameters | None = None) -> Any:
        """Return the first column of the first row, None when there is none."""
        ...


class Writer(Reader, Protocol):
    """Statements that look and change, inside one transaction."""

    async def run(self, stmt: Executable, rows: Parameters | Sequence[Parameters] | None = None) -> int:
        """Run ``stmt`` (once a row when ``rows`` is a sequence) and return the count of rows it touched.

        Raises IntegrityError for a broken constraint and StorageFull when the disk has no room.
        """
        ...

    async def load(self, stmt: Insert, rows: Sequence[Parameters]) -> int:
        """Run one INSERT for rows that all have the same names; like ``run``, at half its cost a row.

        ``stmt`` is prepared once and kept, so it must be made once: a constant of its module, not of a call.
        """
        ...

    def changed(self, topic: str) -> None:
        """Ring ``topic``'s bell when this transaction has been committed."""
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` in this process once the transaction has been committed; never after a rollback."""
        ...


class Database(Protocol):
    """One opened database."""

    dialect: Dialect

    def read(self) -> AbstractAsyncContextManager[Reader]:
        """Open a snapshot."""
        ...

    def write(self) -> AbstractAsyncContextManager[Writer]:
        """Open a transaction."""
        ...

    def subscribe(self, topic: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` on this process's loop after each committed change of ``topic``, by whatever process.

        Changes may be folded: one call can stand for many.
        """
        ...

    async def watch(self) -> None:
        """Listen for other processes' changes until cancelled."""
        ...

    async def check(self) -> float:
        """Prove that the database answers; returns the seconds it took."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
