"""How this program speaks with Redis or Valkey: what the cache, the event bus and the job transport share."""

from tidemill.platform.redis.client import Away, Client, Line, Refused, Word
from tidemill.platform.redis.link import Link

__all__ = ["Away", "Client", "Line", "Link", "Refused", "Word"]
