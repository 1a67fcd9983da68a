"""The audit log's table (migration 0001, which also makes it append-only by trigger)."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from tidemill.platform.db import JsonText, UtcTime, metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", Integer),
    Column("actor_name", String(100), nullable=False),
    Column("key_id", String(36)),
    Column("action", String(64), nullable=False),
    Column("object_type", String(32), nullable=False),
    Column("object_id", String(100), nullable=False),
    Column("result", String(16), nullable=False),
    Column("reason", String(64)),
    Column("count", Integer, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("address", String(64)),
    Column("user_agent", String(255)),
    Column("request_id", String(64)),
    Column("erased_at", UtcTime),
    Index("ix_audit_log_actor_id_id", "actor_id", "id"),
    Index("ix_audit_log_action_id", "action", "id"),
    Index("ix_audit_log_object_type_object_id_id", "object_type", "object_id", "id"),
    Index("ix_audit_log_at", "at"),
    sqlite_autoincrement=True,
)
