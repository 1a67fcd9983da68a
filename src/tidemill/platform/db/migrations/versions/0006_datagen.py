"""Tasks, generated rows, items given up on, and the tasks' event log.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("task_id", sa.String(100), nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="running"),
        sa.Column("params", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("finished_at", UtcTime),
        sa.Column("task_type", sa.String(50), nullable=False, server_default=""),
        sa.Column("file_id", sa.Integer),
        sa.Column("plan", JsonText),
        sa.Column("total", sa.Integer, nullable=False, server_default="0"),
        sa.Column("accepted", sa.Integer, nullable=False, server_default="0"),
        sa.Column("below_threshold", sa.Integer, nullable=False, server_default="0"),
        sa.Column("needs_review", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retried", sa.Integer, nullable=False, server_default="0"),
        sa.Column("input_tokens", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("output_tokens", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("cost_nano", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("budget_nano", sa.BigInteger),
        sa.Column("paused", JsonText),
        sa.Column("live", JsonText),
        sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("job_id", sa.String(36)),
        sa.Column("key_id", sa.String(36)),
        sa.UniqueConstraint("task_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tasks_user_id_id", "tasks", ["user_id", "id"])
    op.create_index("ix_tasks_status", "tasks", ["status"])
    op.create_index("ix_tasks_file_id", "tasks", ["file_id"])
    op.create_table(
        "generated_data",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("task_id", sa.String(100), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("data_content", sa.Text, nullable=False),
        sa.Column("model_score", sa.Double),
        sa.Column("rule_score", sa.Integer),
        sa.Column("retry_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("generation_model", sa.String(255)),
        sa.Column("task_type", sa.String(50)),
        sa.Column("is_confirmed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="accepted"),
        sa.Column("final_score", sa.Double),
        sa.Column("rule_score_exact", sa.Double),
        sa.Column("item_no", sa.Integer),
        sa.Column("row_version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("lineage", sa.Text),
        sa.Column("reviewer_id", sa.Integer),
        sa.Column("review_note", sa.Text),
        sa.Column("reviewed_at", UtcTime),
        sa.Column("direction", sa.Text),
        sa.Column("channel", sa.Text),
        sa.Column("input_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("output_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
        sa.Column("event_seq", sa.BigInteger),
        sa.UniqueConstraint("task_id", "item_no", name="uq_generated_data_task_id_item_no"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_generated_data_task_id_id", "generated_data", ["task_id", "id"])
    op.create_index("ix_generated_data_task_id_event_seq", "generated_data", ["task_id", "event_seq"])
    op.create_index("ix_generated_data_user_id_id", "generated_data", ["user_id", "id"])
    op.create_index("ix_generated_data_user_id_final_score_id", "generated_data", ["user_id", "final_score", "id"])
    op.create_table(
        "task_item_failed",
        sa.Column("task_id", sa.String(100), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("item_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("event_seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("input_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("output_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lineage", sa.Text),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_table(
        "task_event",
        sa.Column("task_id", sa.String(100), sa.ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("data", JsonText, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("task_event")
    op.drop_table("task_item_failed")
    op.drop_table("generated_data")
    op.drop_table("tasks")
