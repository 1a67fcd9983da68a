"""Limits of one process, exact and without a wait: first every bound is asked, then the call is counted in all.

Times come in as seconds of one clock and are kept as whole microseconds, so that a call that comes back after the
seconds it was told is let in, and a microsecond sooner is not.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence

from tidemill.kernel import clock
from tidemill.relay.limits.contracts import MINUTE_US, SECOND_US, SLOT_RETRY_US, Bound, Claim, Refusal, Standing

# One call in so many looks whether the name that waited longest for a look can be forgotten; a new name looks at two.
_LOOK_EVERY = 16


class _Tally:
    """What is counted for one name.

    Invariants: ``entries`` are in the order of their moments, all later than ``cutoff_us``; ``calls`` and ``tokens``
    are the sums over those of them that were not taken back.
    """

    __slots__ = ("calls", "cutoff_us", "entries", "in_flight", "tokens")

    def __init__(self) -> None:
        self.entries: deque[_Counted] = deque()
        self.cutoff_us = 0
        self.calls = 0
        self.tokens = 0
        self.in_flight = 0

    def slide(self, cutoff_us: int) -> None:
        """Drop what was let in at ``cutoff_us`` or before."""
        entries = self.entries
        while entries and entries[0].moment_us <= cutoff_us:
            gone = entries.popleft()
            if not gone.taken_back:
                self.calls -= 1
                self.tokens -= gone.tokens
        self.cutoff_us = cutoff_us

    def take_back(self, claim: "_Counted") -> None:
        """Uncount a claim that is marked as taken back."""
        if claim.moment_us <= self.cutoff_us:
            return
        self.calls -= 1
        self.tokens -= claim.tokens
        entries = self.entries
        while entries and entries[-1].taken_back:
            entries.pop()
        if len(entries) > 2 * self.calls + 64:  # so that calls without end that are taken back hold no memory
            self.entries = deque(entry for entry in entries if not entry.taken_back)

    def calls_fit_us(self, limit: int) -> int:
        """Return the moment whose leaving the window makes room for one call more; there is none now."""
        excess = self.calls - limit + 1
        for entry in self.entries:
            excess -= not entry.taken_back
            if excess <= 0:
                return entry.moment_us
        return self.cutoff_us

    def tokens_fit_us(self, limit: int, tokens: int) -> int:
        """Return the moment whose leaving the window makes room for ``tokens``; there is none now."""
        excess = self.tokens + tokens - limit
        for entry in self.entries:
            if not entry.taken_back:
                excess -= entry.tokens
            if excess <= 0:
                return entry.moment_us
        return self.cutoff_us


class _Counted(Claim):
    """A claim that knows where it is counted."""

    __slots__ = ("held", "seats", "taken_back", "windows")

    def __init__(self, identifier: str, bounds: tuple[Bound, ...], tokens: int, moment_us: int) -> None:
        super().__init__(identifier, bounds, tokens, moment_us)
        self.held = True
        self.taken_back = False
        self.seats: list[_Tally] = []
        self.windows: list[_Tally] = []


def _mine(claim: Claim) -> _Counted:
    if not isinstance(claim, _Counted):
        raise TypeError("this claim was granted by other limits")
    return claim


class MemoryLimits:
    """Counts for every name that is bound; a refused call leaves no trace.

    The clock is the caller's (``now``, seconds); a time before one that was given already counts as that one.
    """

    def __init__(self) -> None:
        self._tallies: OrderedDict[str, _Tally] = OrderedDict()
        self._now_us = 0
        self._claims = 0

    def __len__(self) -> int:
        """How many names are known."""
        return len(self._tallies)

    @property
    def kept(self) -> int:
        """How many entries of the last minute are held in memory, over all names."""
        return sum(len(tally.entries) for tally in self._tallies.values())

    async def start(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: there is nobody to leave."""

    async def reserve(self, bounds: tuple[Bound, ...], tokens: int) -> Claim | Refusal:
        """As ``claim``, now."""
        return self.claim(bounds, tokens, clock.monotonic())

    async def look(self, bounds: Sequence[Bound]) -> list[Standing]:
        """As ``standing``, now."""
        return self.standing(bounds, clock.monotonic())

    def check(self, bounds: Sequence[Bound], tokens: int, now: float) -> Refusal | None:
        """Return why a call of ``tokens`` would be refused now, None when it would be let in; counts nothing."""
        return self._asked(bounds, tokens, self._moment(now))

    def claim(self, bounds: tuple[Bound, ...], tokens: int, now: float, identifier: str = "") -> Claim | Refusal:
        """Let a call in and count it for all of ``bounds``, or say why not and count it for none.

        ``tokens`` (0 or more) is what the call will use as far as one can tell. The call must be ``release``d.
        """
        refusal = self._asked(bounds, tokens, self._moment(now))
        return self.count(bounds, tokens, now, identifier) if refusal is None else refusal

    def count(self, bounds: tuple[Bound, ...], tokens: int, now: float, identifier: str = "") -> Claim:
        """Count a call that was let in, whatever is left; it must be ``release``d."""
        now_us = self._moment(now)
        self._claims += 1
        if not self._claims % _LOOK_EVERY:
            self._forget()
        claim = _Counted(identifier or str(self._claims), bounds, tokens, now_us)
        for bound in bounds:
            has_window = bound.rpm is not None or bound.tpm is not None
            if not has_window and bound.concurrent is None:
                continue
            tally = self._tallies.get(bound.name)
            if tally is None:
                tally = self._new(bound.name, now_us)
            tally.in_flight += 1
            claim.seats.append(tally)
            if has_window:
                tally.calls += 1
                tally.tokens += tokens
                tally.entries.append(claim)
                claim.windows.append(tally)
        return claim

    def correct(self, claim: Claim, tokens: int) -> None:
        """Let ``tokens`` (0 or more), what the call really used, stand where the estimate stood, at its moment."""
        counted = _mine(claim)
        if counted.taken_back:
            return
        more, counted.tokens = tokens - counted.tokens, tokens
        for tally in counted.windows:
            if counted.moment_us > tally.cutoff_us:
                tally.tokens += more

    def release(self, claim: Claim, *, refused: bool = False) -> bool:
        """End a call; returns False, and does nothing, the second time.

        ``refused``: it was not made after all, so it counts for nothing.
        """
        counted = _mine(claim)
        if not counted.held:
            return False
        counted.held = False
        for tally in counted.seats:
            tally.in_flight -= 1
        if refused:
            counted.taken_back = True
            for tally in counted.windows:
                tally.take_back(counted)
        return True

    def standing(self, bounds: Sequence[Bound], now: float) -> list[Standing]:
        """Return what is left of each of ``bounds``, in their order."""
        now_us = self._moment(now)
        return [self._standing_of(bound, now_us) for bound in bounds]

    def _moment(self, now: float) -> int:
        now_us = round(now * SECOND_US)
        self._now_us = max(self._now_us, now_us)
        return self._now_us

    def _asked(self, bounds: Sequence[Bound], tokens: int, now_us: int) -> Refusal | None:
        worst: Refusal | None = None
        for bound in bounds:
            tally = self._tallies.get(bound.name)
            if tally is None:
                if bound.admits_alone(tokens):
                    continue
                tally = _Tally()
            tally.slide(now_us - MINUTE_US)
            if bound.rpm is not None and tally.calls >= bound.rpm:
                room_us = tally.calls_fit_us(bound.rpm) + MINUTE_US - now_us if bound.rpm else None
                worst = Refusal.longer(worst, bound.name, "rpm", bound.rpm, room_us)
            if bound.tpm is not None and tally.tokens + tokens > bound.tpm:
                room_us = tally.tokens_fit_us(bound.tpm, tokens) + MINUTE_US - now_us if tokens <= bound.tpm else None
                worst = Refusal.longer(worst, bound.name, "tpm", bound.tpm, room_us)
            if bound.concurrent is not None and tally.in_flight >= bound.concurrent:
                room_us = SLOT_RETRY_US if bound.concurrent else None
                worst = Refusal.longer(worst, bound.name, "concurrent", bound.concurrent, room_us)
        return worst

    def _standing_of(self, bound: Bound, now_us: int) -> Standing:
        tally = self._tallies.get(bound.name) or _Tally()
        tally.slide(now_us - MINUTE_US)
        calls_us = tokens_us = now_us - MINUTE_US
        for entry in reversed(tally.entries):
            if entry.taken_back:
                continue
            calls_us = max(calls_us, entry.moment_us)
            if entry.tokens:
                tokens_us = entry.moment_us
                break
        return Standing.of(
            bound,
            calls=tally.calls,
            tokens=tally.tokens,
            in_flight=tally.in_flight,
            calls_reset_us=calls_us + MINUTE_US - now_us,
            tokens_reset_us=tokens_us + MINUTE_US - now_us,
        )

    def _new(self, name: str, now_us: int) -> _Tally:
        self._forget()
        self._forget()
        tally = self._tallies[name] = _Tally()
        tally.cutoff_us = now_us - MINUTE_US
        return tally

    def _forget(self) -> None:
        """Look at the name that waited longest for a look: forget it if it is idle, else send it to the end."""
        name = next(iter(self._tallies), None)
        if name is None:
            return
        tally = self._tallies[name]
        tally.slide(self._now_us - MINUTE_US)
        if tally.in_flight or tally.entries:
            self._tallies.move_to_end(name)
        else:
            del self._tallies[name]
