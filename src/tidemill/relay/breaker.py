"""Keep calls away from a channel that fails, and find out when it is back. Pure but for the clock it is given.

closed --5 failures in a row--> open (5 s, doubling to 60 s) --pause over--> half open: one call as a probe
half open --success--> closed; --failure--> open again, longer.
"""

from tidemill.relay.contracts import BreakerState


class Breaker:
    """The breaker of one channel; times are seconds of a monotonic clock."""

    __slots__ = ("_base_s", "_failures", "_max_s", "_open_until", "_opened", "_probing", "_threshold", "reason")

    def __init__(self, threshold: int = 5, base_s: float = 5.0, max_s: float = 60.0) -> None:
        self._threshold = threshold
        self._base_s = base_s
        self._max_s = max_s
        self._failures = 0
        self._opened = 0  # times in a row without a success between
        self._open_until = 0.0
        self._probing = False
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

    def enter(self) -> None:
        """Note that a call goes through; in the half-open state it is the probe."""
        if self._opened:
            self._probing = True

    def succeed(self) -> bool:
        """Note that the service answered; returns True when this closed the breaker."""
        recovered = self._opened > 0
        self._failures = self._opened = 0
        self._probing = False
        self.reason = None
        return recovered

    def fail(self, now: float, reason: str) -> bool:
        """Note a failure that counts; returns True when this opened the breaker."""
        self._failures += 1
        was_probe, self._probing = self._probing, False
        if not was_probe and (self._opened or self._failures < self._threshold):
            return False
        self._open_until = now + min(self._max_s, self._base_s * 2 ** min(self._opened, 30))
        self._opened += 1
        self.reason = reason
        return True

    def forget(self) -> None:
        """Note that a call ended without telling anything about the service (its caller left)."""
        self._probing = False

    def reset(self) -> None:
        """Close it by hand."""
        self.succeed()
