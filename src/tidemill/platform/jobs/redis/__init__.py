"""Tickets by Redis or Valkey: a stream for each queue, read by one group of consumers."""

from tidemill.platform.jobs.redis.transport import RedisTransport

__all__ = ["RedisTransport"]
