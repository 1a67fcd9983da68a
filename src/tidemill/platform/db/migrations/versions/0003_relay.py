"""Channels, model configurations and usage.

``model_configs`` keeps the fifteen columns of the earlier system under their names and in their order; its
``api_key`` holds ciphertext from now on (so it is wider), and ``channel_id`` says which channel serves it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_BIG_COUNTS = (
    "request_tokens",
    "response_tokens",
    "total_tokens",
    "fresh_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "audio_in_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_out_tokens",
)


def upgrade() -> None:
    _channels()
    _model_configs()
    _usage_events()
    _usage_hourly()
    _usage_journals()


def _channels() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("base_url", sa.String(2048), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("max_concurrent", sa.Integer(), nullable=True),
        sa.Column("rpm", sa.Integer(), nullable=True),
        sa.Column("timeout_s", sa.Float(), server_default="600", nullable=False),
        sa.Column("defaults", sa.Text(), nullable=False),
        sa.Column("forward_trace", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("status", sa.String(20), server_default="enabled", nullable=False),
        sa.Column("status_reason", sa.String(500), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("config_id", sa.Integer(), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_channels"),
        sa.UniqueConstraint("name", name="uq_channels_name"),
        sa.CheckConstraint("weight >= 0", name="ck_channels_weight"),
    )
    op.create_index("ix_channels_config_id", "channels", ["config_id"])
    op.create_table(
        "channel_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("status", sa.String(20), server_default="active", nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_channel_keys"),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name="fk_channel_keys_channel_id_channels", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_channel_keys_channel_id", "channel_keys", ["channel_id"])


def _model_configs() -> None:
    op.create_table(
        "model_configs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("api_url", sa.String(255), nullable=False),
        sa.Column("api_key", sa.Text(), nullable=True),
        sa.Column("model_path", sa.String(500), nullable=False),
        sa.Column("max_concurrent", sa.Integer(), server_default="16", nullable=True),
        sa.Column("temperature", sa.Float(), server_default="1.0", nullable=True),
        sa.Column("top_p", sa.Float(), server_default="1.0", nullable=True),
        sa.Column("max_tokens", sa.Integer(), server_default="2048", nullable=True),
        sa.Column("is_vllm", sa.Boolean(), server_default=sa.true(), nullable=True),
        sa.Column("timeout", sa.Integer(), server_default="600", nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=True),
        sa.Column("created_at", _MOMENT, server_default=sa.func.current_timestamp(), nullable=True),
        sa.Column("updated_at", _MOMENT, server_default=sa.func.current_timestamp(), nullable=True),
        sa.Column("channel_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_model_configs"),
        sa.UniqueConstraint("name", name="uq_model_configs_name"),
    )


def _usage_events() -> None:
    op.create_table(
        "usage_events",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("key_id", sa.String(36), nullable=True),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.String(200), nullable=True),
        sa.Column("provider", sa.String(50), nullable=True),
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("upstream_model", sa.String(500), nullable=True),
        sa.Column("stream", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _BIG_COUNTS),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("usage_raw", sa.Text(), nullable=True),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("first_token_ms", sa.Float(), nullable=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(64), nullable=True),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_usage_events"),
    )
    op.create_index("ix_usage_events_user_id_created_at", "usage_events", ["user_id", "created_at"])
    op.create_index("ix_usage_events_created_at", "usage_events", ["created_at"])


def _usage_hourly() -> None:
    op.create_table(
        "usage_hourly",
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.String(36), nullable=False),
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("request_tokens", sa.BigInteger(), nullable=False),
        sa.Column("response_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms_sum", sa.Float(), nullable=False),
        sa.Column("latency_ms_max", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "user_id", "key_id", "model", "channel_id", "surface", name="pk_usage_hourly"),
    )
    op.create_index("ix_usage_hourly_user_id_hour", "usage_hourly", ["user_id", "hour"])


def _usage_journals() -> None:
    op.create_table(
        "usage_journals",
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("taken_bytes", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("file", name="pk_usage_journals"),
    )


def downgrade() -> None:
    for table in ("usage_journals", "usage_hourly", "usage_events", "model_configs", "channel_keys", "channels"):
        op.drop_table(table)
