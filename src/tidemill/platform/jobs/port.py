"""What a job engine promises, whatever carries its tickets.

A job is enqueued in the transaction that causes it. It runs at least once, under a lease with a fencing epoch: what a
worker that lost its lease still writes is dropped. A handler is told when it is cancelled and when its process drains;
it saves a checkpoint and is resumed from there, by whatever process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Writer
from tidemill.platform.jobs.rules import Backoff

DEFAULT_QUEUE = "default"


class JobYield(Exception):
    """Raised by a handler that stops because its process drains: the job goes back to the queue uncounted."""


class JobCancelled(Exception):
    """Raised by a handler that has stopped because its job was cancelled."""


class JobFailed(Exception):
    """Raised by a handler for a failure that no retry would mend; ``code`` is stable, the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class JobRetry(Exception):
    """Raised by a handler that wants another attempt, not before ``after_s`` (what a Retry-After said)."""

    def __init__(self, code: str, text: str, *, after_s: float = 0.0) -> None:
        self.code = code
        self.after_s = after_s
        super().__init__(text)


class JobContext(Protocol):
    """What a handler sees of its job."""

    job_id: str
    user_id: int | None
    payload: dict[str, Any]
    checkpoint: dict[str, Any] | None
    attempt: int
    cancelled: asyncio.Event
    draining: asyncio.Event

    async def save(self, checkpoint: dict[str, Any]) -> None:
        """Keep ``checkpoint`` for whoever resumes; raises JobYield when the lease was lost."""
        ...

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Report progress; told to watchers at most four times a second, written every two seconds and at the end."""
        ...

    async def holds(self, w: Writer) -> bool:
        """Tell, inside a transaction, whether this run still holds its job, and keep it so until the transaction ends.

        A handler that writes for its job asks this first in the same transaction: then a run that was taken for dead,
        while it only hung, can no longer change anything.
        """
        ...


Handler = Callable[[JobContext], Awaitable[None]]


class JobKind(Struct, frozen=True, kw_only=True):
    """How jobs of one type are run.

    ``concurrency`` counts runs in one process. ``timeout_s`` bounds one run, ``stall_s`` the time without progress or
    checkpoint; both count as failures. ``max_crashes`` bounds runs that ended with their process and without a
    checkpoint or progress (None: no bound, for handlers whose items have bounds of their own). ``takes`` tells by the
    payload whether this process would run a job now; one that it would not is left to the others.
    """

    type: str
    handler: Handler
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    max_attempts: int = 5
    max_crashes: int | None = 3
    backoff: Backoff = Backoff()
    timeout_s: float | None = None
    stall_s: float | None = None
    concurrency: int = 16
    takes: Callable[[dict[str, Any]], bool] | None = None


class Jobs(Protocol):
    """One job engine, as contexts see it."""

    def register(self, kind: JobKind) -> None:
        """Teach this process a type of job; it enqueues and claims only the types it knows."""
        ...

    async def enqueue(  # noqa: PLR0913 - each is one fact about the job, named at the call
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
        """Put a job into the caller's transaction and return its id.

        With ``idem_key`` a second call returns the id of that owner's first job of that type and key. ``priority``
        (higher first) is the kind's unless given. Raises QueueFull, PayloadTooLarge (64 KB).
        """
        ...

    async def cancel(self, w: Writer, scope: Scope, job_id: str, *, by: int | None = None) -> None:
        """Cancel a job in the caller's transaction; a running handler is told at once, or at its next heartbeat."""
        ...
