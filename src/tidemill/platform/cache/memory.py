"""The cache of one process: bounded, least recently used first out."""

from collections import OrderedDict

from tidemill.kernel import clock

MAX_ENTRIES = 10_000


class MemoryCache:
    """Values in this process. ``max_entries`` bounds memory: past it the least recently used one goes."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def get(self, key: str) -> bytes | None:
        """Return the value, None when it is absent or past its time."""
        entry = self._live(key)
        return entry[1] if entry else None

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds at most."""
        self._set(key, clock.monotonic() + ttl_s, value)

    async def delete(self, key: str) -> None:
        """Forget ``key``."""
        self._entries.pop(key, None)

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
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def _set(self, key: str, expires: float, value: bytes) -> None:
        self._entries[key] = (expires, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
