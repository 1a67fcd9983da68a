"""The job engine of one process: enqueues in the caller's transaction, and in the role of a worker runs what is due.

One engine for every carrier of tickets. Whether a ticket came, a slot came free or some seconds passed, the next step
is the same: claim the best due jobs that there is room for. So nothing depends on a ticket arriving.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tidemill.kernel import clock
from tidemill.kernel.actor import Scope
from tidemill.platform.db import Database, Writer
from tidemill.platform.events import EventBus, MemoryEvents
from tidemill.platform.jobs import metrics, repository, repository_tickets
from tidemill.platform.jobs.news import News
from tidemill.platform.jobs.outbox import RELAY_S, Outbox
from tidemill.platform.jobs.port import JobKind
from tidemill.platform.jobs.queues import QUEUES_BELL
from tidemill.platform.jobs.repository import NewJob
from tidemill.platform.jobs.rules import Pulse
from tidemill.platform.jobs.run import SCOPE
from tidemill.platform.jobs.transport import Ticket, Transport
from tidemill.platform.jobs.upkeep import Upkeep
from tidemill.platform.jobs.worker import CANCEL_BELL, JOBS_BELL, Worker
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import request_id

# Markers of dead letters are looked through once for all that was replayed meanwhile.
SETTLE_S = 2.0
SETTLE_AGAIN_S = 600.0

__all__ = ["CANCEL_BELL", "JOBS_BELL", "QUEUES_BELL", "JobEngine"]


class JobEngine:
    """The jobs of one process.

    ``alone`` says that no other process can be running jobs of this database (SQLite, held by the worker's lock): then
    every running row found at the start is an orphan. Otherwise orphans show by their worker's missing heartbeat.
    ``beat_database`` opens the heartbeat's own connection; None (a database in memory) beats on the loop.
    """

    def __init__(
        self,
        db: Database,
        transport: Transport,
        *,
        alone: bool,
        worker: Mapping[str, Any],
        beat_database: Callable[[], Database] | None = None,
        events: EventBus | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self.db = db
        self.transport = transport
        self._kinds: dict[str, JobKind] = {}
        self._loops = TaskOwner()
        self._settling = False
        pulse = pulse or Pulse()
        self._news = News(events or MemoryEvents())
        self._outbox = Outbox(db, transport)
        self._worker = Worker(db, transport, self._kinds, self._outbox, self._news, pulse, worker, beat_database)
        self._upkeep = Upkeep(
            db, transport, self._kinds, self._worker.id, pulse, alone=alone, returned=self._worker.returned
        )

    def register(self, kind: JobKind) -> None:
        """Teach this process a type of job."""
        self._kinds[kind.type] = kind

    @property
    def kinds(self) -> Mapping[str, JobKind]:
        """The types that this process knows."""
        return self._kinds

    # --- asking for jobs, in every role

    async def enqueue(  # noqa: PLR0913 - as the port has it
        self,
        w: Writer,
        scope: Scope,
        kind: str,
        payload: dict[str, Any],
        *,
        user_id: int | None,
        idem_key: str | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        schedule_id: str | None = None,
    ) -> str:
        """Put a job into the caller's transaction."""
        known = self._kinds[kind]
        new = NewJob(
            type=kind,
            queue=known.queue,
            payload=payload,
            user_id=user_id,
            idem_key=idem_key,
            run_at=run_at,
            priority=known.priority if priority is None else priority,
            schedule_id=schedule_id,
            request_id=request_id.get(),
        )
        enqueued = await repository.add(w, scope, new)
        if enqueued.new:
            delay_s = 0.0 if run_at is None else max(0.0, (run_at - clock.now()).total_seconds())
            self.announce(w, Ticket(enqueued.id, 0, known.queue, delay_s))
            w.after_commit(lambda: self._news.tell(enqueued.id, kind, user_id, "queued"))
            metrics.enqueued.labels(known.queue, kind).inc()
        return enqueued.id

    def announce(self, w: Writer, ticket: Ticket) -> None:
        """Let workers hear of a waiting job once the transaction is committed."""
        if self.transport.remote and self.transport.connected:
            w.after_commit(lambda: self._outbox.offer(ticket))
        else:
            w.changed(JOBS_BELL)
        if ticket.delay_s:
            w.after_commit(lambda: self._worker.wake_in(ticket.delay_s))

    async def cancel(self, w: Writer, scope: Scope, job_id: str, *, by: int | None = None) -> None:
        """Cancel a job in the caller's transaction."""
        state = await repository.request_cancel(w, scope, job_id, by)
        if state == "running":
            w.after_commit(lambda: self._worker.tell_cancelled(job_id))
            w.changed(CANCEL_BELL)

    def tell(self, w: Writer, job_id: str, kind: str, user_id: int | None, state: str) -> None:
        """Tell watchers of a state that somebody else's transaction gives a job, once it is committed."""
        w.after_commit(lambda: self._news.tell(job_id, kind, user_id, state))

    def settle_dead(self, w: Writer) -> None:
        """Have the broker's markers of jobs that are dead no more removed, soon after the commit and once for many."""
        if self.transport.remote:
            w.after_commit(self._settle_soon)

    def _settle_soon(self) -> None:
        if not self._settling:
            self._settling = True
            self._loops.spawn("jobs.settle", self._settle())

    async def _settle(self) -> None:
        await asyncio.sleep(SETTLE_S)
        self._settling = False
        await self.transport.settle_dead(self._still_dead)

    async def _still_dead(self, ids: Sequence[str]) -> frozenset[str]:
        async with self.db.read() as r:
            return await repository_tickets.still_dead(r, SCOPE, ids)

    async def open(self) -> None:
        """Connect to what carries the tickets and send those of this process; in every role."""
        await self.transport.start()
        if self.transport.remote:
            self._loops.spawn("jobs.outbox", steadily("jobs.outbox", self._outbox.send_offered, 0))

    # --- running jobs

    async def start(self) -> None:
        """Give orphans back, then claim and run until drained: the role of a worker. ``open`` comes first."""
        await self._worker.begin()
        await self._upkeep.reap()
        self.start_upkeep()
        await self._worker.start()

    def start_upkeep(self) -> None:
        """Return what dead workers left, send what was not sent, forget what is old; in worker and scheduler."""
        self._upkeep.start(self._loops)
        if self.transport.remote:
            self._loops.spawn("jobs.relay", steadily("jobs.relay", self._outbox.relay, RELAY_S))
            # What was replayed while the broker was away.
            self._loops.spawn("jobs.settle", steadily("jobs.settle", self._settle, SETTLE_AGAIN_S))

    async def drain(self, timeout_s: float) -> None:
        """Claim no more, tell the running handlers, and hand back what has not ended after ``timeout_s``."""
        await self._worker.drain(timeout_s)
        await self._loops.cancel()
        await self.transport.close()
