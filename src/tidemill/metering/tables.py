"""Usage in the database: the events, their sums by the hour, and how far each journal file has been taken in."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, false

from tidemill.platform.db import JsonText, UtcTime, metadata

usage_events = Table(
    "usage_events",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("user_id", Integer, nullable=True),  # NULL once the account was erased
    Column("key_id", String(36), nullable=True),
    Column("surface", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("channel_id", BigInteger, nullable=True),
    Column("channel", String(200), nullable=True),
    Column("provider", String(50), nullable=True),
    Column("model", String(500), nullable=False),
    Column("upstream_model", String(500), nullable=True),
    Column("stream", Boolean, nullable=False),
    Column("request_tokens", BigInteger, nullable=False),
    Column("response_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    Column("fresh_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("audio_in_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("audio_out_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("usage_raw", Text, nullable=True),
    Column("cost_nano", BigInteger, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("first_token_ms", Float, nullable=True),
    Column("status", String(20), nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("error_code", String(64), nullable=True),
    Column("retries", Integer, nullable=False),
    Column("metadata", JsonText, nullable=True),
    Column("cached", Boolean, nullable=False, server_default=false()),  # answered from the response cache
    Index("ix_usage_events_user_id_created_at", "user_id", "created_at"),
    Index("ix_usage_events_channel_id_created_at", "channel_id", "created_at"),
    Index("ix_usage_events_created_at", "created_at"),
    Index("ix_usage_events_request_id", "request_id"),
)

# user_id 0: accounts that were erased. key_id '': no key. channel_id 0: no channel was reached.
usage_hourly = Table(
    "usage_hourly",
    metadata,
    Column("hour", UtcTime, primary_key=True),
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    Column("key_id", String(36), primary_key=True),
    Column("model", String(500), primary_key=True),
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("surface", String(32), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("request_tokens", BigInteger, nullable=False),
    Column("response_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("latency_ms_sum", Float, nullable=False),
    Column("latency_ms_max", Float, nullable=False),
    Index("ix_usage_hourly_user_id_hour", "user_id", "hour"),
)

usage_journals = Table(
    "usage_journals",
    metadata,
    Column("file", String(64), primary_key=True),
    Column("taken_bytes", BigInteger, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
