"""What a cache promises: a value for a while, and counters that are exact among those who share it.

A cache may be away, and nobody fails for it: then nothing is found and nothing is kept, counters count this process
alone, and the outage is logged once.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Cache(Protocol):
    """Short-lived values by key."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, None when it is absent or past its time."""
        ...

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of ``keys``, None where there is none; one question, however many keys."""
        ...

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds at most."""
        ...

    async def put_many(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """Keep every value for ``ttl_s`` seconds at most; all are sent at once."""
        ...

    async def delete(self, key: str) -> None:
        """Forget ``key``; nothing happens when it is absent."""
        ...

    async def add(self, key: str, amount: int, *, ttl_s: float) -> int:
        """Add to a counter and return it; the first call starts it at 0 with ``ttl_s`` to live."""
        ...

    async def check(self) -> float:
        """Return the seconds that one question takes; raises when the cache is away."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...
