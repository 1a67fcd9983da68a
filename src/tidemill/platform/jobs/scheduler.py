"""Fires schedules: any number of schedulers look once a second, each firing becomes one job.

The row's lock keeps two from firing at once, and the job's key (schedule and moment) makes a second firing of the same
moment the same job. A firing and the step to the next one are one transaction.
"""

from collections.abc import Mapping
from typing import Any

from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, Row, Writer
from tidemill.platform.jobs import repository, repository_schedules
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.errors import QueueFull
from tidemill.platform.jobs.firings import BadCron, Timing, UnknownZone, to_fire
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

TICK_S = 1.0
BATCH = 100
_SCOPE = SystemScope(SystemReason.JOBS)


class Scheduler:
    """The scheduler of one process; it fires the types that the process knows."""

    def __init__(self, db: Database, jobs: JobEngine) -> None:
        self._db = db
        self._jobs = jobs

    def start(self, owner: TaskOwner) -> None:
        """Look once a second until the owner ends."""
        owner.spawn("jobs.schedules", steadily("jobs.schedules", self.tick, TICK_S))

    async def tick(self) -> int:
        """Fire what is due; returns how many jobs that made."""
        types = list(self._jobs.kinds)
        async with self._db.read() as r:
            due = await repository_schedules.due(r, _SCOPE, types, BATCH)
        made = 0
        for schedule_id in due:
            try:
                async with self._db.write() as w:
                    row = await repository_schedules.take(w, _SCOPE, schedule_id, types)
                    made += 0 if row is None else await self._fire(w, row)
            except QueueFull as error:
                # Nothing was changed: it is tried again at the next look, as a firing that is late.
                log.warning("schedule.queue_full", schedule_id=schedule_id, error=str(error))
        return made

    async def _fire(self, w: Writer, row: Row) -> int:
        timing = timing_of(row)
        at = await repository.now(w)
        try:
            firings = to_fire(timing, row["misfire"], row["next_run_at"], at)
            following = timing.first_after(at)
        except (BadCron, UnknownZone):
            # It was good when it was made: this machine's time zones are others.
            log.exception("schedule.unreadable", schedule_id=row["id"])
            await repository_schedules.advance(w, _SCOPE, row["id"], None, {})
            return 0
        job_id: str | None = None
        for firing in firings:
            job_id = await self._jobs.enqueue(
                w,
                _SCOPE,
                row["type"],
                row["payload"],
                user_id=row["user_id"],
                idem_key=f"sched:{row['id']}:{firing:%Y-%m-%dT%H:%M:%SZ}",
                schedule_id=row["id"],
            )
        if not firings:
            log.info("schedule.skipped", schedule_id=row["id"], name=row["name"])
        made = {} if job_id is None else {"last_run_at": at, "last_job_id": job_id}
        await repository_schedules.advance(w, _SCOPE, row["id"], following, made)
        return len(firings)


def timing_of(row: Row | Mapping[Any, Any]) -> Timing:
    """Return when a schedule's row fires."""
    return Timing(cron=row["cron"], timezone=row["timezone"], run_at=row["run_at"])
