"""Which engine a cache URL asks for."""

from tidemill.kernel.errors import BadInput
from tidemill.platform.cache.memory import MemoryCache
from tidemill.platform.cache.port import Cache


def open_cache(url: str) -> Cache:
    """Open the cache that ``url`` names; a connection is made at first use.

    Raises BadInput that names the setting for any other scheme than memory, redis and rediss.
    """
    if url.startswith("memory://"):
        return MemoryCache()
    if url.startswith(("redis://", "rediss://")):
        from tidemill.platform.cache.redis import RedisCache  # noqa: PLC0415 - only when asked for

        return RedisCache(url)
    raise BadInput.of("cache.url", "must begin with memory://, redis:// or rediss://")
