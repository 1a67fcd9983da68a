"""Rules say whether streams that break go on elsewhere; single calls are found by their request's id.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("route_rules", sa.Column("continues", sa.Boolean))
    op.create_index("ix_usage_events_request_id", "usage_events", ["request_id"])


def downgrade() -> None:
    op.drop_index("ix_usage_events_request_id", "usage_events")
    op.drop_column("route_rules", "continues")
