"""Alerts: what is wrong, since when, who was told and who took note.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = sa.text("recovered_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("subject_type", sa.String(50), nullable=False),
        sa.Column("subject_id", sa.String(100), nullable=False),
        sa.Column("dedup_key", sa.String(200), nullable=False),
        sa.Column("title_zh", sa.String(300), nullable=False),
        sa.Column("title_en", sa.String(300), nullable=False),
        sa.Column("text_zh", sa.Text, nullable=False),
        sa.Column("text_en", sa.Text, nullable=False),
        sa.Column("details", JsonText, nullable=False),
        sa.Column("raised_at", UtcTime, nullable=False),
        sa.Column("last_seen_at", UtcTime, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("sent_at", UtcTime),
        sa.Column("sent", JsonText, nullable=False, server_default="{}"),
        sa.Column("acknowledged_at", UtcTime),
        sa.Column("acknowledged_by", sa.Integer),
        sa.Column("recovered_at", UtcTime),
        sa.Column("reopened_at", UtcTime),
    )
    op.create_index("uq_alerts_open", "alerts", ["dedup_key"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_alerts_dedup_key", "alerts", ["dedup_key", "recovered_at"])
    op.create_index("ix_alerts_status_id", "alerts", ["status", "id"])
    op.create_index("ix_alerts_kind_id", "alerts", ["kind", "id"])
    op.create_index("ix_alerts_recovered_at", "alerts", ["recovered_at"])


def downgrade() -> None:
    op.drop_table("alerts")
