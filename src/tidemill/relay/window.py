"""Count calls of the last minute exactly: a refused call leaves no trace."""

from collections import deque

MINUTE_S = 60.0


class Window:
    """A sliding minute of at most ``limit`` calls; holds one number for each."""

    __slots__ = ("_times", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._times: deque[float] = deque()

    def _drop_old(self, now: float) -> None:
        while self._times and self._times[0] <= now - MINUTE_S:
            self._times.popleft()

    def free_in_s(self, now: float) -> float:
        """Return the seconds until one more call fits; 0 when it fits now."""
        self._drop_old(now)
        if len(self._times) < self.limit:
            return 0.0
        return self._times[len(self._times) - self.limit] + MINUTE_S - now

    def remaining(self, now: float) -> int:
        """Return how many more calls fit now."""
        self._drop_old(now)
        return max(0, self.limit - len(self._times))

    def reset_in_s(self, now: float) -> float:
        """Return the seconds until the window is empty again."""
        return max(0.0, self._times[-1] + MINUTE_S - now) if self._times else 0.0

    def add(self, now: float) -> float:
        """Count a call; returns what ``take_back`` wants."""
        self._times.append(now)
        return now

    def take_back(self, mark: float) -> None:
        """Uncount a call that was not made after all."""
        if mark in self._times:
            self._times.remove(mark)

    def __len__(self) -> int:
        return len(self._times)
