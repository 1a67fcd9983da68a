"""The SQL of job events: the present state of jobs that something happened to."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from tidemill.kernel.actor import SystemScope
from tidemill.platform.db import Reader, Row
from tidemill.platform.jobs.tables import job, job_event

_COLUMNS = (
    job.c.id,
    job.c.user_id,
    job.c.type,
    job.c.queue,
    job.c.state,
    job.c.attempt,
    job.c.event_seq,
    job.c.progress_done,
    job.c.progress_total,
    job.c.progress_message,
    job.c.error_code,
    job.c.error_text,
    job.c.created_at,
    job.c.started_at,
    job.c.finished_at,
)


async def jobs_named(r: Reader, scope: SystemScope, ids: Sequence[str]) -> Sequence[Row]:
    """Return these jobs, each with the moment (``at``) of its last line of history."""
    del scope  # each row goes to its own user
    last = (job_event.c.job_id == job.c.id) & (job_event.c.seq == job.c.event_seq)
    return await r.all(select(*_COLUMNS, job_event.c.at).join_from(job, job_event, last).where(job.c.id.in_(ids)))


async def lines_since(r: Reader, scope: SystemScope, since: datetime, limit: int) -> Sequence[Row]:
    """Return the newest ``limit`` lines of history (job_id, at) since a moment, newest first. Uses: ix_job_event_at."""
    del scope  # as above
    stmt = select(job_event.c.job_id, job_event.c.at).where(job_event.c.at >= since)
    return await r.all(stmt.order_by(job_event.c.at.desc()).limit(limit))
