"""Keep calls away from what fails, and find out when it is back. Pure but for the clock it is given.

closed --N failures in a row, or half of a minute's calls failed--> open (a pause that doubles each time)
open --pause over--> half open: one call as a probe; success --> closed, failure --> open again, longer.
"""

from tidemill.relay.contracts import BreakerState

# The share of failures is looked at over the current half minute and the one before it.
_BUCKET_S = 30.0
_MOST_DOUBLINGS = 30


class Breaker:
    """One breaker; times are seconds of a monotonic clock.

    ``threshold``: failures in a row that open it. ``rate``: the share of failures that opens it once ``least`` calls
    have ended within the last half to whole minute.
    """

    __slots__ = (
        "_base_s",
        "_bucket",
        "_ended",
        "_failed",
        "_failures",
        "_least",
        "_max_s",
        "_open_until",
        "_opened",
        "_probing",
        "_rate",
        "_threshold",
        "reason",
    )

    def __init__(
        self, threshold: int = 5, base_s: float = 5.0, max_s: float = 60.0, rate: float = 0.5, least: int = 20
    ) -> None:
        self._threshold = threshold
        self._base_s = base_s
        self._max_s = max_s
        self._rate = rate
        self._least = least
        self._failures = 0
        self._opened = 0  # times in a row without a success between
        self._open_until = 0.0
        self._probing = False
        self._bucket: int = 0
        self._ended = [0, 0]  # this half minute, the one before
        self._failed = [0, 0]
        self.reason: str | None = None

    def state(self, now: float) -> BreakerState:
        """Return the state at ``now``."""
        if not self._opened:
            return "closed"
        return "open" if now < self._open_until else "half_open"

    def admits(self, now: float) -> bool:
        """Tell whether a call may go through."""
        return not self._opened or (now >= self._open_until and not self._probing)

    def pause_left_s(self, now: float) -> float:
        """Return the seconds until it will admit a call again; 0 if it does, or once the probe has come back."""
        return max(0.0, self._open_until - now) if self._opened else 0.0

    def is_spotless(self, now: float) -> bool:
        """Tell whether it remembers no failure."""
        if self._opened or self._failures:
            return False
        self._turn(now)
        return self._failed == [0, 0]

    def enter(self) -> None:
        """Note that a call goes through; in the half-open state it is the probe."""
        if self._opened:
            self._probing = True

    def succeed(self, now: float) -> bool:
        """Note that the service answered; returns True when this closed the breaker."""
        recovered = self._opened > 0
        if recovered:
            self._ended, self._failed = [0, 0], [0, 0]
        self._count(now, failed=False)
        self._failures = self._opened = 0
        self._probing = False
        self.reason = None
        return recovered

    def fail(self, now: float, reason: str, floor_s: float = 0.0) -> bool:
        """Note a failure that counts; returns True when this opened the breaker, for ``floor_s`` at least."""
        self._failures += 1
        self._count(now, failed=True)
        was_probe, self._probing = self._probing, False
        if not was_probe and (self._opened or not self._is_enough()):
            return False
        pause_s = min(self._max_s, self._base_s * 2 ** min(self._opened, _MOST_DOUBLINGS))
        self._open_until = now + max(pause_s, floor_s)
        self._opened += 1
        self.reason = reason
        return True

    def forget(self) -> None:
        """Note that a call ended without telling anything about the service (its caller left)."""
        self._probing = False

    def _is_enough(self) -> bool:
        if self._failures >= self._threshold:
            return True
        ended = sum(self._ended)
        return ended >= self._least and sum(self._failed) >= self._rate * ended

    def _count(self, now: float, *, failed: bool) -> None:
        self._turn(now)
        self._ended[0] += 1
        self._failed[0] += failed

    def _turn(self, now: float) -> None:
        bucket = int(now / _BUCKET_S)
        if bucket == self._bucket:
            return
        follows = bucket == self._bucket + 1
        self._ended = [0, self._ended[0] if follows else 0]
        self._failed = [0, self._failed[0] if follows else 0]
        self._bucket = bucket
