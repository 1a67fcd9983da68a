"""What generation over several processes needs: who makes a task, which chunks are out, fingerprints of rows.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MARKED = sa.text("fingerprint IS NOT NULL")


def upgrade() -> None:
    # A task that was started before has handed out nothing: its chunks are gone through, what is stored passed over.
    op.add_column("tasks", sa.Column("next_chunk", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("chunk_samples", sa.Integer, nullable=False, server_default="0"))
    op.add_column("generated_data", sa.Column("fingerprint", sa.String(32)))
    op.create_index(
        "uq_generated_data_task_id_fingerprint",
        "generated_data",
        ["task_id", "fingerprint"],
        unique=True,
        sqlite_where=_MARKED,
        postgresql_where=_MARKED,
    )
    op.create_table(
        "task_crew",
        sa.Column("task_id", sa.String(100), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("job_epoch", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False, server_default="0"),
        sa.Column("part", JsonText),
        sa.Column("joined_at", UtcTime, nullable=False),
    )
    op.create_table(
        "task_chunk",
        sa.Column("task_id", sa.String(100), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("chunk_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("task_chunk")
    op.drop_table("task_crew")
    op.drop_index("uq_generated_data_task_id_fingerprint", "generated_data")
    op.drop_column("generated_data", "fingerprint")
    op.drop_column("tasks", "chunk_samples")
    op.drop_column("tasks", "next_chunk")
