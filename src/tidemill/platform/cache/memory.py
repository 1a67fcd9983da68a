"""The cache of one process: bounded, least recently used first out."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from tidemill.kernel import clock

MAX_ENTRIES = 10_000


class MemoryCache:
    """Values in this process, bounded twice: past ``max_entries`` or ``max_bytes`` the least recently used one goes.

    ``max_bytes`` counts keys and values, not what Python adds; a value larger than all of it is not kept.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int | None = None) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    async def get(self, key: str) -> bytes | None:
        """Return the value, None when it is absent or past its time."""
        entry = self._live(key)
        return entry[1] if entry else None

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of ``keys``, None where there is none."""
        return [entry[1] if (entry := self._live(key)) else None for key in keys]

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds at most."""
        self._set(key, clock.monotonic() + ttl_s, value)

    async def put_many(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """Keep every value for ``ttl_s`` seconds at most."""
        expires = clock.monotonic() + ttl_s
        for key, value in values.items():
            self._set(key, expires, value)

    async def delete(self, key: str) -> None:
        """Forget ``key``."""
        self._drop(key)

    async def add(self, key: str, amount: int, *, ttl_s: float) -> int:
        """Add to a counter and return it."""
        entry = self._live(key)
        expires, total = (entry[0], int(entry[1])) if entry else (clock.monotonic() + ttl_s, 0)
        total += amount
        self._set(key, expires, str(total).encode())
        return total

    async def check(self) -> float:
        """Memory answers at once."""
        return 0.0

    async def close(self) -> None:
        """Nothing to disconnect from."""

    def _live(self, key: str) -> tuple[float, bytes] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= clock.monotonic():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(key) + len(entry[1])

    def _set(self, key: str, expires: float, value: bytes) -> None:
        self._drop(key)
        size = len(key) + len(value)
        if self._max_bytes is not None and size > self._max_bytes:
            return
        self._entries[key] = (expires, value)
        self._bytes += size
        while len(self._entries) > self._max_entries or (self._max_bytes is not None and self._bytes > self._max_bytes):
            oldest, (_, dropped) = self._entries.popitem(last=False)
            self._bytes -= len(oldest) + len(dropped)
