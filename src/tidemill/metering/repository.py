"""SQL of usage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.dialects import postgresql

from tidemill.kernel import clock
from tidemill.kernel.actor import Scope, SystemScope, owner_filter
from tidemill.metering.tables import usage_events, usage_hourly, usage_journals
from tidemill.platform.db import Reader, Row, Writer, insert_or_nothing

_SUMS = (
    "requests",
    "errors",
    "request_tokens",
    "response_tokens",
    "total_tokens",
    "cost_nano",
    "latency_ms_sum",
)
_HOURLY_KEY = ("hour", "user_id", "key_id", "model", "channel_id", "surface")

GROUPINGS = {
    "model": usage_hourly.c.model,
    "channel": usage_hourly.c.channel_id,
    "surface": usage_hourly.c.surface,
    "key": usage_hourly.c.key_id,
    "user": usage_hourly.c.user_id,
}


def _adding_hours() -> postgresql.Insert:
    insert = postgresql.insert(usage_hourly)
    table, new = usage_hourly.c, insert.excluded
    changes: dict[str, ColumnElement[Any]] = {name: table[name] + new[name] for name in _SUMS}
    # One word for the larger of two values that both databases know.
    changes["latency_ms_max"] = case(
        (new.latency_ms_max > table.latency_ms_max, new.latency_ms_max), else_=table.latency_ms_max
    )
    return insert.on_conflict_do_update(index_elements=list(_HOURLY_KEY), set_=changes)


# Made once: twice a second, working out a statement costs as much as carrying it out.
_ADD_EVENTS = insert_or_nothing(usage_events, ["id"])
_ADD_HOURS = _adding_hours()


async def taken_bytes(r: Reader, scope: SystemScope, file: str) -> int | None:
    """Return how far a journal file has been taken in; None when it never was."""
    del scope
    return await r.scalar(select(usage_journals.c.taken_bytes).where(usage_journals.c.file == file))


async def move_taken(w: Writer, scope: SystemScope, file: str, before: int | None, after: int) -> bool:
    """Advance a file's mark from ``before`` to ``after``; False when somebody else moved it meanwhile."""
    del scope
    if before is None:
        row = {"file": file, "taken_bytes": after, "updated_at": clock.now()}
        return await w.run(insert_or_nothing(usage_journals, ["file"]), row) == 1
    statement = (
        update(usage_journals)
        .where(usage_journals.c.file == file, usage_journals.c.taken_bytes == before)
        .values(taken_bytes=after, updated_at=clock.now())
    )
    return await w.run(statement) == 1


async def forget_journal(w: Writer, scope: SystemScope, file: str) -> None:
    """Drop the mark of a file that is gone."""
    del scope
    await w.run(delete(usage_journals).where(usage_journals.c.file == file))


async def journals_before(r: Reader, scope: SystemScope, moment: datetime) -> list[str]:
    """Return the files whose mark has not moved since ``moment``."""
    del scope
    rows = await r.all(select(usage_journals.c.file).where(usage_journals.c.updated_at < moment))
    return [row["file"] for row in rows]


async def add_events(w: Writer, scope: SystemScope, events: Sequence[dict[str, Any]]) -> None:
    """Insert events; one that is there already stays as it is."""
    del scope
    await w.load(_ADD_EVENTS, events)


async def add_hours(w: Writer, scope: Scope, hours: Sequence[dict[str, Any]]) -> None:
    """Add sums to the hours; ``hours`` come sorted by key, so that two writers never deadlock."""
    del scope
    await w.run(_ADD_HOURS, hours)


def _totals() -> list[ColumnElement[Any]]:
    table = usage_hourly.c
    sums: list[ColumnElement[Any]] = [func.coalesce(func.sum(table[name]), 0).label(name) for name in _SUMS]
    return [*sums, func.max(table.latency_ms_max).label("latency_ms_max")]


def _between(
    scope: Scope, since: datetime, until: datetime, channel_id: int | None = None
) -> list[ColumnElement[bool]]:
    # Uses index: usage_hourly_user_id_hour for one's own, the primary key for all.
    conditions = [usage_hourly.c.hour >= since, usage_hourly.c.hour < until]
    if channel_id is not None:
        conditions.append(usage_hourly.c.channel_id == channel_id)
    owner = owner_filter(scope)
    if owner is not None:
        conditions.append(usage_hourly.c.user_id == owner)
    return conditions


async def totals(r: Reader, scope: Scope, since: datetime, until: datetime, channel_id: int | None = None) -> Row:
    """Return one row of sums."""
    row = await r.first(select(*_totals()).where(*_between(scope, since, until, channel_id)))
    if row is None:
        raise LookupError("a sum without groups has always one row")
    return row


async def by_hour(
    r: Reader, scope: Scope, since: datetime, until: datetime, channel_id: int | None = None
) -> Sequence[Row]:
    """Return the sums of each hour in which something happened, oldest first."""
    hour = usage_hourly.c.hour
    statement = select(hour, *_totals()).where(*_between(scope, since, until, channel_id)).group_by(hour)
    return await r.all(statement.order_by(hour))


async def by_channel_and_hour(r: Reader, scope: Scope, since: datetime, until: datetime) -> Sequence[Row]:
    """Return the sums of each channel's hours, oldest first."""
    keys = (usage_hourly.c.channel_id, usage_hourly.c.hour)
    return await r.all(select(*keys, *_totals()).where(*_between(scope, since, until)).group_by(*keys).order_by(*keys))


async def outcomes(
    r: Reader, scope: Scope, since: datetime, until: datetime, channel_id: int, most: int
) -> Sequence[Row]:
    """Count a channel's calls by how they ended. Uses index: usage_events_channel_id_created_at."""
    table = usage_events.c
    conditions = [table.channel_id == channel_id, table.created_at >= since, table.created_at < until]
    owner = owner_filter(scope)
    if owner is not None:
        conditions.append(table.user_id == owner)
    count = func.count().label("requests")
    keys = (table.status, table.error_code)
    statement = select(*keys, count).where(*conditions).group_by(*keys)
    return await r.all(statement.order_by(count.desc(), *keys).limit(most))


async def by_group(
    r: Reader,
    scope: Scope,
    since: datetime,
    until: datetime,
    group_by: str,
    most: int,
    channel_id: int | None = None,
) -> Sequence[Row]:
    """Return the sums of each value of ``group_by`` (a key of ``GROUPINGS``), busiest first, at most ``most``."""
    column = GROUPINGS[group_by]
    statement = (
        select(column.label("key"), *_totals())
        .where(*_between(scope, since, until, channel_id))
        .group_by(column)
        .order_by(func.sum(usage_hourly.c.requests).desc(), column)
        .limit(most)
    )
    return await r.all(statement)


async def totals_of(r: Reader, scope: SystemScope, users: Sequence[int], since: datetime) -> Sequence[Row]:
    """Return one row of sums for each of these users. Uses index: usage_hourly_user_id_hour."""
    del scope  # each row goes to its own user
    table = usage_hourly.c
    statement = select(table.user_id, *_totals()).where(table.user_id.in_(users), table.hour >= since)
    return await r.all(statement.group_by(table.user_id))


async def make_anonymous(w: Writer, scope: Scope, user_id: int) -> None:
    """Cut the tie between a user and their usage; the sums stay."""
    await w.run(
        update(usage_events)
        .where(usage_events.c.user_id == user_id)
        .values(user_id=None, key_id=None, metadata=None, request_id="")
    )
    table = usage_hourly.c
    dimensions = (table.hour, table.model, table.channel_id, table.surface)
    rows = await w.all(select(*dimensions, *_totals()).where(table.user_id == user_id).group_by(*dimensions))
    await w.run(delete(usage_hourly).where(table.user_id == user_id))
    await add_hours(w, scope, [{**row, "user_id": 0, "key_id": ""} for row in rows])


async def newest(r: Reader, scope: Scope, limit: int, before: str | None) -> Sequence[Row]:
    """Return single events, newest first; their ids are in the order of time (UUID version 7)."""
    statement = select(usage_events).order_by(usage_events.c.id.desc()).limit(limit)
    owner = owner_filter(scope)
    if owner is not None:
        statement = statement.where(usage_events.c.user_id == owner)
    if before is not None:
        statement = statement.where(usage_events.c.id < before)
    return await r.all(statement)
