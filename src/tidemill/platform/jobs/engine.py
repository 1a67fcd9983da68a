"""The job engine: enqueues in the caller's transaction, claims from the database, runs handlers on this process's loop.

One engine for every carrier of tickets. Whether a ticket came, a slot came free or some seconds passed, the next step
is the same: claim the best due jobs that there is room for. So nothing depends on a ticket arriving.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tidemill.kernel import clock
from tidemill.kernel.actor import Scope
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Database, Writer
from tidemill.platform.events import EventBus, MemoryEvents
from tidemill.platform.jobs import metrics, repository
from tidemill.platform.jobs.finisher import Finisher
from tidemill.platform.jobs.heartbeat import Heartbeat
from tidemill.platform.jobs.news import News
from tidemill.platform.jobs.outbox import RELAY_S, Outbox
from tidemill.platform.jobs.port import JobKind
from tidemill.platform.jobs.repository import Claimed, End, NewJob, Owned
from tidemill.platform.jobs.rules import WAITING, Pulse
from tidemill.platform.jobs.run import SCOPE, Run
from tidemill.platform.jobs.transport import Ticket, Transport
from tidemill.platform.jobs.upkeep import Upkeep
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger, request_id

log = get_logger(__name__)

# How often workers look by themselves: the database alone carries, or a broker does as well.
POLL_S = 1.0
POLL_BESIDE_BROKER_S = 5.0
WATCH_S = 1.0
PROGRESS_S = 2.0
CANCEL_GRACE_S = 10.0
# Replays and discards come in hundreds; the markers of all of them are walked through once.
SETTLE_S = 1.0
MAX_PREFETCH = 200
JOBS_BELL = "jobs"
CANCEL_BELL = "jobs.cancel"
QUEUES_BELL = "jobs.queues"


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
        self.owner = uuid7()
        self._worker = worker
        self._kinds: dict[str, JobKind] = {}
        self._running: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        self._busy: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._loops = TaskOwner()
        self._runs = TaskOwner()
        self._takes = False
        self._settling = False
        self._unknown: frozenset[Owned] = frozenset()
        self._paused: frozenset[str] = frozenset()
        self._bounded: frozenset[str] = frozenset()
        self._pulse = pulse or Pulse()
        self._outbox = Outbox(db, transport)
        self._finisher = Finisher(db, self._pulse.lease_s)
        self._news = News(events or MemoryEvents())
        self._upkeep = Upkeep(db, transport, self._kinds, self.owner, self._pulse, alone=alone, returned=self._returned)
        self._heartbeat = Heartbeat(db, beat_database, self._facts, self._heard, interval_s=self._pulse.heartbeat_s)

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
            w.after_commit(lambda: self._wake_in(ticket.delay_s))

    async def cancel(self, w: Writer, scope: Scope, job_id: str, *, by: int | None = None) -> None:
        """Cancel a job in the caller's transaction."""
        state = await repository.request_cancel(w, scope, job_id, by)
        if state == "running":
            w.after_commit(lambda: self._tell_cancelled(job_id))
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
            return await repository.still_dead(r, SCOPE, ids)

    async def open(self) -> None:
        """Connect to what carries the tickets and send those of this process; in every role."""
        await self.transport.start()
        if self.transport.remote:
            self._loops.spawn("jobs.outbox", steadily("jobs.outbox", self._outbox.send_offered, 0))

    # --- running jobs, in the role of a worker

    async def start(self) -> None:
        """Give orphans back, then beat, claim and run until drained. ``open`` comes first."""
        self.db.subscribe(JOBS_BELL, self._wake.set)
        self.db.subscribe(CANCEL_BELL, self._ask_for_cancelled)
        self.db.subscribe(QUEUES_BELL, self._ask_for_queues)
        self._takes = True
        await self._heartbeat.start()
        await self._upkeep.reap()
        await self._read_queues()
        self._loops.spawn("jobs.claim", steadily("jobs.claim", self._claim_and_wait, 0))
        self._loops.spawn("jobs.watch", steadily("jobs.watch", self._watch, WATCH_S))
        self._loops.spawn("jobs.progress", steadily("jobs.progress", self._write_progress, PROGRESS_S))
        self.start_upkeep()
        self._finisher.start()
        for queue, room in self._capacities().items():
            if queue not in self._paused:
                await self.transport.consume(queue, min(room, MAX_PREFETCH), self._delivered)

    def start_upkeep(self) -> None:
        """Return what dead workers left, send what was not sent, forget what is old; in worker and scheduler."""
        self._upkeep.start(self._loops)
        if self.transport.remote:
            self._loops.spawn("jobs.relay", steadily("jobs.relay", self._outbox.relay, RELAY_S))

    async def drain(self, timeout_s: float) -> None:
        """Claim no more, tell the running handlers, and hand back what has not ended after ``timeout_s``."""
        taking, self._takes = self._takes, False
        await self.transport.stop_consuming()
        for run, _ in list(self._running.values()):
            run.draining.set()
        await self._runs.drain(timeout_s)
        await self._loops.cancel()
        if taking:
            await self._finisher.close()
            await self._heartbeat.stop()
            await self._sign_off()
        await self.transport.close()

    async def _sign_off(self) -> None:
        try:
            async with self.db.write() as w:
                await repository.sign_off(w, SCOPE, self.owner)
        except Exception as error:  # noqa: BLE001 - the database may be what went away; the row lapses by itself
            log.warning("jobs.sign_off_failed", error=str(error))

    def _capacities(self) -> dict[str, int]:
        room: defaultdict[str, int] = defaultdict(int)
        for kind in self._kinds.values():
            room[kind.queue] += kind.concurrency
        return dict(room)

    def _facts(self) -> dict[str, Any]:
        """Return the worker's row."""
        facts = self.transport.facts()
        return {
            **self._worker,
            "id": self.owner,
            "types": sorted(self._kinds),
            "capacity": sum(kind.concurrency for kind in self._kinds.values()),
            "running": len(self._running),
            "draining": not self._takes,
            "transport": msgspec.to_builtins(facts),
        }

    # --- claiming

    async def _claim_and_wait(self) -> None:
        self._wake.clear()
        if self._free() and await self._claim():
            return
        patience_s = POLL_BESIDE_BROKER_S if self.transport.remote and self.transport.connected else POLL_S
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
            async with self.db.read() as r:
                if not await repository.has_due(r, SCOPE, list(free)):
                    return False
            claimed: list[Claimed] = []
            async with self.db.write() as w:
                for name, room in free.items():
                    kind = self._kinds[name]
                    left = await repository.room_in(w, SCOPE, kind.queue) if kind.queue in self._bounded else room
                    if left:
                        most = min(room, left or room)
                        claimed += await repository.claim(w, SCOPE, self.owner, name, most, kind.takes)
            for one in claimed:
                self._begin(one)
            return bool(claimed)

    def _begin(self, claimed: Claimed) -> None:
        kind = self._kinds[claimed.type]
        run = Run(self.db, self._news, kind, claimed)
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
            self._wake_in(ticket.delay_s)
        elif state == "dead":
            self._loops.spawn("jobs.bury", self.transport.bury(ticket, end.error[0] if end.error else "dead"))

    def _wake_in(self, delay_s: float) -> None:
        if delay_s <= POLL_BESIDE_BROKER_S:
            asyncio.get_running_loop().call_later(delay_s, self._wake.set)

    # --- watching what runs

    def _heard(self, owned: Sequence[Owned]) -> None:
        for one in owned:
            if one.cancel:
                self._tell_cancelled(one.id)
        # A claim may be committed although its answer was lost with the connection; seen twice, it is no claim that
        # is just coming back.
        unknown = frozenset(one for one in owned if one.id not in self._running)
        twice, self._unknown = unknown & self._unknown, unknown
        if twice:
            self._loops.spawn("jobs.hand_back", self._hand_back(twice))

    async def _hand_back(self, unknown: frozenset[Owned]) -> None:
        async with self.db.write() as w:
            count = await repository.hand_back(w, SCOPE, self.owner, sorted(unknown, key=lambda one: one.id))
        log.info("jobs.handed_back", count=count)
        self._wake.set()

    def _ask_for_cancelled(self) -> None:
        if self._running:
            self._loops.spawn("jobs.cancelled", self._read_cancelled())

    async def _read_cancelled(self) -> None:
        async with self.db.write() as w:
            self._heard(await repository.beat(w, SCOPE, self._facts()))

    def _tell_cancelled(self, job_id: str) -> None:
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
        async with self.db.write() as w:
            for run in changed:
                progress, run.unwritten = run.unwritten, None
                if progress is not None:
                    await repository.report(w, SCOPE, run.lease, progress)

    # --- queues that somebody pauses or bounds

    def _ask_for_queues(self) -> None:
        self._loops.spawn("jobs.queues", self._read_queues())

    async def _read_queues(self) -> None:
        async with self.db.read() as r:
            paused = await repository.paused_queues(r, SCOPE)
            self._bounded = await repository.bounded_queues(r, SCOPE)
        before, self._paused = self._paused, paused
        for queue, room in self._capacities().items():
            if queue in paused and queue not in before:
                await self.transport.pause(queue)
            elif queue in before and queue not in paused:
                await self.transport.consume(queue, min(room, MAX_PREFETCH), self._delivered)
                await self.transport.resume(queue)
        self._wake.set()

    def _returned(self, ticket: Ticket, kind: str, user_id: int | None, state: str) -> None:
        """Hear that a job was taken from a dead worker."""
        if state in WAITING:
            self._outbox.offer(ticket)
            self._wake.set()
        else:
            self._loops.spawn("jobs.bury", self.transport.bury(ticket, "crashed"))
        self._news.tell(ticket.job_id, kind, user_id, state)
