"""Which engine a cache URL asks for, and what all engines can do."""

from collections.abc import Sequence
from typing import Protocol

from tidemill.kernel.errors import BadInput
from tidemill.relay.limits.contracts import Bound, Claim, Refusal, Standing
from tidemill.relay.limits.memory import MemoryLimits


class Limits(Protocol):
    """Lets calls in; exact in one process or over many. ``now`` is ``kernel.clock.monotonic``'s, in seconds."""

    async def start(self) -> None:
        """Connect; returns within 2 s, whether anybody is there or not."""
        ...

    async def close(self) -> None:
        """Send what is to be sent, for 1 s at most, and disconnect."""
        ...

    async def reserve(self, bounds: tuple[Bound, ...], tokens: int) -> Claim | Refusal:
        """Let a call in and count it for all of ``bounds``, or say why not and count it for none."""
        ...

    def check(self, bounds: Sequence[Bound], tokens: int, now: float) -> Refusal | None:
        """Return why a call would be refused, as far as this process knows; counts nothing and asks nobody."""
        ...

    def correct(self, claim: Claim, tokens: int) -> None:
        """Let ``tokens``, what the call really used, stand where the estimate stood, at its moment."""
        ...

    def release(self, claim: Claim, *, refused: bool = False) -> bool:
        """End a call; returns False, and does nothing, the second time. ``refused``: it was not made after all."""
        ...

    def standing(self, bounds: Sequence[Bound], now: float) -> list[Standing]:
        """Return what is left of each of ``bounds``, as far as this process knows; asks nobody."""
        ...

    async def look(self, bounds: Sequence[Bound]) -> list[Standing]:
        """Return what is left of each of ``bounds`` now, over all processes."""
        ...


def open_limits(cache_url: str) -> Limits:
    """Open the limits that the cache's address asks for: of this process, or of all that share a Redis.

    Raises BadInput that names the setting for any other scheme than memory, redis and rediss.
    """
    if cache_url.startswith("memory://"):
        return MemoryLimits()
    if cache_url.startswith(("redis://", "rediss://")):
        from tidemill.relay.limits.shared import SharedLimits  # noqa: PLC0415 - only when asked for

        return SharedLimits(cache_url)
    raise BadInput.of("cache.url", "must begin with memory://, redis:// or rediss://")
