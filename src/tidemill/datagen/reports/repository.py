"""All SQL of reports: sums made by the database, never rows by the million.

Groups of computed values go through a subquery: PostgreSQL does not see that two CASE expressions with bound values
are the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select

from tidemill.datagen.tables import generated_data as data
from tidemill.datagen.tables import task_item_failed as failed
from tidemill.datagen.tables import tasks
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.db import Reader, Row

BINS = 10
SLOTS = 24
SAMPLES = 10
MAX_GROUPS = 200
_DELETED = "deleted"
_SCORES = ("final_score", "model_score", "rule_score_exact")


def _visible(scope: Scope) -> list[ColumnElement[bool]]:
    owner = owner_filter(scope)
    conditions: list[ColumnElement[bool]] = [tasks.c.status != _DELETED]
    return conditions if owner is None else [*conditions, tasks.c.user_id == owner]


async def task(r: Reader, scope: Scope, task_id: str) -> Row | None:
    """Return the task's row, None when it is not there for ``scope``: the queries below rest on that answer."""
    return await r.first(select(tasks).where(tasks.c.task_id == task_id, *_visible(scope)))


async def page(r: Reader, scope: Scope, *, after: int | None, offset: int, limit: int) -> Sequence[Row]:
    """Return tasks, newest first. Uses index: ix_tasks_user_id_id."""
    stmt = select(tasks).where(*_visible(scope))
    if after is not None:
        stmt = stmt.where(tasks.c.id < after)
    return await r.all(stmt.order_by(tasks.c.id.desc()).offset(offset).limit(limit))


async def count(r: Reader, scope: Scope) -> int:
    """Count the tasks that ``page`` would list."""
    return int(await r.scalar(select(func.count()).select_from(tasks).where(*_visible(scope))))


async def states(r: Reader, task_ids: Sequence[str]) -> Sequence[Row]:
    """Return task_id, status, rows and confirmed rows: one row for each status of each task."""
    stmt = (
        select(data.c.task_id, data.c.status, func.count().label("rows"), _sum_if(data.c.is_confirmed, "confirmed"))
        .where(data.c.task_id.in_(task_ids))
        .group_by(data.c.task_id, data.c.status)
    )
    return await r.all(stmt)


async def histogram(r: Reader, task_id: str, column: str) -> list[int]:
    """Count the rows of each of ten equal steps from 0 to 10."""
    score = data.c[column]
    step = case(*((score < edge + 1, edge) for edge in range(BINS - 1)), else_=BINS - 1).label("step")
    steps = select(step).where(data.c.task_id == task_id, score.is_not(None)).subquery()
    rows = await r.all(select(steps.c.step, func.count().label("rows")).group_by(steps.c.step))
    counts = {row["step"]: row["rows"] for row in rows}
    return [counts.get(number, 0) for number in range(BINS)]


async def groups(r: Reader, task_id: str, *names: str) -> Sequence[Row]:
    """Return the figures of each group of rows that share the columns ``names``; the 200 largest."""
    keys = [data.c[name] for name in names]
    means = [func.avg(data.c[name]).label(name) for name in _SCORES]
    stmt = (
        select(
            *keys,
            func.count().label("rows"),
            _sum_if(data.c.status == "accepted", "accepted"),
            *means,
            func.sum(data.c.input_tokens).label("in_tokens"),
            func.sum(data.c.output_tokens).label("out_tokens"),
        )
        .where(data.c.task_id == task_id)
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
        .limit(MAX_GROUPS)
    )
    return await r.all(stmt)


async def failures(r: Reader, task_id: str, *names: str) -> Sequence[Row]:
    """Return the items without a row, by the columns ``names``: how many, their tokens, one reason."""
    keys = [failed.c[name] for name in names]
    stmt = (
        select(
            *keys,
            func.count().label("items"),
            func.sum(failed.c.input_tokens).label("in_tokens"),
            func.sum(failed.c.output_tokens).label("out_tokens"),
            func.min(failed.c.reason).label("reason"),
        )
        .where(failed.c.task_id == task_id)
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
        .limit(MAX_GROUPS)
    )
    return await r.all(stmt)


async def accepted_tokens(r: Reader, task_id: str) -> int:
    """Return the tokens that went into accepted rows."""
    tokens = func.sum(data.c.input_tokens + data.c.output_tokens)
    return int(await r.scalar(select(tokens).where(data.c.task_id == task_id, data.c.status == "accepted")) or 0)


async def made_between(r: Reader, task_id: str) -> tuple[datetime, datetime] | None:
    """Return when the first and the last row were made, None without rows."""
    stmt = select(func.min(data.c.created_at).label("first"), func.max(data.c.created_at).label("last"))
    row = await r.first(stmt.where(data.c.task_id == task_id))
    return None if row is None or row["first"] is None else (row["first"], row["last"])


async def throughput(r: Reader, task_id: str, edges: Sequence[datetime]) -> dict[int, tuple[int, int]]:
    """Return rows and accepted rows made before each of ``edges`` and after the one before it."""
    inner = edges[:-1]
    slot: Any = case(*((data.c.created_at < edge, number) for number, edge in enumerate(inner)), else_=len(inner))
    slots = select(slot.label("slot"), data.c.status).where(data.c.task_id == task_id).subquery()
    stmt = select(slots.c.slot, func.count().label("rows"), _sum_if(slots.c.status == "accepted", "accepted")).group_by(
        slots.c.slot
    )
    return {row["slot"]: (row["rows"], int(row["accepted"])) for row in await r.all(stmt)}


async def samples(r: Reader, task_id: str) -> Sequence[Row]:
    """Return ten rows taken evenly over the task."""
    numbered = (
        select(
            data.c.id,
            func.row_number().over(order_by=data.c.id).label("number"),
            func.count().over().label("count"),
        )
        .where(data.c.task_id == task_id)
        .subquery()
    )
    # Row n is taken when n*10/count reaches a new whole number: ten of them, or all when there are fewer.
    number, total = numbered.c.number, numbered.c.count
    chosen = select(numbered.c.id).where(or_(total <= SAMPLES, (number * SAMPLES) % total < SAMPLES))
    stmt = select(data.c.id, data.c.status, data.c.final_score, data.c.direction, data.c.data_content)
    return await r.all(stmt.where(data.c.id.in_(chosen)).order_by(data.c.id).limit(SAMPLES))


async def retried_after(r: Reader, task_id: str, after: int, limit: int) -> Sequence[Row]:
    """Return rows that had a refused attempt, by id: status and lineage."""
    stmt = (
        select(data.c.id, data.c.status, data.c.lineage)
        .where(
            data.c.task_id == task_id,
            data.c.id > after,
            or_(data.c.retry_count > 0, data.c.status.in_(("below_threshold", "needs_review"))),
        )
        .order_by(data.c.id)
        .limit(limit)
    )
    return await r.all(stmt)


def _sum_if(condition: ColumnElement[bool], name: str) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0)).label(name)
