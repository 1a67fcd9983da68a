"""The SQL of what people do to jobs and queues: replay and discard dead letters, change what waits, set a queue.

Each statement names the states it moves from, so whatever happened meanwhile, only what ``rules.MOVES`` allows does.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, update

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Row, Writer, upsert
from tidemill.platform.jobs.repository import now
from tidemill.platform.jobs.repository_desk import visible
from tidemill.platform.jobs.rules import LOST, WAITING
from tidemill.platform.jobs.tables import job, job_event, job_queue

_MOVED = (job.c.id, job.c.type, job.c.queue, job.c.user_id, job.c.epoch, job.c.event_seq, job.c.payload)


async def replay(
    w: Writer, scope: Scope, ids: Collection[str], *, by: int | None, payload: Mapping[str, Any] | None = None
) -> Sequence[Row]:
    """Give dead letters another life; returns those that were (id, type, queue, user_id, epoch, payload).

    Attempts count anew, the checkpoint stays unless there is another ``payload``, the epoch fences off older runs.
    """
    at = await now(w)
    values: dict[str, Any] = {
        "state": "queued",
        "attempt": 0,
        "crashes": 0,
        "epoch": job.c.epoch + 1,
        "run_at": at,
        "started_at": None,
        "finished_at": None,
        "published_at": None,
        "cancel_requested_at": None,
        "cancel_by": None,
        "error_code": None,
        "error_text": None,
    }
    if payload is not None:
        values |= {"payload": payload, "checkpoint": None}
    return await _move(w, scope, ids, LOST, values, "replayed", {"by": by})


async def discard(w: Writer, scope: Scope, ids: Collection[str], *, by: int | None) -> Sequence[Row]:
    """Give up dead letters; returns those that were. Their keys are free again."""
    at = await now(w)
    values: dict[str, Any] = {"state": "cancelled", "epoch": job.c.epoch + 1, "cancel_by": by, "finished_at": at}
    return await _move(w, scope, ids, LOST, values, "discarded", {"by": by})


async def edit(w: Writer, scope: Scope, job_id: str, values: Mapping[str, Any], *, by: int | None) -> bool:
    """Change ``values`` (payload, priority) of a job that waits or is a dead letter; False when it does neither.

    Another payload drops the checkpoint, which was made for the former one.
    """
    fresh = {**values, "checkpoint": None} if "payload" in values else {**values}
    return bool(await _move(w, scope, [job_id], WAITING | LOST, fresh, "edited", {"by": by, "fields": sorted(values)}))


async def _move(
    w: Writer,
    scope: Scope,
    ids: Collection[str],
    states: Collection[str],
    values: Mapping[str, Any],
    kind: str,
    data: Mapping[str, Any],
) -> Sequence[Row]:
    stmt = update(job).where(job.c.id.in_(sorted(ids)), job.c.state.in_(sorted(states)), *visible(scope))
    moved = await w.all(stmt.values(event_seq=job.c.event_seq + 1, **values).returning(*_MOVED))
    at = await now(w)
    lines = [{"job_id": row["id"], "seq": row["event_seq"], "at": at, "kind": kind, "data": data} for row in moved]
    await w.run(insert(job_event), lines)
    return moved


async def forget_user(w: Writer, scope: Scope, user_id: int) -> int:
    """Remove a deleted user's jobs, but for the running ones, which are being cancelled and go with age."""
    del scope  # the caller is the deletion of an account
    return await w.run(delete(job).where(job.c.user_id == user_id, job.c.state != "running"))


async def set_queue(w: Writer, scope: Scope, name: str, values: Mapping[str, Any]) -> None:
    """Set ``values`` (paused, max_length, max_per_user, concurrency) of a queue."""
    del scope  # queues are nobody's own
    fresh = {**values, "updated_at": await now(w)}
    await w.run(upsert(job_queue, ["name"], {"name": name, **fresh}, fresh))
