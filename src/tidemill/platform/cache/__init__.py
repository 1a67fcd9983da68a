"""The cache: what instances share for a short time and may lose."""

from tidemill.platform.cache.memory import MemoryCache
from tidemill.platform.cache.port import Cache

__all__ = ["Cache", "MemoryCache"]
