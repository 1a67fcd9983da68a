"""The SQL of schedules: their owners' lists and changes, and what the scheduler takes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_on_conflict

from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.db import Reader, Row, Writer, db_now
from tidemill.platform.jobs.tables import job_schedule

_s = job_schedule.c


def _visible(scope: Scope) -> list[ColumnElement[bool]]:
    owner = owner_filter(scope)
    return [] if owner is None else [_s.user_id == owner]


async def page(
    r: Reader, scope: Scope, *, limit: int, before: str | None = None, user_id: int | None = None
) -> Sequence[Row]:
    """Return up to ``limit`` schedules, newest first, older than the id ``before``."""
    stmt = select(job_schedule).where(*_visible(scope)).order_by(_s.id.desc()).limit(limit)
    if before is not None:
        stmt = stmt.where(_s.id < before)
    if user_id is not None:
        stmt = stmt.where(_s.user_id == user_id)
    return await r.all(stmt)


async def one(r: Reader, scope: Scope, schedule_id: str) -> Row | None:
    """Return a schedule, None when there is none in ``scope``."""
    return await r.first(select(job_schedule).where(_s.id == schedule_id, *_visible(scope)))


async def count_of(r: Reader, scope: Scope, user_id: int | None) -> int:
    """Count an owner's schedules (None: the program's)."""
    del scope  # the owner is named
    return int(
        await r.scalar(select(func.count()).select_from(job_schedule).where(_s.user_id.is_not_distinct_from(user_id)))
    )


async def add(w: Writer, scope: Scope, values: Mapping[str, Any]) -> bool:
    """Insert a schedule; False when its owner has one of that name."""
    del scope  # the owner is among the values
    return await w.run(insert_on_conflict(job_schedule).on_conflict_do_nothing(), values) == 1


async def change(w: Writer, scope: Scope, schedule_id: str, values: Mapping[str, Any]) -> None:
    """Set ``values``; raises IntegrityError when its owner has another one of the new name."""
    await w.run(update(job_schedule).where(_s.id == schedule_id, *_visible(scope)).values(**values))


async def remove(w: Writer, scope: Scope, schedule_id: str) -> None:
    """Delete a schedule; the jobs it made stay."""
    await w.run(delete(job_schedule).where(_s.id == schedule_id, *_visible(scope)))


async def forget_user(w: Writer, scope: Scope, user_id: int) -> int:
    """Delete a user's schedules."""
    del scope  # the caller is the deletion of an account
    return await w.run(delete(job_schedule).where(_s.user_id == user_id))


async def due(r: Reader, scope: Scope, types: Collection[str], limit: int) -> list[str]:
    """Return the ids of schedules that are due. Uses index: ix_job_schedule_next_run_at."""
    del scope
    stmt = select(_s.id).where(_is_due(types)).order_by(_s.next_run_at).limit(limit)
    return [row["id"] for row in await r.all(stmt)]


async def take(w: Writer, scope: Scope, schedule_id: str, types: Collection[str]) -> Row | None:
    """Return a schedule that is (still) due, held until the transaction ends; None when somebody else has it."""
    del scope
    stmt = select(job_schedule).where(_s.id == schedule_id, _is_due(types))
    return await w.first(stmt.with_for_update(skip_locked=True))


def _is_due(types: Collection[str]) -> Any:
    return _s.enabled & (_s.next_run_at <= db_now()) & _s.type.in_(sorted(types))


async def advance(
    w: Writer, scope: Scope, schedule_id: str, following: datetime | None, values: Mapping[str, Any]
) -> None:
    """Set when it fires next, and what its last firing made; without a next firing it is over."""
    del scope
    ended = {} if following is not None else {"enabled": False}
    await w.run(update(job_schedule).where(_s.id == schedule_id).values(next_run_at=following, **ended, **values))
