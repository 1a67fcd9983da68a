"""The cache: what instances share for a short time and may lose."""

from tidemill.platform.cache.engines import open_cache
from tidemill.platform.cache.memory import MemoryCache
from tidemill.platform.cache.port import Cache

__all__ = ["Cache", "MemoryCache", "open_cache"]
