"""The local job engine: claims from the database and runs handlers on this process's loop."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tidemill.kernel import clock
from tidemill.kernel.actor import Scope, SystemReason, SystemScope
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Database, Writer
from tidemill.platform.jobs import repository
from tidemill.platform.jobs.port import JobCancelled, JobFailed, JobKind, JobYield
from tidemill.platform.jobs.repository import Claimed
from tidemill.platform.jobs.rules import HEARTBEAT_S, LEASE_S, Outcome, after_crash, after_failure
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

POLL_S = 1.0
CANCEL_GRACE_S = 10.0
_SCOPE = SystemScope(SystemReason.JOBS)


class _Running:
    """One job that this process runs: the handler's view of it, and ours."""

    def __init__(self, engine: "LocalJobs", claimed: Claimed) -> None:
        self._engine = engine
        self.lease = claimed.lease
        self.job_id = claimed.lease.job_id
        self.user_id = claimed.user_id
        self.payload = claimed.payload
        self.checkpoint = claimed.checkpoint
        self.attempt = claimed.attempt
        self.cancelled = asyncio.Event()
        self.draining = asyncio.Event()
        self.unwritten: tuple[int, int, str] | None = None

    async def save(self, checkpoint: dict[str, Any]) -> None:
        async with self._engine.db.write() as w:
            kept = await repository.save(w, _SCOPE, self.lease, checkpoint)
        if not kept:
            raise JobYield
        self.checkpoint = checkpoint

    def progress(self, done: int, total: int, message: str = "") -> None:
        self.unwritten = (done, total, message)


class LocalJobs:
    """Runs jobs in this process.

    ``alone`` says that no other process can be running jobs of this database (SQLite, held by the lock on the data
    directory): then every running row found at the start is an orphan. Otherwise orphans show by their lapsed leases.
    """

    def __init__(self, db: Database, *, alone: bool) -> None:
        self.db = db
        self._alone = alone
        self._owner = uuid7()
        self._kinds: dict[str, JobKind] = {}
        self._running: dict[str, tuple[_Running, asyncio.Task[None]]] = {}
        self._busy: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._loops = TaskOwner()
        self._runs = TaskOwner()
        self._claiming = False

    def register(self, kind: JobKind) -> None:
        """Teach this process a type of job."""
        self._kinds[kind.type] = kind

    async def enqueue(
        self,
        w: Writer,
        scope: Scope,
        kind: str,
        payload: dict[str, Any],
        *,
        user_id: int | None,
        idem_key: str | None = None,
        run_at: datetime | None = None,
    ) -> str:
        """Put a job into the caller's transaction."""
        queue = self._kinds[kind].queue
        identifier = await repository.add(
            w, scope, kind=kind, queue=queue, payload=payload, user_id=user_id, idem_key=idem_key, run_at=run_at
        )
        w.changed("jobs")
        return identifier

    async def cancel(self, w: Writer, scope: Scope, job_id: str) -> None:
        """Cancel a job in the caller's transaction."""
        state = await repository.request_cancel(w, scope, job_id)
        if state == "running":
            w.after_commit(lambda: self._tell_cancelled(job_id))
            w.changed("jobs.cancel")

    async def start(self) -> None:
        """Give orphans back, then claim and beat until drained."""
        self.db.subscribe("jobs", self._wake.set)
        self.db.subscribe("jobs.cancel", self._wake.set)
        await self._reap(all_running=self._alone)
        self._claiming = True
        self._loops.spawn("jobs.claim", self._claim_forever())
        self._loops.spawn("jobs.heartbeat", self._beat_forever())

    async def drain(self, timeout_s: float) -> None:
        """Stop claiming, tell the handlers, and hand back what has not ended in time."""
        self._claiming = False
        await self._loops.cancel()
        for run, _ in list(self._running.values()):
            run.draining.set()
        await self._runs.drain(timeout_s)

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            if await self._claim_some():
                continue
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _free(self) -> dict[str, int]:
        return {
            kind.type: free for kind in self._kinds.values() if (free := kind.concurrency - self._busy[kind.type]) > 0
        }

    async def _claim_some(self) -> bool:
        """Claim what there is room for, a type at a time; True when something was started."""
        free = self._free()
        if not free:
            return False
        async with self.db.read() as r:
            if not await repository.due(r, _SCOPE, list(free)):
                return False
        started = False
        for kind, room in free.items():
            async with self.db.write() as w:
                claimed = await repository.claim(w, _SCOPE, self._owner, [kind], room)
            for one in claimed:
                started = True
                self._run(one)
        return started

    def _run(self, claimed: Claimed) -> None:
        run = _Running(self, claimed)
        kind = self._kinds[claimed.type]
        self._busy[kind.type] += 1
        task = self._runs.spawn(f"job.{kind.type}", self._run_one(kind, run))
        self._running[run.job_id] = (run, task)

    async def _run_one(self, kind: JobKind, run: _Running) -> None:
        outcome, error, counted = Outcome("succeeded"), None, True
        try:
            async with asyncio.timeout(kind.timeout_s):
                await kind.handler(run)
        except JobYield:
            outcome, counted = Outcome("queued", clock.now()), False
        except JobCancelled:
            outcome = Outcome("cancelled")
        except JobFailed as failure:
            outcome, error = Outcome("failed"), (failure.code, str(failure))
        except asyncio.CancelledError:
            # Either the grace after a cancellation is over, or the process ends and the job goes back.
            if run.cancelled.is_set():
                outcome = Outcome("cancelled")
            else:
                outcome, counted = Outcome("queued", clock.now()), False
        except Exception as failure:
            log.warning("job.failed", job_id=run.job_id, type=kind.type, attempt=run.attempt, exc_info=failure)
            outcome = after_failure(run.attempt, kind.max_attempts, clock.now())
            error = (type(failure).__name__, str(failure))
        finally:
            self._busy[kind.type] -= 1
            self._running.pop(run.job_id, None)
            self._wake.set()
        await asyncio.shield(self._finish(run, outcome, error, counted=counted))

    async def _finish(self, run: _Running, outcome: Outcome, error: tuple[str, str] | None, *, counted: bool) -> None:
        async with self.db.write() as w:
            if run.unwritten is not None:
                await repository.report(w, _SCOPE, run.lease, *run.unwritten)
            kept = await repository.finish(w, _SCOPE, run.lease, outcome, error=error, counted=counted)
        if not kept:
            log.warning("job.lease_lost", job_id=run.job_id)

    async def _beat_forever(self) -> None:
        reaped = clock.monotonic()
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._beat()
            if clock.monotonic() - reaped > LEASE_S / 2:
                reaped = clock.monotonic()
                await self._reap(all_running=False)

    async def _beat(self) -> None:
        if not self._running:
            return
        async with self.db.write() as w:
            cancelled = await repository.beat(w, _SCOPE, self._owner)
            for run, _ in list(self._running.values()):
                if run.unwritten is not None:
                    await repository.report(w, _SCOPE, run.lease, *run.unwritten)
                    run.unwritten = None
        for job_id, _ in cancelled:
            self._tell_cancelled(job_id)

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

    async def _reap(self, *, all_running: bool) -> None:
        async with self.db.read() as r:
            rows: Sequence[Any] = await repository.orphans(r, _SCOPE, all_running=all_running)
        lost = [row for row in rows if row["id"] not in self._running]
        if not lost:
            return
        async with self.db.write() as w:
            for row in lost:
                kind = self._kinds.get(row["type"])
                limit = kind.max_crashes if kind else None
                await repository.give_back(w, _SCOPE, row, after_crash(row["crashes"] + 1, limit, clock.now()))
        log.info("jobs.recovered", count=len(lost))
        self._wake.set()
