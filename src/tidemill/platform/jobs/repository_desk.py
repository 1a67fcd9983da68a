"""The SQL of looking at jobs: lists, one with its history, how deep the queues are; and of forgetting what is old.

Ids are time-ordered, so a list by id, newest first, is paged by the primary key.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Text, and_, delete, func, or_, select, type_coerce

from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.db import Reader, Row, Writer
from tidemill.platform.jobs.repository import now
from tidemill.platform.jobs.rules import ENDED, KEEP_LOST, KEEP_SUCCEEDED, WAITING, State
from tidemill.platform.jobs.tables import job, job_event, job_queue

_HEAVY = frozenset({"payload", "checkpoint"})
_LISTED = [column for column in job.c if column.name not in _HEAVY]


class JobFilter(Struct, frozen=True, kw_only=True):
    """Which jobs; what is absent matches all. ``since`` is inclusive, ``until`` exclusive, by creation.

    ``text`` is a job's id, or stands in its type, key, error or payload.
    """

    states: frozenset[State] = frozenset()
    type: str | None = None
    queue: str | None = None
    user_id: int | None = None
    error_code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    ids: frozenset[str] | None = None
    # Dead letters that turned into such at this moment at the latest.
    ended_by: datetime | None = None


class Depth(Struct, frozen=True):
    """One queue: jobs by state (those that have not succeeded) and how long the longest waiting one has been due."""

    queue: str
    by_state: dict[str, int]
    oldest_s: float


def visible(scope: Scope) -> list[ColumnElement[bool]]:
    """Return the condition that keeps a user to their own jobs."""
    owner = owner_filter(scope)
    return [] if owner is None else [job.c.user_id == owner]


def _matching(scope: Scope, wanted: JobFilter) -> list[ColumnElement[bool]]:
    equal = {
        job.c.type: wanted.type,
        job.c.queue: wanted.queue,
        job.c.user_id: wanted.user_id,
        job.c.error_code: wanted.error_code,
    }
    found = [*visible(scope), *(column == value for column, value in equal.items() if value is not None)]
    if wanted.states:
        found.append(job.c.state.in_(sorted(wanted.states)))
    if wanted.since is not None:
        found.append(job.c.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(job.c.created_at < wanted.until)
    if wanted.ids is not None:
        found.append(job.c.id.in_(sorted(wanted.ids)))
    if wanted.ended_by is not None:
        found.append(job.c.finished_at <= wanted.ended_by)
    if wanted.text:
        texts = (job.c.type, job.c.idem_key, job.c.error_code, job.c.error_text, type_coerce(job.c.payload, Text))
        within = [column.icontains(wanted.text, autoescape=True) for column in texts]
        found.append(or_(job.c.id == wanted.text.lower(), *within))
    return found


async def page(r: Reader, scope: Scope, wanted: JobFilter, *, limit: int, before: str | None = None) -> Sequence[Row]:
    """Return up to ``limit`` jobs without payload and checkpoint, newest first, older than the id ``before``."""
    stmt = select(*_LISTED).where(*_matching(scope, wanted)).order_by(job.c.id.desc()).limit(limit)
    return await r.all(stmt if before is None else stmt.where(job.c.id < before))


async def count(r: Reader, scope: Scope, wanted: JobFilter) -> int:
    """Count the jobs that match."""
    return int(await r.scalar(select(func.count()).select_from(job).where(*_matching(scope, wanted))))


async def ids_after(r: Reader, scope: Scope, wanted: JobFilter, after: str, limit: int) -> list[str]:
    """Return the next ``limit`` ids that match, in order."""
    stmt = select(job.c.id).where(*_matching(scope, wanted), job.c.id > after).order_by(job.c.id).limit(limit)
    return [row["id"] for row in await r.all(stmt)]


async def one(r: Reader, scope: Scope, job_id: str) -> Row | None:
    """Return a whole job, None when there is none in ``scope``."""
    return await r.first(select(job).where(job.c.id == job_id, *visible(scope)))


async def events(r: Reader, scope: Scope, job_id: str, limit: int) -> list[Row]:
    """Return the newest ``limit`` lines of a job's history, in order."""
    del scope  # the caller read the job under it
    stmt = select(job_event).where(job_event.c.job_id == job_id).order_by(job_event.c.seq.desc()).limit(limit)
    return list(reversed(await r.all(stmt)))


async def held_by(r: Reader, scope: Scope, workers: Collection[str], limit: int) -> Mapping[str, list[Row]]:
    """Return running jobs (id, type, started_at) by worker, ``limit`` in all. Uses index: ix_job_running."""
    del scope
    columns = (job.c.lease_owner, job.c.id, job.c.type, job.c.started_at)
    stmt = select(*columns).where(job.c.state == "running", job.c.lease_owner.in_(workers)).limit(limit)
    held: defaultdict[str, list[Row]] = defaultdict(list)
    for row in await r.all(stmt.order_by(job.c.id)):
        held[row["lease_owner"]].append(row)
    return held


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


async def ended_within(r: Reader, scope: Scope, span: timedelta) -> Mapping[str, int]:
    """Return how many jobs ended in the last ``span``, by queue. Uses index: ix_job_state."""
    del scope
    at = await now(r)
    recent = and_(job.c.state.in_(sorted(ENDED)), job.c.finished_at > at - span)
    stmt = select(job.c.queue, func.count().label("count")).where(recent).group_by(job.c.queue)
    return {row["queue"]: row["count"] for row in await r.all(stmt)}


async def queue_rows(r: Reader, scope: Scope) -> Mapping[str, Row]:
    """Return the queues that somebody set something about, by name."""
    del scope
    return {row["name"]: row for row in await r.all(select(job_queue))}


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
