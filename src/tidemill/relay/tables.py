"""Channels with their keys, and the model configurations that stand before some of them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    true,
)

from tidemill.platform.db import JsonText, UtcTime, metadata

channels = Table(
    "channels",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False),
    Column("provider", String(50), nullable=False),
    Column("base_url", String(2048), nullable=False),
    Column("models", JsonText, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("max_concurrent", Integer),
    Column("rpm", Integer),
    Column("timeout_s", Float, nullable=False, server_default="600"),
    Column("defaults", JsonText, nullable=False),
    Column("forward_trace", Boolean, nullable=False, server_default=true()),
    Column("status", String(20), nullable=False, server_default="enabled"),
    Column("status_reason", String(500)),
    Column("tags", JsonText, nullable=False),
    Column("config_id", Integer),  # the model configuration that owns it, if any
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("name", name="uq_channels_name"),
    CheckConstraint("weight >= 0", name="weight"),
    Index("ix_channels_config_id", "config_id"),
)

channel_keys = Table(
    "channel_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("channel_id", Integer, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("last4", String(4), nullable=False),
    Column("status", String(20), nullable=False, server_default="active"),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_channel_keys_channel_id", "channel_id"),
)

model_configs = Table(
    "model_configs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("api_url", String(255), nullable=False),
    Column("api_key", Text),  # sealed; NULL where none was given
    Column("model_path", String(500), nullable=False),
    Column("max_concurrent", Integer, server_default="16"),
    Column("temperature", Float, server_default="1.0"),
    Column("top_p", Float, server_default="1.0"),
    Column("max_tokens", Integer, server_default="2048"),
    Column("is_vllm", Boolean, server_default=true()),
    Column("timeout", Integer, server_default="600"),
    Column("description", Text),
    Column("is_active", Boolean, server_default=true()),
    Column("created_at", UtcTime, server_default=func.current_timestamp()),
    Column("updated_at", UtcTime, server_default=func.current_timestamp()),
    Column("channel_id", Integer),  # the first of its channels
    UniqueConstraint("name", name="uq_model_configs_name"),
)
