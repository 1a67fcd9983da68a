"""Deadlines, keep-alives and hang-ups of all calls under way, looked after by one timer.

A timer for each call would cost more than the call's own bookkeeping; one walk four times a second does for all, so a
deadline is kept to a quarter of a second.
"""

import asyncio
from collections.abc import Callable

from tidemill.kernel import clock
from tidemill.relay.errors import ClientTooSlow, RelayError, UpstreamTimedOut

TICK_S = 0.25

Waiting = type[RelayError]


class Watched:
    """One call while it runs, bound to the task that carries it.

    Invariant: a deadline is set only while the task awaits what the deadline is for, so the cancellation that it
    causes arrives at that await and nowhere else.
    """

    __slots__ = (
        "_due",
        "_expired",
        "_reason",
        "_task",
        "began",
        "hung_up",
        "on_hang_up_watch",
        "on_silence",
        "quiet_since",
    )

    def __init__(self, task: "asyncio.Task[object]", now: float) -> None:
        self._task = task
        self._due = 0.0
        self._reason: Waiting = UpstreamTimedOut
        self._expired = False
        self.began = now
        self.hung_up = False
        self.quiet_since = now
        self.on_silence: Callable[[], None] | None = None
        self.on_hang_up_watch: Callable[[], None] | None = None

    def until(self, due: float, reason: Waiting = UpstreamTimedOut) -> None:
        """Bound the next await: past ``due`` (monotonic seconds) it is cancelled and ``expired`` says so."""
        self._due = due
        self._reason = reason

    def at_ease(self) -> None:
        """Set no bound on what is awaited next."""
        self._due = 0.0

    def hang_up(self) -> None:
        """Say that the caller is gone: whatever is awaited is cancelled."""
        if not self.hung_up:
            self.hung_up = True
            self._task.cancel()

    def expired(self) -> RelayError | None:
        """Return the error where a CancelledError arrived, if a deadline and nothing else was the cause."""
        if self._expired and not self.hung_up and self._task.uncancel() == 0:
            self._expired = False
            self._due = 0.0
            return self._reason()
        return None

    def look(self, now: float, heartbeat_s: float) -> None:
        """See to what is due."""
        if self._due and now >= self._due and not self._expired:
            self._expired = True
            self._task.cancel()
            return
        if self.on_hang_up_watch is not None:
            # Only a call that outlives a tick pays for a task that listens for the client's leaving.
            start, self.on_hang_up_watch = self.on_hang_up_watch, None
            start()
        if self._reason is ClientTooSlow:
            return  # a client that does not read what it has needs nothing to keep it
        if self.on_silence is not None and now - self.quiet_since >= heartbeat_s:
            self.quiet_since = now
            self.on_silence()


class Watch:
    """All calls under way; ticks only while there are some."""

    def __init__(self, *, heartbeat_s: float, tick_s: float = TICK_S) -> None:
        self._heartbeat_s = heartbeat_s
        self._tick_s = tick_s
        self._calls: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def add(self) -> Watched:
        """Look after the current task from now on."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call runs in a task")
        watched = Watched(task, clock.monotonic())
        self._calls.add(watched)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)
        return watched

    def remove(self, watched: Watched) -> None:
        """Look after it no more.

        What it would have called knows it in turn: let go of, the call is freed as it ends and not by the collector.
        """
        self._calls.discard(watched)
        watched.on_hang_up_watch = watched.on_silence = None

    def _tick(self) -> None:
        self._timer = None
        if not self._calls:
            return
        now = clock.monotonic()
        for watched in tuple(self._calls):
            watched.look(now, self._heartbeat_s)
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)


__all__ = ["TICK_S", "ClientTooSlow", "Watch", "Watched"]
