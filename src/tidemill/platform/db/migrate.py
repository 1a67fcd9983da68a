"""Bring the schema to a revision, up or down.

Alembic is loaded only when something must change: comparing the stored revision with ``HEAD`` needs no more than one
SELECT, so an up-to-date start does not pay for it (about 10 MB).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from tidemill.platform.db.engines import sqlite_path

T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """Return the newest revision that this program ships: the highest numbered file."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(url: str) -> str | None:
    """Return the revision that the database at ``url`` stands at, None for an empty one."""
    if url.startswith("sqlite://"):
        return _sqlite_current(sqlite_path(url))
    return _run_sync(url, _stored_revision)


def upgrade(url: str, revision: str = "head") -> bool:
    """Bring the schema up to ``revision``; returns False when it already stood there."""
    wanted = head() if revision == "head" else revision
    if current(url) == wanted:
        return False
    _alembic(url, "upgrade", wanted)
    return True


def downgrade(url: str, revision: str) -> None:
    """Take the schema down to ``revision`` (``base`` empties it)."""
    _alembic(url, "downgrade", revision)


def _sqlite_current(path: str) -> str | None:
    if not Path(path).is_file():
        return None
    return _run_sync(f"sqlite:///{path}", _stored_revision)


def _stored_revision(connection: Connection) -> str | None:
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError):
        return None


def _alembic(url: str, verb: str, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - loaded only when the schema changes
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))

    def work(connection: Connection) -> None:
        config.attributes["connection"] = connection
        (command.upgrade if verb == "upgrade" else command.downgrade)(config, revision)
        connection.commit()

    _run_sync(url, work)


def _run_sync(url: str, work: Callable[[Connection], T]) -> T:
    """Run ``work`` on a plain connection; a caller on an event loop does so in a thread."""
    if url.startswith("sqlite://"):
        path = sqlite_path(url)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30})
        try:
            with engine.connect() as connection:
                return work(connection)
        finally:
            engine.dispose()
    from tidemill.platform.db.postgres import run_sync  # noqa: PLC0415 - brings the ORM; only for PostgreSQL

    return asyncio.run(run_sync(url, work))
