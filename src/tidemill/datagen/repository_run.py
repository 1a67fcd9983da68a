"""The SQL of a run: committing groups of items, ending a task, reading what is stored of it.

Every write begins with the task's row locked (``repository_crew.lock``) and is fenced: it moves that row only while it
is running and the run has its place in the crew. A run of a task that was stopped, or whose place another one took,
changes nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import case, insert, select, update

from tidemill.datagen.repository_crew import STANDING, Standing, in_place, standing
from tidemill.datagen.tables import generated_data, task_event, task_item_failed, tasks
from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader, Row, Writer

TEXT_PAGE = 500
PRINT_PAGE = 5_000
BELL = "tasks"


class Delta(Struct, kw_only=True):
    """What one group commit, or one look of the foreman, adds to one task."""

    task_id: str
    entry: int
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


async def finished_among(r: Reader, scope: Scope, task_id: str, numbers: Collection[int]) -> set[int]:
    """Return which of these item numbers have a row or a record of failure."""
    del scope  # the task's row was read under it
    rows, failed = (
        select(table.c.item_no).where(table.c.task_id == task_id, table.c.item_no.in_(numbers))
        for table in (generated_data, task_item_failed)
    )
    return {row["item_no"] for row in await r.all(rows.union_all(failed))}


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


async def accepted_prints(r: Reader, scope: Scope, task_id: str, after: int) -> Sequence[Row]:
    """Return up to 5,000 accepted rows (item_no, fingerprint) above ``after``, by number.

    ``data_content`` stands only where a row has no fingerprint.
    """
    del scope  # as above
    g = generated_data.c
    return await r.all(
        select(g.item_no, g.fingerprint, case((g.fingerprint.is_(None), g.data_content)).label("data_content"))
        .where(g.task_id == task_id, g.item_no > after, g.status == "accepted")
        .order_by(g.item_no)
        .limit(PRINT_PAGE)
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


async def accepted_between(r: Reader, scope: Scope, task_id: str, after: int, until: int) -> Sequence[Row]:
    """Return up to 500 accepted rows (event_seq, item_no, data_content) of numbers in (after, until], in order.

    Uses index: ix_generated_data_task_id_event_seq.
    """
    del scope  # as above
    g = generated_data.c
    return await r.all(
        select(g.event_seq, g.item_no, g.data_content)
        .where(g.task_id == task_id, g.event_seq > after, g.event_seq <= until, g.status == "accepted")
        .order_by(g.event_seq)
        .limit(TEXT_PAGE)
    )


async def known_fingerprints(r: Reader, scope: Scope, task_id: str, among: Collection[str]) -> set[str]:
    """Return which of these texts the task has already. Uses index: uq_generated_data_task_id_fingerprint."""
    del scope  # as above
    g = generated_data.c
    stmt = select(g.fingerprint).where(g.task_id == task_id, g.fingerprint.in_(among))
    return {row["fingerprint"] for row in await r.all(stmt)}


async def add_up(w: Writer, delta: Delta) -> Standing | None:
    """Move the task's counters and its sequence; returns where it stands then, None when fenced off."""
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
    stmt = _fenced(delta.task_id, delta.entry).values(values)
    row = await w.first(stmt.returning(*(tasks.c[name] for name in STANDING)))
    return None if row is None else standing(row)


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


async def counts(r: Reader, scope: Scope, task_id: str) -> dict[str, int]:
    """Return how many items ended how, and how many attempts were repeated."""
    del scope  # as above
    names = ("accepted", "below_threshold", "needs_review", "failed", "retried")
    row = await r.first(select(*(tasks.c[name] for name in names)).where(tasks.c.task_id == task_id))
    return {} if row is None else dict(row)


async def write_line(
    w: Writer, task_id: str, entry: int, line: dict[str, Any], at: datetime, *, live: dict[str, Any] | None
) -> bool:
    """Append a log line to a running task and set its figures; returns False when fenced off."""
    values = {"seq": tasks.c.seq + 1, "live": live}
    seq = await w.scalar(_fenced(task_id, entry).values(values).returning(tasks.c.seq))
    if seq is None:
        return False
    await add_event(w, task_id, seq, "log", line, at)
    return True


async def end(
    w: Writer, task_id: str, entry: int, status: str, at: datetime, result: str | None, error: str | None
) -> bool:
    """Give a running task its end and the event that says so; returns False when fenced off."""
    values: dict[str, Any] = {"status": status, "finished_at": at, "paused": None, "seq": tasks.c.seq + 1}
    if result is not None:
        values["result"] = result
    if error is not None:
        values["error_message"] = error
    seq = await w.scalar(_fenced(task_id, entry).values(values).returning(tasks.c.seq))
    if seq is None:
        return False
    await add_event(w, task_id, seq, "complete", {"status": status}, at)
    return True


async def add_event(w: Writer, task_id: str, seq: int, kind: str, data: dict[str, Any], at: datetime) -> None:
    """Append one line to the task's log under a number of its sequence."""
    await w.run(insert(task_event), {"task_id": task_id, "seq": seq, "kind": kind, "data": data, "created_at": at})
    w.changed(BELL)


def _fenced(task_id: str, entry: int) -> Any:
    return update(tasks).where(tasks.c.task_id == task_id, tasks.c.status == "running", in_place(task_id, entry))
