"""Let calls in: hold callers, models and channels to their limits, and keep who must wait in a fair, bounded queue.

In one process nothing awaits but the wait itself, so one check over all limits is atomic; over many, limits that all
of them share have the last word. A refused call leaves no trace in any counter. Those who wait are served caller by
caller in turn, each caller's own in order.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.relay.breaker import Breaker
from tidemill.relay.channel_state import UNTOLD, Block, ChannelState, Ending
from tidemill.relay.contracts import Forecast, Question, ServiceView
from tidemill.relay.errors import ModelNotFound, NoChannelAvailable, RateLimited, RelayError, SceneNotServed
from tidemill.relay.forecast import forecast
from tidemill.relay.grants import Grant
from tidemill.relay.limits.contracts import Bound, Claim, Refusal
from tidemill.relay.limits.engines import Limits
from tidemill.relay.limits.memory import MemoryLimits
from tidemill.relay.plan import Seat, Tiers, Wish, candidates, standstill
from tidemill.relay.providers import Scene
from tidemill.relay.rooms import Room, Waiter
from tidemill.relay.shifts import Shift
from tidemill.relay.snapshot import EMPTY, Channel, Snapshot
from tidemill.relay.strategies import Choice, Turns, pick

_SOON_S = 0.01
# A key may be replaced long before its rest is over: nobody is sent away for longer than this.
_LONGEST_TOLD_S = 60.0
# Remembered answers to "who may serve this?"; the names in them come from administrators, regions from clients.
_MOST_REMEMBERED = 10_000


class _Blocked(Struct, frozen=True):
    """Why a call cannot go in now. ``may_wait``: a place may come free; ``wait_s``: when time alone may bring it.

    ``sure_s``: for how long none will, whatever calls end meanwhile.
    """

    error: RelayError
    may_wait: bool
    wait_s: float | None = None
    sure_s: float = 0.0


class Switchboard:
    """The channels of this process and who may use them now."""

    def __init__(self, make_breaker: Callable[[], Breaker], *, max_waiting: int, limits: Limits | None = None) -> None:
        self._make_breaker = make_breaker
        self._max_waiting = max_waiting
        self._rooms: dict[Seat, Room] = {}
        self._waiting = 0
        self._turns: dict[tuple[str, int], Turns] = {}
        self.limits: Limits = MemoryLimits() if limits is None else limits
        # Limits of this process alone are claimed together with the channel, without a wait.
        self._at_once = self.limits if isinstance(self.limits, MemoryLimits) else None
        self.listeners: list[Callable[[Shift], None]] = []
        self.snapshot: Snapshot = EMPTY
        self.states: dict[int, ChannelState] = {}
        # The states of each model's tiers by kind of call, group and region, so that a call only looks them up.
        self._tiers: dict[tuple[str, Scene, str, str | None], Tiers] = {}

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
            if known is None or not _same_service(known.channel, channel):
                # Another service under an old name: its failures are not this one's; calls under way keep the old.
                states[identifier] = ChannelState(channel, self._make_breaker, self._tell)
                if known is not None:
                    dropped.append(identifier)
            else:
                known.update(channel)
                states[identifier] = known
        dropped.extend(self.states.keys() - states.keys())
        self.states, self.snapshot = states, snapshot
        self._tiers = {}
        self._turns = {place: turns for place, turns in self._turns.items() if place[0] in snapshot.tiers}
        for seat in list(self._rooms):
            self._serve(seat)
        return dropped

    def _tell(self, shift: Shift) -> None:
        for listener in self.listeners:
            listener(shift)

    def services(self, model: str) -> list[ServiceView]:
        """Show every channel that serves ``model`` for everybody, highest priority first.

        One that is kept for some groups is none of them: who shares work over channels cannot tell whose it will be.
        """
        now = clock.monotonic()
        tiers = self.snapshot.tiers.get(model, ())
        return [self.states[channel.id].view(model, now) for tier in tiers for channel in tier if not channel.groups]

    def forecast(self, question: Question, user_id: int, group: str) -> Forecast:
        """Tell who would serve a call now and why, for ``user_id`` of ``group``; nothing is called or counted."""
        return forecast(self.snapshot, self.states, self.limits, question, user_id, group)

    async def acquire(self, wish: Wish) -> Grant:
        """Enter a channel; the caller must ``release`` it.

        Raises ModelNotFound, NoChannelAvailable when all are failing, RateLimited when a limit of the caller's is
        reached or none has room within ``wait_s``.
        """
        if self._at_once is not None:
            return await self._acquire(wish, wish.wait_s)
        until = clock.monotonic() + wish.wait_s
        while True:
            grant = await self._acquire(wish, until - clock.monotonic())
            if await self._is_confirmed(grant):
                return grant

    async def _acquire(self, wish: Wish, wait_s: float) -> Grant:
        """Enter a channel as far as this process knows."""
        now = clock.monotonic()
        if wish.seat not in self._rooms:  # nobody is before us
            outcome = self._try(wish, now)
            if isinstance(outcome, Grant):
                return outcome
        else:
            outcome = self._blocked(wish, self._candidates(wish), now)
        return await self._wait(wish, wait_s, outcome)

    async def _is_confirmed(self, grant: Grant) -> bool:
        """Ask the limits that hold for all processes; a call that they refuse has left the channel again."""
        bounds = _bounds(grant.wish, grant.state)
        if not bounds:
            return True
        try:
            outcome = await self.limits.reserve(bounds, grant.wish.tokens)
        except BaseException:
            self._back_out(grant)
            raise
        if isinstance(outcome, Refusal):
            self._back_out(grant)  # the limits remember the refusal for a moment: the next try looks elsewhere or waits
            return False
        grant.claim = outcome
        return True

    # ---- one try -----------------------------------------------------------------------------------------------

    def _try(self, wish: Wish, now: float) -> Grant | _Blocked:
        tiers = self._candidates(wish)
        if wish.bounds:
            refusal = self.limits.check(wish.bounds, wish.tokens, now)
            if refusal is not None:
                return _held(refusal)
        for number, tier in enumerate(tiers):
            free = [state for state in tier if self._obstruction(state, wish, now) is None]
            if free:
                state = free[0] if len(free) == 1 else self._pick(free, wish, number, now)
                grant = self._enter(state, wish, now)
                if grant is not None:
                    return grant
        return self._nobody(wish, tiers, now)

    def _obstruction(self, state: ChannelState, wish: Wish, now: float) -> Block | Refusal | None:
        """Return what keeps a call from this channel now."""
        if not state.admits(wish.model, now):
            return state.block(wish.model, now)
        bound = state.bound
        # Places that this process alone gives out are counted by the state itself.
        if bound.is_open if self._at_once is None else not bound.has_window:
            return None
        return self.limits.check((bound,), wish.tokens, now)

    def _pick(self, free: list[ChannelState], wish: Wish, tier: int, now: float) -> ChannelState:
        strategy = self.snapshot.rules.strategy(wish.model, wish.user_id, wish.group)
        turns = self._turns.get((wish.model, tier))
        if turns is None:
            turns = self._turns[wish.model, tier] = Turns()
        return pick(strategy, free, Choice(wish.model, now, turns, random.random, wish.affinity))

    def _enter(self, state: ChannelState, wish: Wish, now: float) -> Grant | None:
        key = state.usable_key(wish.model, now)
        if key is None:
            return None
        claim: Claim | Refusal | None = None
        if self._at_once is not None and (bounds := _bounds(wish, state)):
            claim = self._at_once.claim(bounds, wish.tokens, now)
            if isinstance(claim, Refusal):  # calls of the service that stood here before are still under way
                return None
        state.enter(wish.model, key)
        return Grant(state, key, wish, claim)

    def _blocked(self, wish: Wish, tiers: Tiers, now: float) -> _Blocked:
        """Say what a call would meet that finds others waiting."""
        refusal = self.limits.check(wish.bounds, wish.tokens, now) if wish.bounds else None
        return self._nobody(wish, tiers, now) if refusal is None else _held(refusal)

    def _nobody(self, wish: Wish, tiers: Tiers, now: float) -> _Blocked:
        still = standstill([self._obstruction(state, wish, now) for tier in tiers for state in tier])
        if still.broken:
            wait_s = min(max(1.0, still.wait_s or 0.0), _LONGEST_TOLD_S)
            error = NoChannelAvailable(model=wish.model, retry_after_s=wait_s)
            return _Blocked(error, may_wait=False)
        error = RateLimited(limit="channel", retry_after_s=still.wait_s or 1.0)
        sure_s = 0.0 if still.full else still.wait_s or 0.0
        return _Blocked(error, may_wait=True, wait_s=still.wait_s, sure_s=sure_s)

    def _candidates(self, wish: Wish) -> Tiers:
        snapshot = self.snapshot
        if wish.pinned is not None or wish.excluded or snapshot.denies_users:
            tiers = candidates(snapshot, self.states, wish)
        else:
            place = (wish.model, wish.scene, wish.group, wish.region)
            tiers = self._tiers.get(place) or self._remembered(place, wish)
        if tiers:
            return tiers
        if wish.model not in snapshot.tiers:
            raise ModelNotFound(model=wish.model)
        if wish.excluded:
            raise NoChannelAvailable(model=wish.model, retry_after_s=1.0)
        raise self._nowhere(wish)

    def _nowhere(self, wish: Wish) -> RelayError:
        """Say why nobody may serve a model that some carry."""
        channels = [channel for tier in self.snapshot.tiers[wish.model] for channel in tier]
        if wish.pinned is None and not any(channel.serves(wish.scene) for channel in channels):
            return SceneNotServed(model=wish.model, scene=wish.scene)
        return ModelNotFound(model=wish.model)

    def _remembered(self, place: tuple[str, Scene, str, str | None], wish: Wish) -> Tiers:
        tiers = candidates(self.snapshot, self.states, wish)
        if tiers:  # names that nobody carries are without number
            if len(self._tiers) >= _MOST_REMEMBERED:
                self._tiers.clear()
            self._tiers[place] = tiers
        return tiers

    # ---- waiting -----------------------------------------------------------------------------------------------

    async def _wait(self, wish: Wish, wait_s: float, blocked: _Blocked) -> Grant:
        if not blocked.may_wait or wait_s <= 0 or blocked.sure_s > wait_s:
            raise blocked.error
        seat = wish.seat
        if self._waiting >= self._max_waiting:
            raise RateLimited(limit="gateway.max_waiting", retry_after_s=1.0)
        waiter = Waiter(wish, clock.monotonic() + wait_s, asyncio.get_running_loop().create_future())
        self._rooms.setdefault(seat, Room()).add(waiter)
        self._waiting += 1
        self._serve(seat)
        try:
            async with asyncio.timeout(wait_s):
                return await waiter.granted
        except TimeoutError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                return waiter.granted.result()  # granted in the very moment the time was up
            raise blocked.error from None
        except asyncio.CancelledError:
            self._hand_back(waiter)
            raise
        finally:
            self._waiting -= 1
            self._clear(seat, waiter)

    def _hand_back(self, waiter: Waiter) -> None:
        """Leave a channel that was granted in the very moment its waiter was cancelled."""
        if waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.exception() is None:
            self._back_out(waiter.granted.result())

    def _clear(self, seat: Seat, waiter: Waiter) -> None:
        room = self._rooms.get(seat)
        if room is not None:
            room.drop(waiter)
            self._close_if_empty(seat, room)

    def _close_if_empty(self, seat: Seat, room: Room) -> None:
        if not room:
            room.stop_timer()
            self._rooms.pop(seat, None)

    def release(self, grant: Grant, ending: Ending, tokens: int | None = None, *, is_taken_back: bool = False) -> None:
        """Leave a channel and let the next one in. ``tokens``: what the call really used, where that is known.

        ``is_taken_back``: another try follows, or there was none; the call counts for no limit, for it counts once.
        """
        claim = grant.claim
        if claim is not None:
            if tokens is not None and not is_taken_back:
                self.limits.correct(claim, tokens)
            self.limits.release(claim, refused=is_taken_back)
        wish = grant.wish
        grant.state.leave(wish.model, grant.key, ending, clock.monotonic())
        if self._rooms:
            models = grant.state.channel.models
            for seat, room in list(self._rooms.items()):
                if seat[0] in models or wish.caller in room:
                    self._serve(seat)

    def _back_out(self, grant: Grant) -> None:
        """Leave a channel that was not called after all."""
        self.release(grant, UNTOLD, is_taken_back=True)

    def _serve(self, seat: Seat) -> None:
        """Grant channels to those who wait, one caller after the other, until nobody's wish can be met."""
        room = self._rooms.get(seat)
        if room is None:
            return
        now = clock.monotonic()
        again, soonest = True, None
        while again:
            again, soonest = False, None
            for waiter in room.first_of_each():
                outcome = self._granted(waiter, now)
                if outcome is True:
                    room.served(waiter)
                    again = True
                elif outcome is not None:
                    soonest = outcome if soonest is None else min(soonest, outcome)
        room.stop_timer()
        if room and soonest is not None:
            room.timer = asyncio.get_running_loop().call_later(max(soonest, _SOON_S), self._serve, seat)
        self._close_if_empty(seat, room)

    def _granted(self, waiter: Waiter, now: float) -> Literal[True] | float | None:
        """Return True when this one waits no more, else when time alone may help it, seconds."""
        if waiter.granted.done():  # timed out or cancelled, about to leave by itself
            return True
        try:
            outcome = self._try(waiter.wish, now)
        except RelayError as error:
            waiter.granted.set_exception(error)
            return True
        if isinstance(outcome, Grant):
            waiter.granted.set_result(outcome)
            return True
        if not outcome.may_wait or now + outcome.sure_s > waiter.due:
            waiter.granted.set_exception(outcome.error)
            return True
        return outcome.wait_s


def _bounds(wish: Wish, state: ChannelState) -> tuple[Bound, ...]:
    return wish.bounds if state.bound.is_open else (*wish.bounds, state.bound)


_UNITS = {"rpm": "calls a minute", "tpm": "tokens a minute", "concurrent": "calls at once"}


def _held(refusal: Refusal) -> _Blocked:
    """Say which limit holds the call. Only a place comes free by others' doing, or a model's minute by waiting."""
    whose = refusal.bound.partition(":")[0]
    retry_after_s = None if refusal.never else refusal.retry_after_s
    error = RateLimited(limit=f"{refusal.limit} {_UNITS[refusal.what]}, {whose}", retry_after_s=retry_after_s)
    if refusal.never:
        return _Blocked(error, may_wait=False)
    if refusal.what == "concurrent":  # another process may give a place back, and nobody tells us
        return _Blocked(error, may_wait=True, wait_s=retry_after_s)
    may_wait = whose == "model" and retry_after_s is not None
    return _Blocked(error, may_wait=may_wait, wait_s=retry_after_s, sure_s=retry_after_s or 0.0)


def _same_service(one: Channel, other: Channel) -> bool:
    return (one.root, one.provider) == (other.root, other.provider)
