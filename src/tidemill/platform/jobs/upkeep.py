"""What somebody has to do for all: take jobs from dead workers, forget what is old, measure the queues.

Every worker and every scheduler does it, with jitter, so it needs no leader; each step is safe to do twice.
"""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta

from tidemill.platform.db import Database
from tidemill.platform.jobs import metrics, repository_desk, repository_workers
from tidemill.platform.jobs.heartbeat import is_gone, node
from tidemill.platform.jobs.port import JobKind
from tidemill.platform.jobs.rules import Pulse, after_crash
from tidemill.platform.jobs.run import SCOPE
from tidemill.platform.jobs.transport import Ticket, Transport
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

REAP_ROWS = 500
MEASURE_S = 5.0
FORGET_S = 3600.0
# A lapsed worker's row stays this long for people to see.
FORGET_WORKERS = timedelta(minutes=10)
# Told of each job that was taken from a dead worker: its ticket, type, owner and next state.
Returned = Callable[[Ticket, str, int | None, str], None]


class Upkeep:
    """The upkeep of one process."""

    def __init__(
        self,
        db: Database,
        transport: Transport,
        kinds: Mapping[str, JobKind],
        owner: str,
        pulse: Pulse,
        *,
        alone: bool,
        returned: Returned,
    ) -> None:
        self._db = db
        self._pulse = pulse
        self._transport = transport
        self._kinds = kinds
        self._alone = owner if alone else None
        self._returned = returned
        self._node = node()

    def start(self, loops: TaskOwner) -> None:
        """Do it again and again until the loops are cancelled."""
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        loops.spawn("jobs.reap", steadily("jobs.reap", self.reap, self._pulse.heartbeat_s * jitter))
        loops.spawn("jobs.forget", steadily("jobs.forget", self.forget, FORGET_S * jitter))
        loops.spawn("jobs.measure", steadily("jobs.measure", self.measure, MEASURE_S * jitter))

    async def reap(self) -> None:
        """Give the jobs of dead workers back to their queues, or to the dead letters."""
        while True:
            async with self._db.read() as r:
                seen = await repository_workers.workers(r, SCOPE)
                dead = [row["id"] for row in seen if row["node"] == self._node and is_gone(row["pid"])]
                rows = await repository_workers.orphans(
                    r, SCOPE, lease_s=self._pulse.lease_s, dead=dead, alone=self._alone, limit=REAP_ROWS
                )
            for row in rows:
                kind = self._kinds.get(row["type"])
                outcome = after_crash(row["crashes"] + 1, kind.max_crashes if kind else None)
                async with self._db.write() as w:
                    moved = await repository_workers.give_back(w, SCOPE, row, outcome)
                if moved:
                    metrics.orphaned.labels(row["type"]).inc()
                    self._returned(
                        Ticket(row["id"], row["epoch"] + 1, row["queue"]), row["type"], row["user_id"], outcome.state
                    )
            if rows:
                log.info("jobs.recovered", count=len(rows))
            if len(rows) < REAP_ROWS:
                return

    async def forget(self) -> None:
        """Remove ended jobs and workers past their time, a slice a transaction."""
        async with self._db.write() as w:
            await repository_workers.forget_workers(w, SCOPE, FORGET_WORKERS)
        while True:
            async with self._db.write() as w:
                removed = await repository_desk.forget(w, SCOPE, limit=REAP_ROWS)
            if removed < REAP_ROWS:
                return

    async def measure(self) -> None:
        """Take the queues' depths and ages for the metrics."""
        async with self._db.read() as r:
            metrics.show(await repository_desk.depths(r, SCOPE), self._transport.facts())
