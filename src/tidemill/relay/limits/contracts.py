"""The words of limits: what a call is held to, what a granted one holds, why one is refused, what is left."""

from typing import Literal

from msgspec import Struct

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
# When a call will end cannot be known; whoever was refused a slot may ask again after so long.
SLOT_RETRY_US = SECOND_US

What = Literal["rpm", "tpm", "concurrent"]


class Bound(Struct, frozen=True):
    """What one name is held to; None: no limit of that kind, 0: nothing at all.

    ``name`` says whose limit it is: ``key:<id>``, ``user:<id>``, ``model:<public name>``, ``channel:<id>``. The bounds
    of one call have different names. ``rpm`` calls and ``tpm`` tokens in any 60 s, ``concurrent`` calls at once. The
    numbers count as they are given with each call: a change applies at once to what was counted before.
    """

    name: str
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it bounds nothing; such a bound is not counted for either."""
        return self.rpm is None and self.tpm is None and self.concurrent is None

    @property
    def has_window(self) -> bool:
        """Whether it bounds the minute; only then calls of the last minute are kept."""
        return self.rpm is not None or self.tpm is not None

    def admits_alone(self, tokens: int) -> bool:
        """Whether a call of ``tokens`` is let in when nothing else is counted."""
        return self.rpm != 0 and self.concurrent != 0 and (self.tpm is None or tokens <= self.tpm)


class Refusal(Struct, frozen=True):
    """Why a call was not let in. Nothing was counted anywhere.

    ``bound`` is the name of the bound that takes longest to have room, ``what`` its limit of size ``limit``. A call
    that comes back after ``retry_after_s``, while nobody else came, is let in; before that it is refused again (for
    ``concurrent`` that is a guess: a slot is free when a call ends). ``never``: the call alone is larger than the
    limit, so that coming back is of no use; ``retry_after_s`` is 0 then.
    """

    bound: str
    what: What
    limit: int
    retry_after_s: float
    never: bool = False

    @staticmethod
    def longer(other: "Refusal | None", bound: str, what: What, limit: int, room_us: int | None) -> "Refusal":
        """Return ``other``, or the refusal by this limit where it takes longer to have room; None: it never has."""
        if other is not None and (other.never or (room_us is not None and room_us <= other.retry_after_s * SECOND_US)):
            return other
        if room_us is None:
            return Refusal(bound, what, limit, 0.0, never=True)
        return Refusal(bound, what, limit, room_us / SECOND_US)


class Claim:
    """A call let in: counted for every one of its bounds, until the minute is over and it is released.

    ``tokens`` is what it counts for, first an estimate, then what ``correct`` said; ``moment_us`` is when this
    process let it in, in microseconds of its clock.
    """

    __slots__ = ("bounds", "id", "moment_us", "tokens")

    def __init__(self, identifier: str, bounds: tuple[Bound, ...], tokens: int, moment_us: int) -> None:
        self.id = identifier
        self.bounds = bounds
        self.tokens = tokens
        self.moment_us = moment_us


class Standing(Struct, frozen=True):
    """What one bound has left now; None where there is no such limit.

    ``…_remaining`` is never below 0. ``…_reset_s``: seconds until the whole limit is free again if nobody comes.
    """

    bound: str
    rpm: int | None = None
    rpm_remaining: int | None = None
    rpm_reset_s: float | None = None
    tpm: int | None = None
    tpm_remaining: int | None = None
    tpm_reset_s: float | None = None
    concurrent: int | None = None
    in_flight: int = 0

    @classmethod
    def of(
        cls, bound: Bound, *, calls: int, tokens: int, in_flight: int, calls_reset_us: int, tokens_reset_us: int
    ) -> "Standing":
        """Hold what was counted against the limits; the resets count from now."""
        rpm, tpm = bound.rpm, bound.tpm
        return cls(
            bound=bound.name,
            rpm=rpm,
            rpm_remaining=None if rpm is None else max(0, rpm - calls),
            rpm_reset_s=None if rpm is None else max(0, calls_reset_us) / SECOND_US,
            tpm=tpm,
            tpm_remaining=None if tpm is None else max(0, tpm - tokens),
            tpm_reset_s=None if tpm is None else max(0, tokens_reset_us) / SECOND_US,
            concurrent=bound.concurrent,
            in_flight=in_flight,
        )
