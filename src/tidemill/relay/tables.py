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
    Column("groups", JsonText, nullable=False, server_default="[]"),
    Column("region", String(50)),
    Column("tpm", Integer),
    Column("denied", JsonText, nullable=False, server_default="{}"),
    Column("prices", JsonText, nullable=False, server_default="{}"),
    Column("header_overrides", JsonText, nullable=False, server_default="{}"),
    Column("param_overrides", JsonText, nullable=False, server_default="{}"),
    Column("probe_model", String(500)),
    # Amounts in the provider's own currency, as decimal text: what is left, and under which an alert is raised.
    Column("balance", String(40)),
    Column("balance_currency", String(10)),
    Column("balance_floor", String(40)),
    Column("balance_at", UtcTime),
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
    Column("reason", String(500)),  # why it is disabled
    Column("changed_at", UtcTime),
    Index("ix_channel_keys_channel_id", "channel_id"),
)

# One row says what holds for everybody (kind global, name ''), a group, a user (name: the id) or a model.
route_rules = Table(
    "route_rules",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("name", String(500), nullable=False),
    Column("strategy", String(30)),
    Column("region", String(50)),
    Column("rpm", Integer),
    Column("tpm", Integer),
    Column("max_concurrent", Integer),
    Column("continues", Boolean),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("kind", "name", name="uq_route_rules_kind_name"),
)

# One row a probe, kept for 30 days.
channel_health = Table(
    "channel_health",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("channel_id", Integer, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("latency_ms", Float),
    Column("error_rate", Float),  # of the live calls since the probe before; NULL: there were none
    Column("reason", String(500)),
    Index("ix_channel_health_channel_id_at", "channel_id", "at"),
    Index("ix_channel_health_at", "at"),
)

# What befell a channel: its breakers, its keys, its balance; kept for 30 days.
channel_events = Table(
    "channel_events",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("channel_id", Integer, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(30), nullable=False),
    Column("model", String(500)),
    Column("key_last4", String(4)),
    Column("reason", String(500)),
    Index("ix_channel_events_channel_id_at", "channel_id", "at"),
    Index("ix_channel_events_at", "at"),
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
