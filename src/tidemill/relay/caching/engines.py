"""Build the caches that the settings ask for; none of them, and nothing stands before a call."""

from collections.abc import Callable

from tidemill.platform.cache import Cache, MemoryCache
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.caching.answers import AnswerCache, HashOf
from tidemill.relay.caching.cached import Caching
from tidemill.relay.caching.vectors import VectorCache
from tidemill.relay.snapshot import Snapshot

# Bytes are the bound that counts; small vectors may be many.
_MAX_ENTRIES = 1_000_000


def open_caching(
    settings: GatewaySettings, cache: Cache | None, hash_of: HashOf, snapshot: Callable[[], Snapshot]
) -> Caching | None:
    """Return what ``settings`` ask for, None when that is nothing.

    ``cache`` is one that processes share; None: this process keeps its own, within ``gateway.cache_memory_bytes``.
    ``hash_of`` hashes under a key that the cache does not hold.
    """
    if settings.response_cache == "off" and not settings.embedding_cache:
        return None
    where = MemoryCache(_MAX_ENTRIES, settings.cache_memory_bytes) if cache is None else cache
    answers = AnswerCache(
        where,
        hash_of,
        shared=settings.response_cache_shared,
        ttl_s=settings.response_cache_ttl_s,
        max_bytes=settings.response_cache_max_bytes,
    )
    vectors = VectorCache(
        where,
        hash_of,
        upstream_of=lambda model: upstream_of(snapshot(), model),
        ttl_s=settings.embedding_cache_ttl_s,
    )
    return Caching(
        mode=settings.response_cache,
        answers=answers,
        vectors=vectors if settings.embedding_cache else None,
        carries=lambda model: model in snapshot().tiers,
        idle_s=settings.idle_timeout_s,
    )


def upstream_of(snapshot: Snapshot, model: str) -> str | None:
    """Return the one name by which every channel of ``model`` knows it; None when they differ, or there is none."""
    names = {channel.models[model] for tier in snapshot.tiers.get(model, ()) for channel in tier}
    return names.pop() if len(names) == 1 else None
