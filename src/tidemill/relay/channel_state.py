"""What is known of a channel while the process lives: calls in flight, the last minute, its breaker, its latency."""

import math
from collections import deque
from enum import Enum

from tidemill.relay.breaker import Breaker
from tidemill.relay.contracts import ServiceView
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.snapshot import Channel
from tidemill.relay.window import Window

_LATENCIES_KEPT = 128
P50, P95 = 0.5, 0.95


class Verdict(Enum):
    """What a call's end says about its channel."""

    GOOD = "good"  # it answered, be it with a client's error
    BAD = "bad"
    UNKNOWN = "unknown"  # the caller left before anything could be told


class ChannelState:
    """One channel's figures; outlives snapshots for as long as the channel is the same service."""

    __slots__ = (
        "_latencies",
        "_next_key",
        "_paused_until",
        "_window",
        "breaker",
        "channel",
        "done",
        "errors",
        "in_flight",
        "last_error",
        "local_slots",
    )

    def __init__(self, channel: Channel, breaker: Breaker) -> None:
        self.channel = channel
        self.breaker = breaker
        self.in_flight = 0
        self.done = 0
        self.errors = 0
        self.last_error: str | None = None
        self.local_slots: int | None = None
        self._paused_until = 0.0
        self._next_key = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self._window = Window(channel.rpm) if channel.rpm else None

    def update(self, channel: Channel) -> None:
        """Go on with the same service under changed settings."""
        if channel.rpm != self.channel.rpm:
            self._window = Window(channel.rpm) if channel.rpm else None
        self.channel = channel

    @property
    def limit(self) -> int | None:
        """Calls at once; None: no bound. A local model keeps its own queue: for it this is only shown."""
        return self.local_slots or self.channel.max_concurrent

    @property
    def has_slot(self) -> bool:
        """Whether one more call fits now."""
        limit = None if self.channel.is_local else self.channel.max_concurrent
        return limit is None or self.in_flight < limit

    def paused_s(self, now: float) -> float:
        """Return the seconds until it may be asked again: its own rpm, or a pause that the service asked for."""
        paused = max(0.0, self._paused_until - now)
        return max(paused, self._window.free_in_s(now)) if self._window is not None else paused

    def admits(self, now: float) -> bool:
        """Tell whether a call may enter now."""
        return self.has_slot and self.breaker.admits(now) and self.paused_s(now) == 0.0

    def enter(self, now: float) -> None:
        """Count a call in."""
        self.in_flight += 1
        self.breaker.enter()
        if self._window is not None:
            self._window.add(now)

    def leave(self, now: float, verdict: Verdict, failure: UpstreamFailed | None, latency_ms: float | None) -> None:
        """Count a call out and take note of how it went."""
        self.in_flight -= 1
        if failure is not None:
            self.done += 1
            if failure.kind != "client":
                self.errors += 1
                self.last_error = failure.detail or failure.message("en")
            if failure.kind == "rate" and failure.retry_after_s:
                self._paused_until = max(self._paused_until, now + failure.retry_after_s)
        match verdict:
            case Verdict.GOOD:
                self.breaker.succeed(now)
                if failure is None:
                    self.done += 1
                if latency_ms is not None:
                    self._latencies.append(latency_ms)
            case Verdict.BAD:
                self.breaker.fail(now, "" if failure is None else failure.detail or failure.code)
            case Verdict.UNKNOWN:
                self.breaker.forget()

    def key(self) -> str | None:
        """Return the key to use, each in turn."""
        keys = self.channel.keys
        if not keys:
            return None
        self._next_key = (self._next_key + 1) % len(keys)
        return keys[self._next_key].text

    def percentile_ms(self, share: float) -> float | None:
        """Return a percentile (0 < ``share`` ≤ 1) of the latest calls that went well."""
        if not self._latencies:
            return None
        ordered = sorted(self._latencies)
        return round(ordered[math.ceil(share * len(ordered)) - 1], 1)

    def view(self, model: str, now: float) -> ServiceView:
        """Show the channel as a service of ``model``."""
        channel = self.channel
        return ServiceView(
            channel_id=channel.id,
            channel=channel.name,
            model=model,
            upstream_model=channel.models.get(model, model),
            limit=self.limit,
            in_flight=self.in_flight,
            is_vllm=channel.is_vllm,
            is_local=channel.is_local,
            breaker=self.breaker.state(now),
            done=self.done,
            errors=self.errors,
            p95_ms=self.percentile_ms(P95),
        )
