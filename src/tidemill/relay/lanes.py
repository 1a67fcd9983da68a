"""What is known against one key of a channel used for one model: its breaker, and the pause the service asked for."""

from tidemill.relay.breaker import Breaker

# When a pause is over one call asks first; with each further step as many as before may follow, until it has been
# shown for so many steps that the service bears them.
_STEP_S = 0.25
_STEPS = 8
# The pause after a refusal that names none; it doubles with each that follows the end of the one before.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Lane:
    """One (key, model) of a channel; made at its first failure, dropped when nothing is held against it any more."""

    __slots__ = ("_own_pause_s", "_returned", "breaker", "paused_until", "reason")

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.paused_until = float("-inf")
        self._returned = 0  # calls since the pause was over
        self._own_pause_s = _FIRST_PAUSE_S
        self.reason: str | None = None

    def admits(self, now: float) -> bool:
        """Tell whether a call may go through."""
        return self._pause_left_s(now) == 0.0 and self.breaker.admits(now)

    def enter(self) -> None:
        """Note that a call goes through."""
        self._returned += 1
        self.breaker.enter()

    def pause(self, now: float, pause_s: float, reason: str) -> None:
        """Keep calls away for as long as the service asked; a longer pause stays."""
        self.paused_until = max(self.paused_until, now + pause_s)
        self._returned = 0
        self.reason = reason

    def pause_unasked(self, now: float, reason: str) -> None:
        """Keep calls away from a service that is too busy and does not say for how long.

        Refusals of calls that were on their way when the pause began are the same refusal.
        """
        if now >= self.paused_until:
            self.pause(now, self._own_pause_s, reason)
            self._own_pause_s = min(2 * self._own_pause_s, _LONGEST_PAUSE_S)

    def serve(self) -> None:
        """Note that a call was served: the next refusal begins with a short pause again."""
        self._own_pause_s = _FIRST_PAUSE_S

    def _pause_left_s(self, now: float) -> float:
        since = now - self.paused_until
        if since < 0:
            return -since
        if since >= _STEPS * _STEP_S:
            return 0.0
        step = int(since / _STEP_S)
        return 0.0 if self._returned < 2**step else (step + 1) * _STEP_S - since

    def is_broken(self, now: float) -> bool:
        """Tell whether it is the breaker that keeps calls away."""
        return not self.breaker.admits(now)

    def wait_s(self, now: float) -> float:
        """Return the seconds until time alone lets a call through."""
        return max(self._pause_left_s(now), self.breaker.pause_left_s(now))

    def is_spotless(self, now: float) -> bool:
        """Tell whether nothing is held against it."""
        return self.paused_until + _STEPS * _STEP_S <= now and self.breaker.is_spotless(now)
