"""Which event bus an installation gets: it follows from where its cache and its database are."""

from tidemill.kernel.errors import BadInput
from tidemill.platform.events.memory import MemoryEvents
from tidemill.platform.events.port import EventBus

REDIS = ("redis://", "rediss://")
POSTGRES = ("postgresql://", "postgres://", "postgresql+asyncpg://")


def open_events(cache_url: str, database_url: str) -> EventBus:
    """Open the bus: Redis when the cache is there, else PostgreSQL when the database is, else this process alone.

    Raises BadInput that names the setting for a cache of no known kind.
    """
    if cache_url.startswith(REDIS):
        from tidemill.platform.events.redis import RedisEvents  # noqa: PLC0415 - only when asked for

        return RedisEvents(cache_url)
    if not cache_url.startswith("memory://"):
        raise BadInput.of("cache.url", "must begin with memory://, redis:// or rediss://")
    if database_url.startswith(POSTGRES):
        from tidemill.platform.events.postgres import PostgresEvents  # noqa: PLC0415 - only when asked for

        return PostgresEvents(database_url)
    return MemoryEvents()
