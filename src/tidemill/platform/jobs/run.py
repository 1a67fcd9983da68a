"""One run of one job in this process: what its handler sees, and what its end means."""

import asyncio
from typing import Any, Protocol

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.errors import TidemillError
from tidemill.platform.db import Database, Writer
from tidemill.platform.jobs import repository
from tidemill.platform.jobs.port import JobCancelled, JobFailed, JobKind, JobRetry, JobYield
from tidemill.platform.jobs.repository import Claimed, End
from tidemill.platform.jobs.rules import Outcome, after_failure
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

SCOPE = SystemScope(SystemReason.JOBS)
_TOO_MANY, _REQUEST_TIMEOUT, _SERVER_ERROR = 429, 408, 500


class Watcher(Protocol):
    """Who is told of progress."""

    def progressed(self, run: "Run") -> None:
        """Hear that a run has got on."""
        ...


class Run:
    """The context that a handler is given."""

    def __init__(self, db: Database, watcher: Watcher, kind: JobKind, claimed: Claimed) -> None:
        self.kind = kind
        self.lease = claimed.lease
        self.job_id = claimed.lease.job_id
        self.user_id = claimed.user_id
        self.payload = claimed.payload
        self.checkpoint = claimed.checkpoint
        self.attempt = claimed.attempt
        self.cancelled = asyncio.Event()
        self.draining = asyncio.Event()
        self.fenced = False
        self.started_s = clock.monotonic()
        self.moved_s = self.started_s
        # Progress as the handler last said it, and as much of it as is not in the database yet.
        self.latest: tuple[int, int, str] | None = None
        self.unwritten: tuple[int, int, str] | None = None
        self._db = db
        self._watcher = watcher
        self._stalled = False

    async def save(self, checkpoint: dict[str, Any]) -> None:
        """Keep a checkpoint."""
        async with self._db.write() as w:
            kept = await repository.save(w, SCOPE, self.lease, checkpoint)
        if not kept:
            self.fenced = True
            raise JobYield
        self.checkpoint = checkpoint
        self.moved_s = clock.monotonic()

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Take progress."""
        if self.latest is None or done > self.latest[0]:
            self.moved_s = clock.monotonic()
        self.latest = self.unwritten = (done, total, message)
        self._watcher.progressed(self)

    async def holds(self, w: Writer) -> bool:
        """Tell whether the lease is held, for the rest of a transaction."""
        held = not self.fenced and await repository.holds(w, SCOPE, self.lease)
        self.fenced = not held
        return held

    def has_stalled(self) -> bool:
        """Tell, once, that nothing has moved for longer than this kind may stand still."""
        limit = self.kind.stall_s
        if limit is None or self._stalled or clock.monotonic() - self.moved_s < limit:
            return False
        self._stalled = True
        return True

    async def carry_out(self) -> End | None:
        """Run the handler and say what became of it; None when the lease is known to be lost."""
        error: tuple[str, str] | None = None
        counted = True
        try:
            async with asyncio.timeout(self.kind.timeout_s):
                await self.kind.handler(self)
            outcome = Outcome("succeeded")
        except JobYield:
            outcome, counted = Outcome("queued"), False
        except JobCancelled:
            outcome = Outcome("cancelled")
        except asyncio.CancelledError:
            # The grace after a cancellation is over, nothing has moved for too long, or the process ends.
            if self.cancelled.is_set():
                outcome = Outcome("cancelled")
            elif self._stalled:
                error = ("stalled", f"No progress for {self.kind.stall_s:g} s.")
                outcome = after_failure(self.attempt, self.kind.max_attempts, self.kind.backoff)
            else:
                outcome, counted = Outcome("queued"), False
        except Exception as failure:  # noqa: BLE001 - an edge: whatever a handler dies of is its outcome
            outcome, error = self._judge(failure)
        return None if self.fenced else End(self.lease, outcome, error, counted, self.unwritten)

    def _judge(self, failure: Exception) -> tuple[Outcome, tuple[str, str]]:
        kind, wanted_s = self.kind, None
        match failure:
            case JobFailed(code=code):
                return Outcome("failed"), (code, str(failure))
            case JobRetry(code=code, after_s=after_s):
                error, wanted_s = (code, str(failure)), after_s
            case TidemillError() if failure.status < _SERVER_ERROR and failure.status not in (
                _TOO_MANY,
                _REQUEST_TIMEOUT,
            ):
                return Outcome("failed"), (failure.code, failure.message("en"))
            case TidemillError():
                error, wanted_s = (failure.code, failure.message("en")), failure.retry_after_s
            case TimeoutError() if kind.timeout_s is not None and self._took_s() >= kind.timeout_s:
                error = ("timeout", f"It ran longer than {kind.timeout_s:g} s.")
            case _:
                error = (type(failure).__name__, str(failure))
        log.warning("job.failed", job_id=self.job_id, type=kind.type, attempt=self.attempt, exc_info=failure)
        return after_failure(self.attempt, kind.max_attempts, kind.backoff, wanted_s=wanted_s), error

    def _took_s(self) -> float:
        return clock.monotonic() - self.started_s
