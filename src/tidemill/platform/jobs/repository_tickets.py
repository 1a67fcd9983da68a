"""The SQL of tickets and of queues as workers see them: what is still to be sent, what is paused or bounded."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import and_, func, or_, select, update

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader, Row, Writer, db_now
from tidemill.platform.jobs.repository import now
from tidemill.platform.jobs.rules import WAITING
from tidemill.platform.jobs.tables import job, job_queue

_MANY = 2**31 - 1


async def unsent(r: Reader, scope: Scope, *, again_after: timedelta, limit: int) -> Sequence[Row]:
    """Return due jobs (id, epoch, queue) whose ticket was never confirmed, or so long ago that it may be lost."""
    del scope
    moment = await now(r)
    # A long queue is no lost ticket: each time it was sent again, it is believed for longer.
    believed = ((1, again_after), (3, 6 * again_after), (_MANY, 30 * again_after))
    lost = (and_(job.c.publish_count <= times, job.c.published_at < moment - after) for times, after in believed)
    stale = or_(job.c.published_at.is_(None), *lost)
    stmt = (
        select(job.c.id, job.c.epoch, job.c.queue)
        .where(job.c.state.in_(WAITING), job.c.run_at <= moment, stale)
        .order_by(job.c.priority.desc(), job.c.run_at)
        .limit(limit)
    )
    return await r.all(stmt)


async def sent(w: Writer, scope: Scope, ids: Collection[str]) -> None:
    """Note that the tickets of these jobs were confirmed."""
    del scope
    waiting = update(job).where(job.c.id.in_(ids), job.c.state.in_(WAITING))
    await w.run(waiting.values(published_at=db_now(), publish_count=job.c.publish_count + 1))


async def still_dead(r: Reader, scope: Scope, ids: Collection[str]) -> frozenset[str]:
    """Return which of these jobs are dead letters."""
    del scope
    return frozenset(row["id"] for row in await r.all(select(job.c.id).where(job.c.id.in_(ids), job.c.state == "dead")))


async def paused_queues(r: Reader, scope: Scope) -> frozenset[str]:
    """Return the names of queues that are paused."""
    del scope
    return frozenset(row["name"] for row in await r.all(select(job_queue.c.name).where(job_queue.c.paused)))


async def bounded_queues(r: Reader, scope: Scope) -> frozenset[str]:
    """Return the names of queues with a bound on what runs at once."""
    del scope
    stmt = select(job_queue.c.name).where(job_queue.c.concurrency.is_not(None))
    return frozenset(row["name"] for row in await r.all(stmt))


async def room_in(w: Writer, scope: Scope, queue: str) -> int | None:
    """Return how many more jobs all workers together may start of ``queue`` (None: no bound), holding its row.

    Whoever claims from a bounded queue asks first, so two workers cannot both take the last place.
    """
    del scope
    bound = await w.scalar(select(job_queue.c.concurrency).where(job_queue.c.name == queue).with_for_update())
    if bound is None:
        return None
    running = select(func.count()).select_from(job).where(job.c.state == "running", job.c.queue == queue)
    return max(0, bound - await w.scalar(running))
