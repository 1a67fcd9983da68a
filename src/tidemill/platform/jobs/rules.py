"""What becomes of a job; pure decisions and the figures behind them.

queued → running → succeeded | retry_wait | failed | dead | cancelled; retry_wait → running; a run whose process died
goes back to queued, and to dead after too many such runs without progress; failed and dead → queued by a replay, →
cancelled by a discard. Whatever is not in MOVES does not happen.
"""

import random as _random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

from msgspec import Struct

from tidemill.kernel.retry import full_jitter

State = Literal["queued", "retry_wait", "running", "succeeded", "failed", "dead", "cancelled"]
WAITING: frozenset[State] = frozenset({"queued", "retry_wait"})
LOST: frozenset[State] = frozenset({"failed", "dead"})
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "dead", "cancelled"})
MOVES: Mapping[State, frozenset[State]] = {
    "queued": frozenset({"running", "cancelled"}),
    "retry_wait": frozenset({"running", "cancelled", "queued"}),
    "running": frozenset({"succeeded", "failed", "dead", "cancelled", "retry_wait", "queued"}),
    "succeeded": frozenset(),
    "failed": frozenset({"queued", "cancelled"}),
    "dead": frozenset({"queued", "cancelled"}),
    "cancelled": frozenset(),
}

RETRY_BASE_S = 2.0
RETRY_CAP_S = 300.0
# Waiting jobs that a queue holds, of all and of one user, unless its row says otherwise.
MAX_LENGTH = 100_000
MAX_PER_USER = 10_000
MAX_PAYLOAD_BYTES = 64 * 1024
# How long ended jobs and their history are kept.
KEEP_SUCCEEDED = timedelta(days=7)
KEEP_LOST = timedelta(days=30)


class Pulse(Struct, frozen=True):
    """A worker's lease on its jobs: it writes one row every ``heartbeat_s``.

    After ``lease_s`` without one its jobs are taken from it; before that, after ``fence_s``, it stops them itself. All
    processes of a database need the same.
    """

    lease_s: float = 30.0

    @property
    def heartbeat_s(self) -> float:
        """Seconds between two signs of life."""
        return self.lease_s / 6

    @property
    def fence_s(self) -> float:
        """Seconds of silence after which a worker gives its jobs up."""
        return self.lease_s * 2 / 3


class Backoff(Struct, frozen=True):
    """Pauses between attempts: full jitter under base_s doubled each time, at most cap_s."""

    base_s: float = RETRY_BASE_S
    cap_s: float = RETRY_CAP_S

    def pause_s(self, attempt: int, random: Callable[[], float] = _random.random) -> float:
        """Return the pause after run number ``attempt`` (from 1)."""
        return full_jitter(attempt, self.base_s, self.cap_s, random)


class Outcome(Struct, frozen=True):
    """The next state of a job and, where it waits, for how long."""

    state: State
    delay_s: float = 0.0


def after_failure(
    attempt: int,
    max_attempts: int,
    backoff: Backoff,
    *,
    wanted_s: float | None = None,
    random: Callable[[], float] = _random.random,
) -> Outcome:
    """Decide after run number ``attempt`` (from 1) failed in a way that a retry may mend.

    ``wanted_s`` is the pause that whoever refused us asked for (Retry-After); it is never undercut.
    """
    if attempt >= max_attempts:
        return Outcome("dead")
    return Outcome("retry_wait", max(backoff.pause_s(attempt, random), wanted_s or 0.0))


def after_crash(crashes: int, max_crashes: int | None) -> Outcome:
    """Decide after the process of a run died; ``crashes`` counts this one."""
    if max_crashes is not None and crashes >= max_crashes:
        return Outcome("dead")
    return Outcome("queued")
