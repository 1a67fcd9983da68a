"""The cache of processes that share a Redis or Valkey."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tidemill.kernel import clock
from tidemill.platform.cache.memory import MemoryCache
from tidemill.platform.redis import Away, Client, Refused, Word
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

# What is slower than this is not worth asking.
TIMEOUT_S = 1.0
# After a failure nothing is asked for so long: a server that does not answer must not delay every request.
REST_S = 1.0

_ADD = """
local total = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return total
"""


class RedisCache:
    """Values in Redis under ``<prefix>:cache:``; while it is away nothing is found."""

    def __init__(self, url: str, *, prefix: str = "tidemill") -> None:
        """Open nothing yet. Raises BadInput for an address that is none."""
        self._client = Client(url, setting="cache.url", timeout_s=TIMEOUT_S)
        self._prefix = f"{prefix}:cache:"
        self._counters = MemoryCache()
        self._away_since: float | None = None
        self._asks_again_at = 0.0

    async def get(self, key: str) -> bytes | None:
        """Return the value, None when it is absent, past its time or out of reach."""
        return await self._ask("GET", self._prefix + key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of ``keys``, None where there is none or the server is out of reach."""
        if not keys:
            return []
        found: list[bytes | None] | None = await self._ask("MGET", *(self._prefix + key for key in keys))
        return [None] * len(keys) if found is None else found

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds at most."""
        await self._ask("SET", self._prefix + key, value, "PX", _ms(ttl_s))

    async def put_many(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """Keep every value for ``ttl_s`` seconds at most."""
        if values:
            commands = [("SET", self._prefix + key, value, "PX", _ms(ttl_s)) for key, value in values.items()]
            await self._reach(lambda: self._client.ask_all(commands))

    async def delete(self, key: str) -> None:
        """Forget ``key``; one that is out of reach lives on until its time."""
        await self._ask("DEL", self._prefix + key)

    async def add(self, key: str, amount: int, *, ttl_s: float) -> int:
        """Add to a counter and return it; while the server is away this process counts for itself."""
        total = await self._ask("EVAL", _ADD, 1, self._prefix + key, amount, _ms(ttl_s))
        return int(total) if total is not None else await self._counters.add(key, amount, ttl_s=ttl_s)

    async def check(self) -> float:
        """Return the seconds that one question takes. Raises Away and Refused."""
        started = clock.monotonic()
        await self._client.ask("PING")
        return clock.monotonic() - started

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def _ask(self, *words: Word) -> Any:
        """Return the answer, None while the server is away or refuses."""
        return await self._reach(lambda: self._client.ask(*words))

    async def _reach(self, question: Callable[[], Awaitable[Any]]) -> Any:
        asked_at = clock.monotonic()
        if asked_at < self._asks_again_at:
            return None
        try:
            answer = await question()
        except (Away, Refused) as error:
            self._asks_again_at = clock.monotonic() + REST_S
            if self._away_since is None:
                self._away_since = asked_at
                log.warning("cache.away", error=str(error))
            return None
        if self._away_since is not None:
            log.info("cache.up", after_s=round(clock.monotonic() - self._away_since, 1))
            self._away_since = None
        return answer


def _ms(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))
