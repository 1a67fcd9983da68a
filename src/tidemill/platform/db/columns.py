"""Column types and statements that mean the same on SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, Dialect, Interval, MetaData, Table, Text, bindparam
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from tidemill.kernel import clock

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware UTC in Python, ``timestamptz`` on PostgreSQL, naive UTC text on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Keep the zone where the database can."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody could tell which zone they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the database")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every time its zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """Any JSON value, kept as text on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Encode; None stays NULL."""
        del dialect
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Decode; NULL stays None."""
        del dialect
        return None if value is None else msgspec.json.decode(value)


def insert_or_nothing(table: Table, keys: Sequence[str]) -> postgresql.Insert:
    """Return an INSERT that leaves an existing row with the same ``keys`` alone (rowcount 0)."""
    return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(keys))


def upsert(
    table: Table, keys: Sequence[str], values: Mapping[str, Any], update: Mapping[str, Any]
) -> postgresql.Insert:
    """Return an INSERT of ``values`` that sets ``update`` on the row that already has these ``keys``.

    Both databases share this syntax (SQLite took it from PostgreSQL), so one construct serves both.
    """
    return postgresql.insert(table).values(**values).on_conflict_do_update(index_elements=list(keys), set_=dict(update))


class epoch_s(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Whole seconds since 1970 of a ``UtcTime`` column: what moments are folded into intervals by."""

    type = BigInteger()
    inherit_cache = True


@compiles(epoch_s)
def _epoch_of_text(element: epoch_s, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **options)}) AS INTEGER)"


@compiles(epoch_s, "postgresql")
def _epoch_of_time(element: epoch_s, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **options)})) AS bigint)"


class db_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The database's own clock, for what several machines judge: leases and due times.

    SQLite has one machine, so there it is ours. Tests that shift our clock shift this one.
    """

    type = UtcTime()
    inherit_cache = True


@compiles(db_now)
def _our_now(element: db_now, compiler: SQLCompiler, **options: Any) -> str:
    del element
    ours = bindparam("our_now", unique=True, callable_=clock.now, type_=UtcTime())
    return str(compiler.process(ours, **options))


@compiles(db_now, "postgresql")
def _its_now(element: db_now, compiler: SQLCompiler, **options: Any) -> str:
    del element
    shift = bindparam("clock_shift", unique=True, callable_=clock.shift, type_=Interval())
    return f"(now() + {compiler.process(shift, **options)})"
