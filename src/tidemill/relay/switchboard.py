"""Let calls in: hold callers and channels to their limits, and keep who must wait in a fair, bounded queue.

Everything is in memory and nothing awaits but the wait itself, so one check over all limits is atomic. A refused call
leaves no trace in any counter. Those who wait are served caller by caller in turn, each caller's own in order.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Collection

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.relay.breaker import Breaker
from tidemill.relay.channel_state import ChannelState, Verdict
from tidemill.relay.contracts import ServiceView
from tidemill.relay.errors import ModelNotFound, NoChannelAvailable, RateLimited, SceneNotServed, UpstreamFailed
from tidemill.relay.plan import all_broken_s, candidates, choose, next_change_s
from tidemill.relay.providers import Scene
from tidemill.relay.snapshot import EMPTY, Channel, Snapshot

Seat = tuple[str, Scene, int | None]  # the model, the kind of call, and the channel it is pinned to
Tiers = list[list[ChannelState]]


class Wish(Struct, frozen=True):
    """What a call wants of the switchboard. ``caller`` is whose turn it is among those who wait."""

    model: str
    caller: str
    wait_s: float
    pinned: int | None = None
    excluded: Collection[int] = ()
    scene: Scene = "chat"


class _Waiter:
    __slots__ = ("granted", "wish")

    def __init__(self, wish: Wish, granted: asyncio.Future[ChannelState]) -> None:
        self.wish = wish
        self.granted = granted


class _Room:
    """Those who wait for one model, by caller, in the order in which callers are served."""

    def __init__(self) -> None:
        self.callers: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self.timer: asyncio.TimerHandle | None = None

    def add(self, waiter: _Waiter) -> None:
        self.callers.setdefault(waiter.wish.caller, deque()).append(waiter)

    def drop(self, waiter: _Waiter) -> None:
        line = self.callers.get(waiter.wish.caller)
        if line is not None and waiter in line:
            line.remove(waiter)
            if not line:
                del self.callers[waiter.wish.caller]

    def served(self, caller: str) -> None:
        """Take the caller's first off and send the caller to the end of the round."""
        line = self.callers[caller]
        line.popleft()
        if line:
            self.callers.move_to_end(caller)
        else:
            del self.callers[caller]


class Switchboard:
    """The channels of this process and who may use them now."""

    def __init__(self, make_breaker: Callable[[], Breaker], *, max_waiting: int) -> None:
        self._make_breaker = make_breaker
        self._max_waiting = max_waiting
        self._rooms: dict[Seat, _Room] = {}
        self._waiting = 0
        self.snapshot: Snapshot = EMPTY
        self.states: dict[int, ChannelState] = {}
        # The states of each model's tiers by kind of call, made once a snapshot, so that a call only looks them up.
        self._tiers: dict[tuple[str, Scene], Tiers] = {}

    @property
    def waiting(self) -> int:
        """How many calls wait for a slot."""
        return self._waiting

    def swap(self, snapshot: Snapshot) -> list[int]:
        """Use ``snapshot`` from now on; returns the channels that are gone or are another service now."""
        dropped: list[int] = []
        states: dict[int, ChannelState] = {}
        for identifier, channel in snapshot.channels.items():
            known = self.states.get(identifier)
            if known is None:
                states[identifier] = ChannelState(channel, self._make_breaker())
            elif not _same_service(known.channel, channel):
                # Another service under an old name: its failures are not this one's; calls under way keep the old.
                states[identifier] = ChannelState(channel, self._make_breaker())
                dropped.append(identifier)
            else:
                known.update(channel)
                states[identifier] = known
        dropped.extend(self.states.keys() - states.keys())
        self.states, self.snapshot = states, snapshot
        self._tiers = {}
        for seat in list(self._rooms):
            self._serve(seat)
        return dropped

    def services(self, model: str) -> list[ServiceView]:
        """Show every channel that serves ``model``, highest priority first."""
        now = clock.monotonic()
        tiers = candidates(self.snapshot, self.states, model, pinned=None, excluded=())
        return [state.view(model, now) for tier in tiers for state in tier]

    async def acquire(self, wish: Wish) -> ChannelState:
        """Enter a channel; the caller must ``release`` it.

        Raises ModelNotFound, NoChannelAvailable when all are failing, RateLimited when none has room within ``wait_s``.
        """
        now = clock.monotonic()
        tiers = self._candidates(wish)
        seat = (wish.model, wish.scene, wish.pinned)
        if seat not in self._rooms:  # nobody is before us
            state = choose(tiers, now)
            if state is not None:
                state.enter(now)
                return state
        return await self._wait(wish, seat, tiers, now)

    def _candidates(self, wish: Wish) -> Tiers:
        if wish.pinned is None and not wish.excluded:
            tiers = self._tiers.get((wish.model, wish.scene)) or self._remembered(wish)
        else:
            tiers = self._looked_up(wish)
        if tiers:
            return tiers
        if wish.model not in self.snapshot.tiers:
            raise ModelNotFound(model=wish.model)
        if wish.excluded:
            raise NoChannelAvailable(model=wish.model, retry_after_s=1.0)
        if wish.pinned is not None:
            raise ModelNotFound(model=wish.model)
        raise SceneNotServed(model=wish.model, scene=wish.scene)

    def _looked_up(self, wish: Wish) -> Tiers:
        return candidates(
            self.snapshot,
            self.states,
            wish.model,
            pinned=wish.pinned,
            excluded=wish.excluded,
            scene=wish.scene,
        )

    def _remembered(self, wish: Wish) -> Tiers:
        tiers = self._looked_up(wish)
        if tiers:  # names that nobody carries are without number
            self._tiers[wish.model, wish.scene] = tiers
        return tiers

    async def _wait(self, wish: Wish, seat: Seat, tiers: Tiers, now: float) -> ChannelState:
        broken_s = all_broken_s(tiers, now)
        if broken_s is not None:
            raise NoChannelAvailable(model=wish.model, retry_after_s=broken_s)
        pause_s = next_change_s(tiers, now)
        if wish.wait_s <= 0 or (pause_s is not None and pause_s > wish.wait_s):
            raise RateLimited(limit="channel", retry_after_s=pause_s or 1.0)
        if self._waiting >= self._max_waiting:
            raise RateLimited(limit="gateway.max_waiting", retry_after_s=1.0)
        waiter = _Waiter(wish, asyncio.get_running_loop().create_future())
        self._rooms.setdefault(seat, _Room()).add(waiter)
        self._waiting += 1
        self._serve(seat)
        try:
            async with asyncio.timeout(wish.wait_s):
                return await waiter.granted
        except TimeoutError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                return waiter.granted.result()  # granted in the very moment the time was up
            raise RateLimited(limit="channel", retry_after_s=1.0) from None
        except asyncio.CancelledError:
            self._hand_back(waiter)
            raise
        finally:
            self._waiting -= 1
            self._clear(seat, waiter)

    def _hand_back(self, waiter: _Waiter) -> None:
        """Leave a channel that was granted in the very moment its waiter was cancelled."""
        if waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.exception() is None:
            self.release(waiter.granted.result(), Verdict.UNKNOWN)

    def _clear(self, seat: Seat, waiter: _Waiter) -> None:
        room = self._rooms.get(seat)
        if room is not None:
            room.drop(waiter)
            self._close_if_empty(seat, room)

    def _close_if_empty(self, seat: Seat, room: _Room) -> None:
        if not room.callers:
            if room.timer is not None:
                room.timer.cancel()
            self._rooms.pop(seat, None)

    def release(
        self,
        state: ChannelState,
        verdict: Verdict,
        failure: UpstreamFailed | None = None,
        latency_ms: float | None = None,
    ) -> None:
        """Leave a channel and let the next one in."""
        state.leave(clock.monotonic(), verdict, failure, latency_ms)
        self.nudge(state)

    def nudge(self, state: ChannelState) -> None:
        """Let those in who wait for this channel: a call left it, or its limit rose."""
        if not self._rooms:
            return
        for seat in list(self._rooms):
            if seat[0] in state.channel.models:
                self._serve(seat)

    def _serve(self, seat: Seat) -> None:
        """Grant channels to those who wait, one caller after the other, until nobody's wish can be met."""
        room = self._rooms.get(seat)
        if room is None:
            return
        now = clock.monotonic()
        again = True
        while again:
            again = False
            for caller in list(room.callers):
                if self._grant(room, caller, now):
                    again = True
        self._set_timer(seat, room, now)
        self._close_if_empty(seat, room)

    def _grant(self, room: _Room, caller: str, now: float) -> bool:
        waiter = room.callers[caller][0]
        if waiter.granted.done():  # timed out or cancelled, about to leave by itself
            room.served(caller)
            return True
        try:
            tiers = self._candidates(waiter.wish)
        except (ModelNotFound, NoChannelAvailable) as error:
            waiter.granted.set_exception(error)
            room.served(caller)
            return True
        broken_s = all_broken_s(tiers, now)
        if broken_s is not None:
            waiter.granted.set_exception(NoChannelAvailable(model=waiter.wish.model, retry_after_s=broken_s))
            room.served(caller)
            return True
        state = choose(tiers, now)
        if state is None:
            return False
        state.enter(now)
        waiter.granted.set_result(state)
        room.served(caller)
        return True

    def _set_timer(self, seat: Seat, room: _Room, now: float) -> None:
        if room.timer is not None:
            room.timer.cancel()
            room.timer = None
        if not room.callers:
            return
        first = next(iter(room.callers.values()))[0]
        pause_s = next_change_s(
            self._looked_up(first.wish),
            now,
        )
        if pause_s is not None:
            room.timer = asyncio.get_running_loop().call_later(max(pause_s, 0.01), self._serve, seat)


def _same_service(one: Channel, other: Channel) -> bool:
    return (one.root, one.provider) == (other.root, other.provider)
