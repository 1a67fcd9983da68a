"""What becomes of a job; pure decisions.

queued → running → succeeded | retry_wait | failed | dead | cancelled; retry_wait → running; a run whose process died
goes back to queued, and to dead after too many such runs without progress.
"""

import random as _random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from tidemill.kernel.retry import full_jitter

State = Literal["queued", "retry_wait", "running", "succeeded", "failed", "dead", "cancelled"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "dead", "cancelled"})
WAITING: frozenset[State] = frozenset({"queued", "retry_wait"})

LEASE_S = 30.0
HEARTBEAT_S = 5.0
RETRY_BASE_S = 2.0
RETRY_CAP_S = 300.0


class Outcome(Struct, frozen=True):
    """The next state of a job and, where it waits, until when."""

    state: State
    run_at: datetime | None = None


def after_failure(
    attempt: int, max_attempts: int, now: datetime, random: Callable[[], float] = _random.random
) -> Outcome:
    """Decide after run number ``attempt`` (from 1) failed in a way that a retry may mend."""
    if attempt >= max_attempts:
        return Outcome("dead")
    return Outcome("retry_wait", now + timedelta(seconds=full_jitter(attempt, RETRY_BASE_S, RETRY_CAP_S, random)))


def after_crash(crashes: int, max_crashes: int | None, now: datetime) -> Outcome:
    """Decide after the process of a run died; ``crashes`` counts this one."""
    if max_crashes is not None and crashes >= max_crashes:
        return Outcome("dead")
    return Outcome("queued", now)
