"""What is known of a channel while the process lives: calls in flight, its breakers, its keys, its latency."""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Literal

from msgspec import Struct

from tidemill.relay.breaker import Breaker
from tidemill.relay.contracts import BreakerState, LaneView, ServiceView
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.gauges import ErrorRate, Latencies, PeakLatency
from tidemill.relay.lanes import Lane
from tidemill.relay.limits.contracts import Bound
from tidemill.relay.shifts import Shift, ShiftKind
from tidemill.relay.snapshot import Channel, ChannelKey

P50, P95 = 0.5, 0.95
# A key that was refused is left alone for so long, unless it is taken out or replaced before.
KEY_REST_S = 1800.0
NO_KEY = ChannelKey("", "")

ShiftListener = Callable[[Shift], None]
BlockedBy = Literal["slot", "pause", "breaker", "key"]
_WORST: tuple[BreakerState, ...] = ("open", "half_open", "closed")


class Verdict(Enum):
    """What a call's end says about its channel."""

    GOOD = "good"  # it answered, be it with a client's error
    BAD = "bad"
    UNKNOWN = "unknown"  # the caller left before anything could be told


class Block(Struct, frozen=True):
    """Why a channel takes no call now. ``wait_s``: when time alone ends that; None: only a call's end can."""

    by: BlockedBy
    wait_s: float | None
    reason: str = ""


class Ending(Struct, frozen=True):
    """How a call ended. ``latency_ms`` is the whole call's, ``first_ms`` that of its first content, where it went well.

    ``failure`` is what the service did wrong, be it for the client's sake.
    """

    verdict: Verdict
    failure: UpstreamFailed | None = None
    latency_ms: float | None = None
    first_ms: float | None = None


UNTOLD = Ending(Verdict.UNKNOWN)


class ChannelState:
    """One channel's figures; outlives snapshots for as long as the channel is the same service.

    ``breaker`` is for the service as a whole (it cannot be reached); what one key or model meets is in ``lanes``.
    """

    __slots__ = (
        "_failed_of_late",
        "_latencies",
        "_make_breaker",
        "_next_key",
        "_refused_until",
        "_tell",
        "_told_of_late",
        "bound",
        "breaker",
        "channel",
        "done",
        "errors",
        "failing",
        "in_flight",
        "keys",
        "lanes",
        "last_error",
        "latency",
        "local_slots",
    )

    def __init__(
        self, channel: Channel, make_breaker: Callable[[], Breaker] = Breaker, tell: ShiftListener | None = None
    ) -> None:
        self._make_breaker = make_breaker
        self._tell = tell
        self.breaker = make_breaker()
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.in_flight = 0
        self.done = 0
        self.errors = 0
        self.failing = ErrorRate()
        self.latency = PeakLatency()
        self._latencies = Latencies()
        self.last_error: str | None = None
        self.local_slots: int | None = None
        self._next_key = 0
        self._refused_until: dict[str, float] = {}
        self._told_of_late = 0
        self._failed_of_late = 0
        self.update(channel)

    def update(self, channel: Channel) -> None:
        """Go on with the same service under changed settings; what was held against keys now gone is forgotten."""
        self.channel = channel
        self.keys = channel.keys or (NO_KEY,)
        known = {key.id for key in self.keys}
        self.lanes = {way: lane for way, lane in self.lanes.items() if way[0] in known and way[1] in channel.models}
        self._refused_until = {key: until for key, until in self._refused_until.items() if key in known}
        self.bound = Bound(
            f"channel:{channel.id}",
            channel.rpm,
            channel.tpm,
            None if channel.is_local else channel.max_concurrent,
        )

    # ---- whether a call may enter ------------------------------------------------------------------------------

    @property
    def limit(self) -> int | None:
        """Calls at once; None: no bound. A local model keeps its own queue: for it this is only shown."""
        return self.local_slots or self.channel.max_concurrent

    @property
    def has_slot(self) -> bool:
        """Whether one more call fits now."""
        limit = self.bound.concurrent
        return limit is None or self.in_flight < limit

    def admits(self, model: str, now: float) -> bool:
        """Tell whether a call for ``model`` may enter now, its minute's limits aside."""
        return self.has_slot and self.breaker.admits(now) and self.usable_key(model, now) is not None

    def usable_key(self, model: str, now: float) -> ChannelKey | None:
        """Return the next key in turn that may be used for ``model`` now."""
        keys = self.keys
        if not self.lanes and not self._refused_until:
            return keys[self._next_key % len(keys)]
        for step in range(len(keys)):
            key = keys[(self._next_key + step) % len(keys)]
            lane = self.lanes.get((key.id, model))
            if (lane is None or lane.admits(now)) and self._refused_until.get(key.id, 0.0) <= now:
                return key
        return None

    def block(self, model: str, now: float) -> Block | None:
        """Return what keeps a call for ``model`` out now; None when nothing does."""
        if not self.breaker.admits(now):
            return Block("breaker", self.breaker.pause_left_s(now), self.breaker.reason or "")
        if self.usable_key(model, now) is None:
            return self._key_block(model, now)
        return None if self.has_slot else Block("slot", None)

    def _key_block(self, model: str, now: float) -> Block:
        """Say what is wrong with the key that will be usable first."""
        found: list[Block] = []
        for key in self.keys:
            lane = self.lanes.get((key.id, model))
            refused_s = self._refused_until.get(key.id, 0.0) - now
            if refused_s > 0:
                found.append(Block("key", refused_s, self.last_error or ""))
            elif lane is not None and not lane.admits(now):
                by: BlockedBy = "breaker" if lane.is_broken(now) else "pause"
                found.append(Block(by, lane.wait_s(now), lane.breaker.reason or lane.reason or ""))
        return min(found, key=lambda block: block.wait_s or 0.0)

    # ---- the way of a call -------------------------------------------------------------------------------------

    def enter(self, model: str, key: ChannelKey) -> None:
        """Count a call in."""
        self.in_flight += 1
        self._next_key += 1
        self.breaker.enter()
        if self.lanes:
            lane = self.lanes.get((key.id, model))
            if lane is not None:
                lane.enter()

    def leave(self, model: str, key: ChannelKey, ending: Ending, now: float) -> None:
        """Count a call out and take note of how it went."""
        self.in_flight -= 1
        failure = ending.failure
        if failure is not None:
            self.done += 1
            if failure.kind != "client":
                self.errors += 1
                self.last_error = failure.detail or failure.message("en")
            if failure.retry_after_s:
                self._lane(key, model).pause(now, failure.retry_after_s, failure.detail or failure.code)
            elif failure.kind == "rate":
                lane = self._lane(key, model)
                lane.pause_unasked(now, failure.detail or failure.code)
                failure.retry_after_s = lane.wait_s(now)  # told on like one that was asked for
        match ending.verdict:
            case Verdict.GOOD:
                if failure is None:
                    self.done += 1
                self._succeeded(model, key, ending, now)
            case Verdict.BAD:
                self._failed(model, key, failure, now)
            case Verdict.UNKNOWN:
                self._forget(model, key)

    def probed(self, now: float, reason: str | None) -> None:
        """Let a probe count for the service as a whole; ``reason`` None: it went well."""
        if reason is None:
            if self.breaker.succeed(now):
                self._shift("closed")
            return
        self.last_error = reason
        if self.breaker.fail(now, reason):
            self._shift("opened", reason=reason)

    def refuse(self, key: ChannelKey, kind: ShiftKind, reason: str, now: float) -> None:
        """Leave a key alone that the service does not take (any more)."""
        self._refused_until[key.id] = now + KEY_REST_S
        self._shift(kind, key=key, reason=reason)

    def recent(self) -> tuple[int, int]:
        """Return how many calls told something since this was asked last, and how many of them failed."""
        told = self._told_of_late, self._failed_of_late
        self._told_of_late = self._failed_of_late = 0
        return told

    def _succeeded(self, model: str, key: ChannelKey, ending: Ending, now: float) -> None:
        self._told_of_late += 1
        self.failing.add(now, bad=ending.failure is not None and ending.failure.kind == "rate")
        if ending.latency_ms is not None:
            self._latencies.add(ending.latency_ms)
            self.latency.add(now, ending.latency_ms if ending.first_ms is None else ending.first_ms)
        if self.breaker.succeed(now):
            self._shift("closed")
        self._refused_until.pop(key.id, None)
        lane = self.lanes.get((key.id, model)) if self.lanes else None
        if lane is not None:
            if ending.failure is None:
                lane.serve()
            if lane.breaker.succeed(now):
                self._shift("closed", model=model, key=key)
            if lane.is_spotless(now):
                del self.lanes[key.id, model]

    def _failed(self, model: str, key: ChannelKey, failure: UpstreamFailed | None, now: float) -> None:
        self._told_of_late += 1
        self._failed_of_late += 1
        self.failing.add(now, bad=True)
        reason = "" if failure is None else failure.detail or failure.code
        kind = "server" if failure is None else failure.kind
        if kind in {"auth", "balance"}:
            self._forget(model, key)
            self.refuse(key, "key_broke" if kind == "balance" else "key_refused", reason, now)
        elif kind == "transport":
            self._forget(model, key)
            if self.breaker.fail(now, reason):
                self._shift("opened", reason=reason)
        else:
            self._reached(now, told=kind == "server")
            if self._lane(key, model).breaker.fail(now, reason):
                self._shift("opened", model=model, key=key, reason=reason)

    def _reached(self, now: float, *, told: bool) -> None:
        """Note that the service as a whole is there, if it ``told`` anything, however badly it served."""
        if not told:
            self.breaker.forget()
        elif self.breaker.succeed(now):
            self._shift("closed")

    def _forget(self, model: str, key: ChannelKey) -> None:
        self.breaker.forget()
        lane = self.lanes.get((key.id, model)) if self.lanes else None
        if lane is not None:
            lane.breaker.forget()

    def _lane(self, key: ChannelKey, model: str) -> Lane:
        lane = self.lanes.get((key.id, model))
        if lane is None:
            lane = self.lanes[key.id, model] = Lane(self._make_breaker())
        return lane

    def _shift(
        self, kind: ShiftKind, *, model: str | None = None, key: ChannelKey | None = None, reason: str = ""
    ) -> None:
        if self._tell is not None:
            self._tell(
                Shift(
                    channel_id=self.channel.id,
                    channel=self.channel.name,
                    kind=kind,
                    model=model,
                    key_id=None if key is None else key.id,
                    key_last4=None if key is None else key.last4,
                    reason=reason,
                )
            )

    # ---- how it is shown ---------------------------------------------------------------------------------------

    def percentile_ms(self, share: float) -> float | None:
        """Return a percentile (0 < ``share`` ≤ 1) of the latest calls that went well."""
        return self._latencies.percentile_ms(share)

    def breaker_state(self, now: float) -> BreakerState:
        """Return the state of the whole: the service's own breaker, or the best of its lanes where each has one."""
        own = self.breaker.state(now)
        if own != "closed" or not self.lanes:
            return own
        ways = [(key.id, model) for key in self.keys for model in self.channel.models]
        if any(way not in self.lanes for way in ways):
            return "closed"
        states = {self.lanes[way].breaker.state(now) for way in ways}
        return next(state for state in reversed(_WORST) if state in states)

    def lane_views(self, now: float) -> Iterator[LaneView]:
        """Show whatever keeps calls away."""
        if self.breaker.state(now) != "closed":
            yield _view(None, None, self.breaker.state(now), self.breaker.pause_left_s(now), self.breaker.reason)
        last4 = {key.id: key.last4 for key in self.keys}
        for identifier, until in self._refused_until.items():
            if until > now:
                yield _view(last4[identifier], None, "open", until - now, self.last_error)
        for (identifier, model), lane in self.lanes.items():
            state = lane.breaker.state(now)
            if state != "closed" or lane.wait_s(now) > 0:
                reason = lane.breaker.reason or lane.reason
                yield _view(last4[identifier], model, state, lane.wait_s(now), reason)

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
            breaker=self._breaker_for(model, now),
            done=self.done,
            errors=self.errors,
            p95_ms=self.percentile_ms(P95),
        )

    def _breaker_for(self, model: str, now: float) -> BreakerState:
        """Return the breaker that a call for ``model`` would meet: the best among the keys."""
        own = self.breaker.state(now)
        if own != "closed":
            return own
        lanes = [self.lanes.get((key.id, model)) for key in self.keys]
        states = {"closed" if lane is None else lane.breaker.state(now) for lane in lanes}
        return next(state for state in reversed(_WORST) if state in states)


def _view(
    last4: str | None, model: str | None, breaker: BreakerState, retry_in_s: float, reason: str | None
) -> LaneView:
    return LaneView(key_last4=last4, model=model, breaker=breaker, retry_in_s=round(retry_in_s, 1), reason=reason)
