"""The SQL of looking after jobs: how deep the queues are, what is old enough to go."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import and_, delete, func, or_, select

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader, Writer
from tidemill.platform.jobs.repository import now
from tidemill.platform.jobs.rules import KEEP_LOST, KEEP_SUCCEEDED, WAITING
from tidemill.platform.jobs.tables import job


class Depth(Struct, frozen=True):
    """One queue: jobs by state (those that have not succeeded) and how long the longest waiting one has been due."""

    queue: str
    by_state: dict[str, int]
    oldest_s: float


async def depths(r: Reader, scope: Scope) -> list[Depth]:
    """Return every queue that has jobs, by name. Uses index: ix_job_waiting, ix_job_running, ix_job_lost."""
    del scope
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for states in (WAITING, {"running"}, {"dead", "failed"}):
        stmt = select(job.c.queue, job.c.state, func.count().label("count")).where(job.c.state.in_(states))
        for row in await r.all(stmt.group_by(job.c.queue, job.c.state)):
            counts[row["queue"]][row["state"]] = row["count"]
    at = await now(r)
    waiting = select(job.c.queue, func.min(job.c.run_at).label("since")).where(job.c.state.in_(WAITING))
    since = {row["queue"]: row["since"] for row in await r.all(waiting.group_by(job.c.queue))}
    return [
        Depth(queue, by_state, max(0.0, (at - since[queue]).total_seconds()) if queue in since else 0.0)
        for queue, by_state in sorted(counts.items())
    ]


async def forget(w: Writer, scope: Scope, *, limit: int) -> int:
    """Remove up to ``limit`` ended jobs past their time, with their history. Uses index: ix_job_state."""
    del scope
    at = await now(w)
    past: Sequence[Any] = [
        and_(job.c.state.in_(("succeeded", "cancelled")), job.c.finished_at < at - KEEP_SUCCEEDED),
        and_(job.c.state.in_(("failed", "dead")), job.c.finished_at < at - KEEP_LOST),
    ]
    old = select(job.c.id).where(or_(*past)).order_by(job.c.finished_at).limit(limit)
    return await w.run(delete(job).where(job.c.id.in_(old)))
