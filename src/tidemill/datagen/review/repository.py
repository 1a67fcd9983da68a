"""All SQL of review. Rows of a task that is being erased are hidden."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, update

from tidemill.datagen.review.contracts import RowFilter
from tidemill.datagen.tables import generated_data as data
from tidemill.datagen.tables import tasks
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.db import Reader, Row, Writer

IN_LIMIT = 500
_DELETED = "deleted"
# The engine's own columns stay inside.
_HIDDEN = frozenset({"event_seq", "fingerprint"})
_SHOWN = [column for column in data.c if column.name not in _HIDDEN]

SortKey = tuple[str, bool]
"""Column and whether it falls."""


def _visible(scope: Scope, wanted: RowFilter | None = None) -> list[ColumnElement[bool]]:
    owner = owner_filter(scope)
    conditions: list[ColumnElement[bool]] = [
        data.c.task_id.not_in(select(tasks.c.task_id).where(tasks.c.status == _DELETED))
    ]
    if owner is not None:
        conditions.append(data.c.user_id == owner)
    if wanted is None:
        return conditions
    equal = {
        data.c.task_id: wanted.task_id,
        data.c.task_type: wanted.task_type,
        data.c.is_confirmed: wanted.is_confirmed,
        data.c.status: wanted.status,
    }
    conditions += [column == value for column, value in equal.items() if value is not None]
    if wanted.min_score is not None:
        conditions.append(data.c.final_score >= wanted.min_score)
    if wanted.max_score is not None:
        conditions.append(data.c.final_score <= wanted.max_score)
    if wanted.q:
        conditions.append(data.c.data_content.icontains(wanted.q, autoescape=True))
    return conditions


async def page(
    r: Reader,
    scope: Scope,
    wanted: RowFilter,
    sort: SortKey,
    *,
    after: tuple[Any, int] | None,
    offset: int,
    limit: int,
) -> Sequence[Row]:
    """Return rows in order; ``after`` is sort value and id of the last row seen.

    Rows without a score count as lower than any. Uses index: ix_generated_data_task_id_id or …_user_id_id.
    """
    name, falls = sort
    stmt = select(*_SHOWN).where(*_visible(scope, wanted))
    if after is not None:
        stmt = stmt.where(_behind(name, falls=falls, value=after[0], row_id=after[1]))
    return await r.all(_ordered(stmt, name, falls=falls).offset(offset).limit(limit))


def _ordered(stmt: Select[Any], name: str, *, falls: bool) -> Select[Any]:
    column = data.c[name]
    if name == "id":
        return stmt.order_by(column.desc() if falls else column)
    if falls:
        return stmt.order_by(column.desc().nulls_last(), data.c.id.desc())
    return stmt.order_by(column.asc().nulls_first(), data.c.id)


def _behind(name: str, *, falls: bool, value: Any, row_id: int) -> ColumnElement[bool]:
    column = data.c[name]
    later = data.c.id < row_id if falls else data.c.id > row_id
    if name == "id":
        return later
    if value is None:
        level = and_(column.is_(None), later)
        return level if falls else or_(level, column.is_not(None))
    level = and_(column == value, later)
    return or_(column < value, level, column.is_(None)) if falls else or_(column > value, level)


async def count(r: Reader, scope: Scope, wanted: RowFilter) -> int:
    """Count the rows that a filter lets through."""
    return int(await r.scalar(select(func.count()).select_from(data).where(*_visible(scope, wanted))))


async def by_ids(r: Reader, scope: Scope, ids: Sequence[int], *, hold: bool = False) -> dict[int, Row]:
    """Return rows by id, those that are there for ``scope``; ``hold`` keeps them until the transaction ends."""
    found: dict[int, Row] = {}
    for start in range(0, len(ids), IN_LIMIT):
        stmt = select(*_SHOWN).where(data.c.id.in_(ids[start : start + IN_LIMIT]), *_visible(scope)).order_by(data.c.id)
        found.update({row["id"]: row for row in await r.all(stmt.with_for_update() if hold else stmt)})
    return found


async def known_ids(r: Reader, scope: Scope, ids: Sequence[int]) -> set[int]:
    """Return those of ``ids`` that are there for ``scope``."""
    found: set[int] = set()
    for start in range(0, len(ids), IN_LIMIT):
        stmt = select(data.c.id).where(data.c.id.in_(ids[start : start + IN_LIMIT]), *_visible(scope))
        found |= {row["id"] for row in await r.all(stmt)}
    return found


async def write_contents(w: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give rows new contents; each mapping holds row, content, lineage, now. The row's version goes up by one."""
    await w.run(
        update(data)
        .where(data.c.id == bindparam("row"))
        .values(
            data_content=bindparam("content"),
            lineage=bindparam("history"),
            updated_at=bindparam("now"),
            row_version=data.c.row_version + 1,
        ),
        rows,
    )


async def mark(
    w: Writer, scope: Scope, chosen: Sequence[int] | RowFilter, values: Mapping[str, Any], now: datetime
) -> int:
    """Set ``values`` on rows chosen by id or by filter; returns how many there were."""
    setting = update(data).values(**values, updated_at=now)
    if isinstance(chosen, RowFilter):
        return await w.run(setting.where(*_visible(scope, chosen)))
    reached = 0
    for start in range(0, len(chosen), IN_LIMIT):
        part = chosen[start : start + IN_LIMIT]
        reached += await w.run(setting.where(data.c.id.in_(part), *_visible(scope)))
    return reached


async def types_of(r: Reader, scope: Scope, wanted: RowFilter) -> list[str]:
    """Return the task types of the rows that a filter lets through."""
    rows = await r.all(select(data.c.task_type).where(*_visible(scope, wanted)).distinct())
    return sorted(row["task_type"] or "" for row in rows)


async def slice_after(
    r: Reader, scope: Scope, wanted: RowFilter, after: int, limit: int, *, contents_only: bool = False
) -> Sequence[Row]:
    """Return up to ``limit`` rows with an id above ``after``, by id: the steps of an export."""
    columns = [data.c.id, data.c.data_content] if contents_only else _SHOWN
    stmt = select(*columns).where(*_visible(scope, wanted), data.c.id > after)
    return await r.all(stmt.order_by(data.c.id).limit(limit))
