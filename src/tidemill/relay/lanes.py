"""What is known against one key of a channel used for one model: its breaker, and the pause the service asked for."""

from tidemill.relay.breaker import Breaker


class Lane:
    """One (key, model) of a channel; made at its first failure, dropped when nothing is held against it any more."""

    __slots__ = ("breaker", "paused_until", "reason")

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.paused_until = 0.0
        self.reason: str | None = None

    def admits(self, now: float) -> bool:
        """Tell whether a call may go through."""
        return self.paused_until <= now and self.breaker.admits(now)

    def pause(self, now: float, pause_s: float, reason: str) -> None:
        """Keep calls away for as long as the service asked; a longer pause stays."""
        self.paused_until = max(self.paused_until, now + pause_s)
        self.reason = reason

    def is_broken(self, now: float) -> bool:
        """Tell whether it is the breaker that keeps calls away."""
        return not self.breaker.admits(now)

    def wait_s(self, now: float) -> float:
        """Return the seconds until time alone lets a call through."""
        return max(0.0, self.paused_until - now, self.breaker.pause_left_s(now))

    def is_spotless(self, now: float) -> bool:
        """Tell whether nothing is held against it."""
        return self.paused_until <= now and self.breaker.is_spotless(now)
