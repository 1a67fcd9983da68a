"""Limits of many processes as one: every call is let in by one script on their Redis or Valkey, in one round trip.

The server's clock counts, so processes need not agree on the time. A call under way holds a lease that its process
renews; when a process is killed its calls are free again after the lease. Ends and corrections follow in the
background, in order.

All keys begin with ``{<prefix>:limits}``: a call is bound by its key, its user, its model and its channel, a script
may touch one slot of a cluster only, and no two of these names could be told beforehand to meet; so the limits as a
whole live on one node. A call bound four times costs it some 0.1 ms (``bench/measure_limits.py``).

While the server is away each process holds its callers to the limits by itself, from what it has counted of its own
all along; when it is back, calls under way are told to it with the next renewal.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import get_args

from msgspec import Struct, structs
from prometheus_client import Counter

from tidemill.kernel import clock
from tidemill.kernel.ids import short_id
from tidemill.platform.redis import Client, Link, Word
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger
from tidemill.platform.telemetry.metrics import registry
from tidemill.relay.limits.contracts import MINUTE_US, SECOND_US, Bound, Claim, Refusal, Standing, What
from tidemill.relay.limits.dispatch import Dispatch
from tidemill.relay.limits.memory import MemoryLimits
from tidemill.relay.limits.scripts import CHANGE, CLAIM, RENEW

log = get_logger(__name__)

LEASE_S = 30.0
# What is slower than this is judged by the process itself.
TIMEOUT_S = 1.0
START_S = 2.0
CLOSE_S = 1.0
# How long a refusal is passed on by ``check``, which does not ask: by then others may have left.
_REFUSED_S = 1.0
_NO_SLOT_S = 0.1
_MINUTE_S = 60.0
_NAMES_SEEN = 10_000
_IDS_A_RENEWAL = 500
_KINDS: tuple[What, ...] = get_args(What)
_HEAD = 5
_FIGURES = 4

alone = Counter(
    "tidemill_limits_shared_down",
    "Calls that were held to limits by this process alone, since the shared ones were out of reach.",
    registry=registry,
)


class _Seen(Struct, frozen=True):
    """What the server had counted for a name, and when by our clock."""

    at: float
    calls: int
    tokens: int
    in_flight: int
    reset_us: int


class _Told(Struct, frozen=True):
    """A refusal by the server, and until when by our clock it is passed on."""

    refusal: Refusal
    tokens: int
    at: float
    until: float


class SharedLimits:
    """The limits of this process and of all others that use the same server and prefix."""

    def __init__(
        self, url: str, *, prefix: str = "tidemill", lease_s: float = LEASE_S, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Open nothing yet. Raises BadInput for an address that is none."""
        self._link = Link(Client(url, setting="cache.url", timeout_s=timeout_s), "limits")
        self._dispatch = Dispatch(self._link)
        self._prefix = f"{{{prefix}:limits}}:"
        self._lease_s = lease_s
        self._memory = MemoryLimits()
        self._tasks = TaskOwner()
        self._process = short_id(16)
        self._asked = 0
        self._under_way: dict[str, Claim] = {}
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._told: dict[str, _Told] = {}
        self._alone_since: float | None = None
        self._is_started = False

    async def start(self) -> None:
        """Connect, waiting 2 s at most; a server that is not there is looked for in the background.

        The first call does so where nobody did. A second time does nothing.
        """
        if self._is_started:
            return
        self._is_started = True
        self._link.start()
        self._tasks.spawn("limits.dispatch", steadily("limits.dispatch", self._dispatch.round, 0.0))
        self._tasks.spawn("limits.renew", self._renew_steadily())
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._link.wait_up()

    async def close(self) -> None:
        """Send what is to be sent, for 1 s at most, and disconnect."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._ask((), "", 0)  # all that waits is sent before it
        await self._tasks.cancel()
        self._dispatch.give_up()
        await self._link.close()

    async def reserve(self, bounds: tuple[Bound, ...], tokens: int) -> Claim | Refusal:
        """Let a call in and count it for all of ``bounds``, or say why not and count it for none.

        As the memory's ``claim``, but for every process at once. One round trip; none when nothing is bound.
        """
        held = [bound for bound in bounds if not bound.is_open]
        if not held:
            return self._memory.count(bounds, tokens, clock.monotonic())
        await self.start()
        self._asked += 1
        identifier = f"{self._process}:{self._asked}"
        try:
            answer = await self._ask(held, identifier, tokens)
        except asyncio.CancelledError:
            self._change(held, identifier, "undo")
            raise
        now = clock.monotonic()
        outcome = (
            self._alone(bounds, tokens, now, identifier)
            if answer is None
            else self._decided(bounds, held, tokens, now, identifier, answer)
        )
        if isinstance(outcome, Claim):
            self._under_way[identifier] = outcome
        elif answer is None:
            self._change(held, identifier, "undo")  # it may have been counted before the server went away
        return outcome

    def check(self, bounds: Sequence[Bound], tokens: int, now: float) -> Refusal | None:
        """Return why a call of ``tokens`` would be refused as far as this process knows, which asks nobody.

        It knows its own calls, and for up to a second what the server refused. None does not mean that it is let in.
        """
        worst = self._memory.check(bounds, tokens, now)
        if not self._told:
            return worst
        for bound in bounds:
            told = self._told.get(bound.name)
            if told is None or now >= told.until or not _holds(told, bound, tokens):
                continue
            # Nobody tells when another process gives a place back; so it is asked again soon.
            till = told.until if told.refusal.what == "concurrent" else told.at + told.refusal.retry_after_s
            left_s = max(0.0, till - now)
            if worst is None or (not worst.never and left_s > worst.retry_after_s):
                worst = structs.replace(told.refusal, retry_after_s=left_s)
        return worst

    def correct(self, claim: Claim, tokens: int) -> None:
        """Let ``tokens``, what the call really used, stand where the estimate stood, at its moment; does not wait."""
        if tokens == claim.tokens:
            return
        self._memory.correct(claim, tokens)
        self._change([bound for bound in claim.bounds if bound.has_window], claim.id, "correct", tokens)

    def release(self, claim: Claim, *, refused: bool = False) -> bool:
        """End a call; returns False, and does nothing, the second time. Does not wait.

        ``refused``: it was not made after all, so it counts for nothing.
        """
        if not self._memory.release(claim, refused=refused):
            return False
        if self._under_way.pop(claim.id, None) is not None:
            if self._told:
                for bound in claim.bounds:
                    self._told.pop(bound.name, None)
            held = [bound for bound in claim.bounds if not bound.is_open]
            self._change(held, claim.id, "undo" if refused else "release")
        return True

    def standing(self, bounds: Sequence[Bound], now: float) -> list[Standing]:
        """Return what was left of each of ``bounds`` when the server last told of it; without asking."""
        return [self._last_seen(bound, now) for bound in bounds]

    async def look(self, bounds: Sequence[Bound]) -> list[Standing]:
        """Return what is left of each of ``bounds`` now, over all processes."""
        await self.start()
        held = [bound for bound in bounds if not bound.is_open]
        answer = await self._ask(held, "", 0) if held else None
        now = clock.monotonic()
        if answer is None:
            return self._memory.standing(bounds, now)
        self._keep(held, answer, now)
        return self.standing(bounds, now)

    async def _ask(self, held: Sequence[Bound], identifier: str, tokens: int) -> list[int] | None:
        if not self._link.is_up:
            return None
        limits: list[Word] = [
            -1 if limit is None else limit for bound in held for limit in (bound.rpm, bound.tpm, bound.concurrent)
        ]
        words = [_shift_us(), identifier, tokens, self._lease_us, *limits]
        return await self._dispatch.ask(CLAIM, self._keys(held), words)

    def _change(self, bounds: Sequence[Bound], identifier: str, what: str, tokens: int = 0) -> None:
        if bounds:
            self._dispatch.send(CHANGE, self._keys(bounds), [identifier, what, tokens])

    def _keys(self, bounds: Sequence[Bound]) -> list[str]:
        return [f"{self._prefix}{bound.name}:{part}" for bound in bounds for part in "wtl"]

    @property
    def _lease_us(self) -> int:
        return round(self._lease_s * SECOND_US)

    def _alone(self, bounds: tuple[Bound, ...], tokens: int, now: float, identifier: str) -> Claim | Refusal:
        alone.inc()
        if self._alone_since is None:
            self._alone_since = now
            log.warning("limits.alone", error=self._dispatch.error or self._link.error or "not connected yet")
        return self._memory.claim(bounds, tokens, now, identifier)

    def _decided(
        self,
        bounds: tuple[Bound, ...],
        held: Sequence[Bound],
        tokens: int,
        now: float,
        identifier: str,
        answer: Sequence[int],
    ) -> Claim | Refusal:
        if self._alone_since is not None:
            log.info("limits.shared", after_s=round(now - self._alone_since, 1))
            self._alone_since = None
        self._keep(held, answer, now)
        let_in, _, place, kind, wait_us = answer[:_HEAD]
        if let_in:
            return self._memory.count(bounds, tokens, now, identifier)
        bound, what = held[place - 1], _KINDS[kind - 1]
        limit = getattr(bound, what)
        refusal = Refusal(bound.name, what, limit, max(0, wait_us) / SECOND_US, never=wait_us < 0)
        if not refusal.never:
            fresh_s = _NO_SLOT_S if what == "concurrent" else min(_REFUSED_S, refusal.retry_after_s)
            if len(self._told) >= _NAMES_SEEN:
                self._told.clear()
            self._told[bound.name] = _Told(refusal, tokens, now, now + fresh_s)
        return refusal

    def _keep(self, held: Sequence[Bound], answer: Sequence[int], now: float) -> None:
        now_us = answer[1]
        for place, bound in enumerate(held):
            calls, tokens, in_flight, latest_us = answer[_HEAD + _FIGURES * place : _HEAD + _FIGURES * (place + 1)]
            self._seen[bound.name] = _Seen(now, calls, tokens, in_flight, latest_us + MINUTE_US - now_us)
            self._seen.move_to_end(bound.name)
        while len(self._seen) > _NAMES_SEEN:
            self._seen.popitem(last=False)

    def _last_seen(self, bound: Bound, now: float) -> Standing:
        seen = self._seen.get(bound.name)
        if seen is None or now >= seen.at + _MINUTE_S or not self._link.is_up:
            return self._memory.standing((bound,), now)[0]
        reset_us = seen.reset_us - round((now - seen.at) * SECOND_US)
        return Standing.of(
            bound,
            calls=seen.calls if reset_us > 0 else 0,
            tokens=seen.tokens if reset_us > 0 else 0,
            in_flight=seen.in_flight,
            calls_reset_us=reset_us,
            tokens_reset_us=reset_us if seen.tokens else 0,
        )

    async def _renew_steadily(self) -> None:
        await steadily("limits.renew", self._renew, self._lease_s / 3)

    async def _renew(self) -> None:
        """Prolong the lease of every call under way, name by name; so the server learns of those let in without it."""
        await self._link.wait_up()
        by_name: dict[str, list[str]] = {}
        for claim in self._under_way.values():
            for bound in claim.bounds:
                if not bound.is_open:
                    by_name.setdefault(bound.name, []).append(claim.id)
        for name, ids in by_name.items():
            for start in range(0, len(ids), _IDS_A_RENEWAL):
                words = [_shift_us(), self._lease_us, *ids[start : start + _IDS_A_RENEWAL]]
                self._dispatch.send(RENEW, [f"{self._prefix}{name}:l"], words)


def _shift_us() -> int:
    return round(clock.shift().total_seconds() * SECOND_US)


def _holds(told: _Told, bound: Bound, tokens: int) -> bool:
    """Whether a refusal says something of a call of ``tokens`` under what may be another limit by now."""
    refusal = told.refusal
    return getattr(bound, refusal.what) == refusal.limit and (refusal.what != "tpm" or tokens >= told.tokens)
