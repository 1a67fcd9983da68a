"""The SQL of a run: taking a task on, committing groups of items, ending it.

Every write is fenced: it begins by moving the task's row ``WHERE status = 'running' AND epoch = ...``. A run that was
stopped, or whose task another run took on, finds no row and changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import insert, select, update

from tidemill.datagen.tables import generated_data, task_event, task_item_failed, tasks
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.db import Reader, Row, Writer

PAGE = 5_000
TEXT_PAGE = 500
BELL = "tasks"


class Delta(Struct, kw_only=True):
    """What one group commit adds to one task."""

    task_id: str
    epoch: int
    accepted: int = 0
    below_threshold: int = 0
    needs_review: int = 0
    failed: int = 0
    retried: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    events: int = 0
    live: dict[str, Any] | UnsetType = UNSET
    paused: dict[str, Any] | UnsetType | None = UNSET


async def take_on(w: Writer, scope: Scope, task_id: str) -> Row | None:
    """Fence off earlier runs and return the task's row; None when it is not to be run (any more)."""
    stmt = (
        update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.status.in_(("pending", "running")), *_owned(scope))
        .values(epoch=tasks.c.epoch + 1, status="running")
        .returning(*tasks.c)
    )
    return await w.first(stmt)


async def finished_numbers(r: Reader, scope: Scope, task_id: str, after: int, *, failed: bool) -> list[int]:
    """Return up to 5,000 item numbers above ``after`` that have a row (or, with ``failed``, a record of failure)."""
    table = task_item_failed if failed else generated_data
    stmt = (
        select(table.c.item_no)
        .where(table.c.task_id == task_id, table.c.item_no > after)
        .order_by(table.c.item_no)
        .limit(PAGE)
    )
    del scope  # the task's row was read under it
    return [row["item_no"] for row in await r.all(stmt)]


async def accepted_after(r: Reader, scope: Scope, task_id: str, after: int) -> Sequence[Row]:
    """Return up to 500 accepted rows (item_no, data_content) above ``after``, by number."""
    del scope  # as above
    return await r.all(
        select(generated_data.c.item_no, generated_data.c.data_content)
        .where(
            generated_data.c.task_id == task_id,
            generated_data.c.item_no > after,
            generated_data.c.status == "accepted",
        )
        .order_by(generated_data.c.item_no)
        .limit(TEXT_PAGE)
    )


async def accepted_among(r: Reader, scope: Scope, task_id: str, numbers: Sequence[int]) -> Sequence[Row]:
    """Return the accepted rows (item_no, data_content) among these item numbers, by number."""
    del scope  # as above
    return await r.all(
        select(generated_data.c.item_no, generated_data.c.data_content)
        .where(
            generated_data.c.task_id == task_id,
            generated_data.c.item_no.in_(numbers),
            generated_data.c.status == "accepted",
        )
        .order_by(generated_data.c.item_no)
    )


async def add_up(w: Writer, delta: Delta) -> int | None:
    """Move the task's counters and its sequence; returns the last number used before, None when fenced off."""
    values: dict[str, Any] = {
        name: getattr(tasks.c, name) + getattr(delta, name)
        for name in (
            "accepted",
            "below_threshold",
            "needs_review",
            "failed",
            "retried",
            "input_tokens",
            "output_tokens",
            "cost_nano",
        )
        if getattr(delta, name)
    }
    values["seq"] = tasks.c.seq + delta.events
    if delta.live is not UNSET:
        values["live"] = delta.live
    if delta.paused is not UNSET:
        values["paused"] = delta.paused
    seq = await w.scalar(_fenced(delta.task_id, delta.epoch).values(values).returning(tasks.c.seq))
    return None if seq is None else seq - delta.events


async def add_rows(
    w: Writer,
    rows: Sequence[dict[str, Any]],
    failed: Sequence[dict[str, Any]],
    events: Sequence[dict[str, Any]],
) -> None:
    """Insert what a group commit holds. Raises IntegrityError for an item that is already stored."""
    if rows:
        await w.run(insert(generated_data), rows)
    if failed:
        await w.run(insert(task_item_failed), failed)
    if events:
        await w.run(insert(task_event), events)
    w.changed(BELL)


async def write_line(
    w: Writer, task_id: str, epoch: int, line: dict[str, Any], at: datetime, *, live: dict[str, Any]
) -> bool:
    """Append a log line to a running task and set its figures; returns False when fenced off."""
    values = {"seq": tasks.c.seq + 1, "live": live}
    seq = await w.scalar(_fenced(task_id, epoch).values(values).returning(tasks.c.seq))
    if seq is None:
        return False
    await add_event(w, task_id, seq, "log", line, at)
    return True


async def end(
    w: Writer, task_id: str, epoch: int, status: str, at: datetime, result: str | None, error: str | None
) -> bool:
    """Give a running task its end and the event that says so; returns False when fenced off."""
    values: dict[str, Any] = {"status": status, "finished_at": at, "paused": None, "seq": tasks.c.seq + 1}
    if result is not None:
        values["result"] = result
    if error is not None:
        values["error_message"] = error
    seq = await w.scalar(_fenced(task_id, epoch).values(values).returning(tasks.c.seq))
    if seq is None:
        return False
    await add_event(w, task_id, seq, "complete", {"status": status}, at)
    return True


async def add_event(w: Writer, task_id: str, seq: int, kind: str, data: dict[str, Any], at: datetime) -> None:
    """Append one line to the task's log under a number of its sequence."""
    await w.run(insert(task_event), {"task_id": task_id, "seq": seq, "kind": kind, "data": data, "created_at": at})
    w.changed(BELL)


def _fenced(task_id: str, epoch: int) -> Any:
    return update(tasks).where(tasks.c.task_id == task_id, tasks.c.status == "running", tasks.c.epoch == epoch)


def _owned(scope: Scope) -> list[Any]:
    owner = owner_filter(scope)
    return [] if owner is None else [tasks.c.user_id == owner]
