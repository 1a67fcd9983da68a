"""Figures of a channel that fade with time: the share of failures, and a latency that remembers peaks."""

import math
from collections import deque

_ERROR_TAU_S = 60.0
_LATENCY_TAU_S = 10.0
_LATENCIES_KEPT = 128
# Under this much remembered weight a share of failures says nothing.
_LEAST_WEIGHT = 0.5


class ErrorRate:
    """The share of failures of late; what ended a minute ago counts a third of what ended now."""

    __slots__ = ("_at", "_bad", "_ended")

    def __init__(self) -> None:
        self._at = 0.0
        self._ended = 0.0
        self._bad = 0.0

    def add(self, now: float, *, bad: bool) -> None:
        """Count an end."""
        kept = math.exp((self._at - now) / _ERROR_TAU_S) if now > self._at else 1.0
        self._ended = self._ended * kept + 1.0
        self._bad = self._bad * kept + bad
        self._at = now

    def share(self, now: float) -> float | None:
        """Return the share, 0 to 1; None when nothing ended of late."""
        kept = math.exp((self._at - now) / _ERROR_TAU_S) if now > self._at else 1.0
        return self._bad / self._ended if self._ended * kept >= _LEAST_WEIGHT else None


class PeakLatency:
    """A moving average that jumps up to every peak at once and comes down slowly (Finagle's Peak EWMA).

    Source: twitter.github.io/finagle, "P2C + Peak EWMA".
    """

    __slots__ = ("_at", "_ms")

    def __init__(self) -> None:
        self._at = 0.0
        self._ms = 0.0

    def add(self, now: float, latency_ms: float) -> None:
        """Count one call's latency."""
        if latency_ms >= self._ms:
            self._ms = latency_ms
        else:
            kept = math.exp((self._at - now) / _LATENCY_TAU_S) if now > self._at else 1.0
            self._ms = self._ms * kept + latency_ms * (1.0 - kept)
        self._at = now

    @property
    def ms(self) -> float:
        """Milliseconds; 0 while nothing is known, so that a new channel is tried."""
        return self._ms


class Latencies:
    """The latest latencies, for percentiles."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=_LATENCIES_KEPT)

    def add(self, latency_ms: float) -> None:
        """Keep one."""
        self._kept.append(latency_ms)

    def percentile_ms(self, share: float) -> float | None:
        """Return a percentile (0 < ``share`` ≤ 1); None while nothing is known."""
        if not self._kept:
            return None
        ordered = sorted(self._kept)
        return round(ordered[math.ceil(share * len(ordered)) - 1], 1)
