"""Which engine a database URL asks for."""

from pathlib import Path

from tidemill.kernel.errors import BadInput
from tidemill.platform.db.port import Database
from tidemill.platform.db.sqlite import SqliteDatabase


def sqlite_path(url: str) -> str:
    """Return the file of a ``sqlite:///relative``, ``sqlite:////absolute`` or ``sqlite://`` (in memory) URL."""
    path = url.removeprefix("sqlite://").removeprefix("/")
    return path or ":memory:"


def open_database(url: str, *, synchronous: str = "FULL", pool_size: int = 10) -> Database:
    """Open the database that ``url`` names; connections are made at first use.

    Raises BadInput for a scheme that is neither sqlite nor postgresql.
    """
    if url.startswith("sqlite://"):
        path = sqlite_path(url)
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        return SqliteDatabase(path, synchronous=synchronous)
    if url.startswith(("postgresql://", "postgres://", "postgresql+asyncpg://")):
        from tidemill.platform.db.postgres import PostgresDatabase  # noqa: PLC0415 - brings the ORM; only when asked for

        return PostgresDatabase(url, pool_size=pool_size)
    raise BadInput.of("database.url", "must begin with sqlite:// or postgresql://")
