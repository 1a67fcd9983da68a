"""Wishes about local models.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "local_model_wishes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("place", sa.String(500), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("wish", sa.String(10), nullable=False),
        sa.Column("asked_at", UtcTime, nullable=False),
        sa.Column("done_at", UtcTime),
        sa.Column("status", sa.String(20)),
        sa.Column("problem", JsonText),
    )
    op.create_index("ix_local_model_wishes_place_id", "local_model_wishes", ["place", "id"])


def downgrade() -> None:
    op.drop_index("ix_local_model_wishes_place_id", table_name="local_model_wishes")
    op.drop_table("local_model_wishes")
