"""The SQL of tasks as their owners and administrators see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, or_, select, update

from tidemill.datagen.repository_run import BELL
from tidemill.datagen.tables import generated_data, task_event, task_item_failed, tasks
from tidemill.kernel.actor import Scope, SystemScope, owner_filter
from tidemill.kernel.pages import PageRequest, decode_cursor
from tidemill.platform.db import Reader, Row, Writer
from tidemill.platform.jobs.rules import ENDED
from tidemill.platform.jobs.tables import job

# A deleted task is hidden at once and erased in slices, so that a million rows never hold the writer.
DELETED = "deleted"
ERASE_SLICE = 1_000
LIVE = ("pending", "running")


def _visible(scope: Scope) -> list[Any]:
    owner = owner_filter(scope)
    hidden = [tasks.c.status != DELETED]
    return hidden if owner is None else [*hidden, tasks.c.user_id == owner]


async def task(r: Reader, scope: Scope, task_id: str) -> Row | None:
    """Return a task by its name."""
    return await r.first(select(tasks).where(tasks.c.task_id == task_id, *_visible(scope)))


async def task_by_number(r: Reader, scope: Scope, number: int) -> Row | None:
    """Return a task by its row id."""
    return await r.first(select(tasks).where(tasks.c.id == number, *_visible(scope)))


async def page(r: Reader, scope: Scope, request: PageRequest, status: str | None) -> Sequence[Row]:
    """Return one more task than the page holds, newest first. Uses index: ix_tasks_user_id_id (or the key)."""
    stmt = select(tasks).where(*_visible(scope)).order_by(tasks.c.id.desc()).limit(request.page_size + 1)
    if status is not None:
        stmt = stmt.where(tasks.c.status == status)
    if request.cursor is not None:
        (before,) = decode_cursor(request.cursor, 1)
        stmt = stmt.where(tasks.c.id < int(before))
    else:
        stmt = stmt.offset(request.offset)
    return await r.all(stmt)


async def count(r: Reader, scope: Scope, status: str | None) -> int:
    """Count the tasks of a list."""
    stmt = select(func.count()).select_from(tasks).where(*_visible(scope))
    if status is not None:
        stmt = stmt.where(tasks.c.status == status)
    return int(await r.scalar(stmt))


async def running(r: Reader, scope: Scope, limit: int) -> Sequence[Row]:
    """Return running tasks, newest first."""
    return await r.all(
        select(tasks).where(*_visible(scope), tasks.c.status.in_(LIVE)).order_by(tasks.c.id.desc()).limit(limit)
    )


async def add(w: Writer, values: dict[str, Any]) -> int:
    """Insert a task and return its row id."""
    w.changed(BELL)
    return int(await w.scalar(insert(tasks).values(values).returning(tasks.c.id)))


async def set_job(w: Writer, scope: Scope, task_id: str, job_id: str) -> None:
    """Note which job runs the task."""
    await w.run(update(tasks).where(tasks.c.task_id == task_id, *_visible(scope)).values(job_id=job_id))


async def halt(w: Writer, scope: Scope, task_id: str, at: datetime) -> int | None:
    """Turn a live task to stopped, reserving two numbers of its sequence; returns the last, None if it is not live."""
    stmt = (
        update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.status.in_(LIVE), *_visible(scope))
        .values(status="stopped", finished_at=at, paused=None, seq=tasks.c.seq + 2)
        .returning(tasks.c.seq)
    )
    w.changed(BELL)
    return await w.scalar(stmt)


async def reopen(w: Writer, scope: Scope, task_id: str, changes: dict[str, Any]) -> bool:
    """Turn a stopped or failed task to running again; the event that ended it goes. False if it is neither."""
    stmt = (
        update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.status.in_(("stopped", "failed")), *_visible(scope))
        .values(status="running", finished_at=None, error_message=None, paused=None, **changes)
    )
    if await w.run(stmt) == 0:
        return False
    await w.run(sql_delete(task_event).where(task_event.c.task_id == task_id, task_event.c.kind == "complete"))
    w.changed(BELL)
    return True


async def unpause(w: Writer, scope: Scope, task_id: str, changes: dict[str, Any]) -> None:
    """Take a pause back; the run looks for it."""
    stmt = update(tasks).where(tasks.c.task_id == task_id, *_visible(scope)).values(paused=None, **changes)
    await w.run(stmt)
    w.changed(BELL)


async def hide(w: Writer, scope: Scope, task_id: str) -> bool:
    """Take a task out of sight; its runs are fenced off with it."""
    stmt = update(tasks).where(tasks.c.task_id == task_id, *_visible(scope))
    w.changed(BELL)
    return await w.run(stmt.values(status=DELETED, paused=None)) == 1


async def hidden(r: Reader, scope: SystemScope) -> list[str]:
    """Return the tasks whose erasure has not ended."""
    del scope  # system only, by type
    return [row["task_id"] for row in await r.all(select(tasks.c.task_id).where(tasks.c.status == DELETED))]


async def erase_slice(w: Writer, scope: SystemScope, task_id: str) -> bool:
    """Erase up to 1,000 rows of a hidden task; the task's own row goes last. True when nothing is left."""
    del scope  # system only, by type
    ids = select(generated_data.c.id).where(generated_data.c.task_id == task_id).limit(ERASE_SLICE)
    if await w.run(sql_delete(generated_data).where(generated_data.c.id.in_(ids))) == ERASE_SLICE:
        return False
    for table, key in ((task_item_failed, task_item_failed.c.item_no), (task_event, task_event.c.seq)):
        keys = select(key).where(table.c.task_id == task_id).limit(ERASE_SLICE)
        if await w.run(sql_delete(table).where(table.c.task_id == task_id, key.in_(keys))) == ERASE_SLICE:
            return False
    await w.run(sql_delete(tasks).where(tasks.c.task_id == task_id, tasks.c.status == DELETED))
    return True


async def orphaned(r: Reader, scope: SystemScope, task_id: str | None = None) -> Sequence[Row]:
    """Return running tasks (task_id, user_id) that no job is going to take on: all, or this one if it is one."""
    del scope  # system only, by type
    stmt = (
        select(tasks.c.task_id, tasks.c.user_id)
        .join_from(tasks, job, job.c.id == tasks.c.job_id, isouter=True)
        .where(tasks.c.status.in_(LIVE), or_(job.c.id.is_(None), job.c.state.in_(ENDED)))
    )
    return await r.all(stmt if task_id is None else stmt.where(tasks.c.task_id == task_id))


async def accepted_since(r: Reader, scope: Scope, task_id: str, after: int, limit: int) -> Sequence[Row]:
    """Return accepted rows (event_seq, data_content) committed after ``after``, in order."""
    del scope  # the caller owns the whole database
    g = generated_data.c
    return await r.all(
        select(g.event_seq, g.data_content)
        .where(g.task_id == task_id, g.event_seq > after, g.status == "accepted")
        .order_by(g.event_seq)
        .limit(limit)
    )


async def rows_since(r: Reader, scope: Scope, task_id: str, after: int, limit: int) -> Sequence[Row]:
    """Return rows of a task committed after ``after``, in order. Uses index: ix_generated_data_task_id_event_seq."""
    del scope  # the caller read the task under it
    g = generated_data.c
    return await r.all(
        select(
            g.id,
            g.event_seq,
            g.item_no,
            func.substr(g.data_content, 1, 400).label("preview"),
            g.model_score,
            g.rule_score,
            g.final_score,
            g.status,
        )
        .where(g.task_id == task_id, g.event_seq > after)
        .order_by(g.event_seq)
        .limit(limit)
    )


async def lines_since(r: Reader, scope: Scope, task_id: str, after: int, limit: int) -> Sequence[Row]:
    """Return lines of a task's log after ``after``, in order."""
    del scope  # the caller read the task under it
    e = task_event.c
    return await r.all(
        select(e.seq, e.kind, e.data).where(e.task_id == task_id, e.seq > after).order_by(e.seq).limit(limit)
    )
