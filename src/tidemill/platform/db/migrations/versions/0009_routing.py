"""What choosing a channel needs: more of each channel, rules that hold now, the channels' health and what befell them.

Revision ID: 0009
Revises: 0008
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _channels() -> list[sa.Column[Any]]:
    return [
        sa.Column("groups", JsonText, nullable=False, server_default="[]"),
        sa.Column("region", sa.String(50)),
        sa.Column("tpm", sa.Integer),
        sa.Column("denied", JsonText, nullable=False, server_default="{}"),
        sa.Column("prices", JsonText, nullable=False, server_default="{}"),
        sa.Column("header_overrides", JsonText, nullable=False, server_default="{}"),
        sa.Column("param_overrides", JsonText, nullable=False, server_default="{}"),
        sa.Column("probe_model", sa.String(500)),
        sa.Column("balance", sa.String(40)),
        sa.Column("balance_currency", sa.String(10)),
        sa.Column("balance_floor", sa.String(40)),
        sa.Column("balance_at", UtcTime),
    ]


def _keys() -> list[sa.Column[Any]]:
    return [sa.Column("reason", sa.String(500)), sa.Column("changed_at", UtcTime)]


def upgrade() -> None:
    for column in _channels():
        op.add_column("channels", column)
    for column in _keys():
        op.add_column("channel_keys", column)
    op.add_column("usage_events", sa.Column("cached", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_usage_events_channel_id_created_at", "usage_events", ["channel_id", "created_at"])
    op.create_table(
        "route_rules",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("strategy", sa.String(30)),
        sa.Column("region", sa.String(50)),
        sa.Column("rpm", sa.Integer),
        sa.Column("tpm", sa.Integer),
        sa.Column("max_concurrent", sa.Integer),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.UniqueConstraint("kind", "name", name="uq_route_rules_kind_name"),
    )
    op.create_table(
        "channel_health",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("channel_id", sa.Integer, sa.ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("latency_ms", sa.Float),
        sa.Column("error_rate", sa.Float),
        sa.Column("reason", sa.String(500)),
    )
    op.create_index("ix_channel_health_channel_id_at", "channel_health", ["channel_id", "at"])
    op.create_index("ix_channel_health_at", "channel_health", ["at"])
    op.create_table(
        "channel_events",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("channel_id", sa.Integer, sa.ForeignKey("channels.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("model", sa.String(500)),
        sa.Column("key_last4", sa.String(4)),
        sa.Column("reason", sa.String(500)),
    )
    op.create_index("ix_channel_events_channel_id_at", "channel_events", ["channel_id", "at"])
    op.create_index("ix_channel_events_at", "channel_events", ["at"])


def downgrade() -> None:
    op.drop_table("channel_events")
    op.drop_table("channel_health")
    op.drop_table("route_rules")
    op.drop_index("ix_usage_events_channel_id_created_at", "usage_events")
    op.drop_column("usage_events", "cached")
    for column in reversed(_keys()):
        op.drop_column("channel_keys", column.name)
    for column in reversed(_channels()):
        op.drop_column("channels", column.name)
