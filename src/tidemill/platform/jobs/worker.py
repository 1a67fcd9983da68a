"""The worker of a process: claims what there is room for, runs it, and watches what it runs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tidemill.kernel import clock
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Database
from tidemill.platform.jobs import metrics, repository, repository_tickets, repository_workers
from tidemill.platform.jobs.finisher import Finisher
from tidemill.platform.jobs.heartbeat import Heartbeat
from tidemill.platform.jobs.news import News
from tidemill.platform.jobs.outbox import Outbox
from tidemill.platform.jobs.port import JobKind
from tidemill.platform.jobs.queues import Queues
from tidemill.platform.jobs.repository import Claimed, End
from tidemill.platform.jobs.repository_workers import Owned
from tidemill.platform.jobs.rules import WAITING, Pulse
from tidemill.platform.jobs.run import SCOPE, Run
from tidemill.platform.jobs.transport import Ticket, Transport
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

# How often a worker looks by itself: the database alone carries, or a broker does as well.
POLL_S = 1.0
POLL_BESIDE_BROKER_S = 5.0
WATCH_S = 1.0
PROGRESS_S = 2.0
CANCEL_GRACE_S = 10.0
JOBS_BELL = "jobs"
CANCEL_BELL = "jobs.cancel"


class Worker:
    """Runs jobs between ``start`` and ``drain``; ``kinds`` may still grow before that."""

    def __init__(
        self,
        db: Database,
        transport: Transport,
        kinds: Mapping[str, JobKind],
        outbox: Outbox,
        news: News,
        pulse: Pulse,
        process: Mapping[str, Any],
        beat_database: Callable[[], Database] | None,
    ) -> None:
        self.id = uuid7()
        self._db = db
        self._transport = transport
        self._kinds = kinds
        self._outbox = outbox
        self._news = news
        self._pulse = pulse
        self._process = process
        self._running: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        self._busy: Counter[str] = Counter()
        self._unknown: frozenset[Owned] = frozenset()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._loops = TaskOwner()
        self._runs = TaskOwner()
        self._takes = False
        self._queues = Queues(db, transport, kinds, self._delivered, self._wake.set)
        self._finisher = Finisher(db, pulse.lease_s)
        self._heartbeat = Heartbeat(db, beat_database, self._facts, self._heard, interval_s=pulse.heartbeat_s)

    async def begin(self) -> None:
        """Write the first sign of life, without which nothing may be claimed."""
        self._takes = True
        await self._heartbeat.start()

    async def start(self) -> None:
        """Claim and run until drained."""
        self._db.subscribe(JOBS_BELL, self._wake.set)
        self._db.subscribe(CANCEL_BELL, self._ask_for_cancelled)
        self._finisher.start()
        await self._queues.start(self._loops)
        self._loops.spawn("jobs.claim", steadily("jobs.claim", self._claim_and_wait, 0))
        self._loops.spawn("jobs.watch", steadily("jobs.watch", self._watch, WATCH_S))
        self._loops.spawn("jobs.progress", steadily("jobs.progress", self._write_progress, PROGRESS_S))

    async def drain(self, timeout_s: float) -> None:
        """Claim no more, tell the running handlers, and hand back what has not ended after ``timeout_s``."""
        taking, self._takes = self._takes, False
        self._room.set()
        await self._transport.stop_consuming()
        for run, _ in list(self._running.values()):
            run.draining.set()
        await self._runs.drain(timeout_s)
        await self._loops.cancel()
        if taking:
            await self._finisher.close()
            await self._heartbeat.stop()
            await self._sign_off()

    async def _sign_off(self) -> None:
        try:
            async with self._db.write() as w:
                await repository_workers.sign_off(w, SCOPE, self.id)
        except Exception as error:  # noqa: BLE001 - the database may be what went away; the row lapses by itself
            log.warning("jobs.sign_off_failed", error=str(error))

    def _facts(self) -> dict[str, Any]:
        """Return the worker's row."""
        return {
            **self._process,
            "id": self.id,
            "types": sorted(self._kinds),
            "capacity": sum(kind.concurrency for kind in self._kinds.values()),
            "running": len(self._running),
            "draining": not self._takes,
            "transport": msgspec.to_builtins(self._transport.facts()),
        }

    # --- claiming

    async def _claim_and_wait(self) -> None:
        self._wake.clear()
        if self._free() and await self._claim():
            return
        patience_s = POLL_BESIDE_BROKER_S if self._transport.remote and self._transport.connected else POLL_S
        try:
            async with asyncio.timeout(patience_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _delivered(self, queue: str, tickets: Sequence[Ticket]) -> None:
        """Claim for tickets that came; waits while this process has no room for their queue's types."""
        del tickets  # they say that something waits; the rows say what
        while self._takes and not self._free(queue):
            self._room.clear()
            await self._room.wait()
        if self._takes:
            await self._claim(queue)

    def _free(self, queue: str | None = None) -> dict[str, int]:
        if not self._takes:
            return {}
        return {
            kind.type: free
            for kind in self._kinds.values()
            if queue in (None, kind.queue) and (free := kind.concurrency - self._busy[kind.type]) > 0
        }

    async def _claim(self, queue: str | None = None) -> bool:
        """Claim what there is room for; True when something was started."""
        async with self._claiming:
            free = self._free(queue)
            if not free:
                return False
            async with self._db.read() as r:
                if not await repository.has_due(r, SCOPE, list(free)):
                    return False
            claimed: list[Claimed] = []
            async with self._db.write() as w:
                for name, room in free.items():
                    kind = self._kinds[name]
                    bounded = kind.queue in self._queues.bounded
                    left = await repository_tickets.room_in(w, SCOPE, kind.queue) if bounded else None
                    most = room if left is None else min(room, left)
                    if most:
                        claimed += await repository.claim(w, SCOPE, self.id, name, most, kind.takes)
            for one in claimed:
                self._begin(one)
            return bool(claimed)

    def _begin(self, claimed: Claimed) -> None:
        kind = self._kinds[claimed.type]
        run = Run(self._db, self._news, kind, claimed)
        self._busy[kind.type] += 1
        task = self._runs.spawn(f"job.{kind.type}", self._run(run))
        self._running[run.job_id] = (run, task)
        self._news.tell(run.job_id, kind.type, run.user_id, "running")

    async def _run(self, run: Run) -> None:
        with metrics.running.labels(run.kind.queue, run.kind.type).track_inprogress():
            end = await run.carry_out()
        if end is not None and not await asyncio.shield(self._finisher.put(end)):
            end = None
        self._busy[run.kind.type] -= 1
        self._running.pop(run.job_id, None)
        self._wake.set()
        self._room.set()
        if end is None:
            metrics.fenced.labels(run.kind.type).inc()
            log.warning("job.lease_lost", job_id=run.job_id, type=run.kind.type)
            return
        self._ended(run, end)

    def _ended(self, run: Run, end: End) -> None:
        state = end.outcome.state
        metrics.ended(run.kind, state, clock.monotonic() - run.started_s)
        self._news.tell(run.job_id, run.kind.type, run.user_id, state, run.latest)
        ticket = Ticket(run.job_id, run.lease.epoch, run.kind.queue, end.outcome.delay_s)
        if state in WAITING:
            self._outbox.offer(ticket)
            self.wake_in(ticket.delay_s)
        elif state == "dead":
            self._loops.spawn("jobs.bury", self._transport.bury(ticket, end.error[0] if end.error else "dead"))

    def wake_in(self, delay_s: float) -> None:
        """Look for due jobs after ``delay_s``, if that is sooner than the next look would be."""
        if delay_s <= POLL_BESIDE_BROKER_S:
            asyncio.get_running_loop().call_later(delay_s, self._wake.set)

    # --- watching what runs

    def _heard(self, owned: Sequence[Owned]) -> None:
        for one in owned:
            if one.cancel:
                self.tell_cancelled(one.id)
        # A claim may be committed although its answer was lost with the connection; seen twice, it is no claim that
        # is just coming back.
        unknown = frozenset(one for one in owned if one.id not in self._running)
        twice, self._unknown = unknown & self._unknown, unknown
        if twice:
            self._loops.spawn("jobs.hand_back", self._hand_back(twice))

    async def _hand_back(self, unknown: frozenset[Owned]) -> None:
        async with self._db.write() as w:
            count = await repository_workers.hand_back(w, SCOPE, self.id, sorted(unknown, key=lambda one: one.id))
        log.info("jobs.handed_back", count=count)
        self._wake.set()

    def _ask_for_cancelled(self) -> None:
        if self._running:
            self._loops.spawn("jobs.cancelled", self._read_cancelled())

    async def _read_cancelled(self) -> None:
        async with self._db.write() as w:
            self._heard(await repository_workers.beat(w, SCOPE, self._facts()))

    def tell_cancelled(self, job_id: str) -> None:
        """Tell a handler of this process that its job was cancelled; it has some seconds to end by itself."""
        entry = self._running.get(job_id)
        if entry is None or entry[0].cancelled.is_set():
            return
        run, task = entry
        run.cancelled.set()
        self._loops.spawn(f"job.cancel.{job_id}", self._cancel_after_grace(task))

    async def _cancel_after_grace(self, task: asyncio.Task[None]) -> None:
        await asyncio.wait([task], timeout=CANCEL_GRACE_S)
        if not task.done():
            task.cancel()

    async def _watch(self) -> None:
        """Stop runs that do not get on, and every run once the database has not been reached for too long."""
        silent_s = clock.monotonic() - self._heartbeat.last_s
        for run, task in list(self._running.values()):
            if silent_s > self._pulse.fence_s and not run.fenced:
                run.fenced = True
                log.warning("job.fenced", job_id=run.job_id, silent_s=round(silent_s, 1))
                task.cancel()
            elif run.has_stalled():
                task.cancel()

    async def _write_progress(self) -> None:
        changed = [run for run, _ in list(self._running.values()) if run.unwritten is not None]
        if not changed:
            return
        # In one order everywhere: handlers hold the rows of their jobs as well while they write.
        changed.sort(key=lambda run: run.job_id)
        async with self._db.write() as w:
            for run in changed:
                progress, run.unwritten = run.unwritten, None
                if progress is not None:
                    await repository.report(w, SCOPE, run.lease, progress)

    def returned(self, ticket: Ticket, kind: str, user_id: int | None, state: str) -> None:
        """Hear that a job was taken from a dead worker."""
        if state in WAITING:
            self._outbox.offer(ticket)
            self._wake.set()
        else:
            self._loops.spawn("jobs.bury", self._transport.bury(ticket, "crashed"))
        self._news.tell(ticket.job_id, kind, user_id, state)
