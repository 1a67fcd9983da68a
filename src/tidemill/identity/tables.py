"""The tables of migration 0001: users (the first seven columns are the earlier system's), sessions taken back, keys."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    false,
    func,
    true,
)

from tidemill.platform.db import JsonText, UtcTime, metadata

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("username", String(50), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("is_admin", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcTime, nullable=False, server_default=func.current_timestamp()),
    Column("updated_at", UtcTime, nullable=False, server_default=func.current_timestamp()),
    Column("username_key", String(200), nullable=False, unique=True),
    Column("email", String(254), unique=True),
    Column("group", String(50), nullable=False, server_default="default"),
    Column("token_epoch", Integer, nullable=False, server_default="0"),
    Column("password_is_initial", Boolean, nullable=False, server_default=false()),
    Column("last_login_at", UtcTime),
    sqlite_autoincrement=True,
)

revoked_sessions = Table(
    "revoked_sessions",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("revoked_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("type", String(20), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("key_hash", String(80), nullable=False, unique=True),
    Column("scopes", JsonText, nullable=False),
    Column("models", JsonText),
    Column("networks", JsonText),
    Column("budget_nano", BigInteger),
    Column("rpm", Integer),
    Column("tpm", Integer),
    Column("concurrency", Integer),
    Column("tags", JsonText, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    # A rotated key names the one it replaced; that one stays valid until its overlap_until.
    Column("rotated_from", String(36)),
    Column("overlap_until", UtcTime),
    Column("last_used_at", UtcTime),
    Column("last_used_address", String(64)),
    Column("use_count", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index("ix_api_keys_user_id_id", "user_id", "id"),
)
