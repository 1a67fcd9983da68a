"""Jobs and what happened to them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=op.get_bind().dialect.name == "postgresql")
    op.create_table(
        "job",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=True),
        sa.Column("queue", sa.String(100), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("idem_key", sa.String(200), nullable=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("run_at", moment, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("crashes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lease_owner", sa.String(36), nullable=True),
        sa.Column("lease_until", moment, nullable=True),
        sa.Column("cancel_requested_at", moment, nullable=True),
        sa.Column("progress_done", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("progress_total", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("progress_message", sa.Text, nullable=False, server_default=""),
        sa.Column("checkpoint", sa.Text, nullable=True),
        sa.Column("error_code", sa.String(100), nullable=True),
        sa.Column("error_text", sa.Text, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("started_at", moment, nullable=True),
        sa.Column("finished_at", moment, nullable=True),
    )
    live = sa.text("idem_key IS NOT NULL AND state <> 'cancelled'")
    op.create_index(
        "uq_job_type_idem_key", "job", ["type", "idem_key"], unique=True, sqlite_where=live, postgresql_where=live
    )
    waiting = sa.text("state IN ('queued', 'retry_wait')")
    op.create_index(
        "ix_job_due",
        "job",
        [sa.text("priority DESC"), "run_at", "id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    running = sa.text("state = 'running'")
    op.create_index("ix_job_lease", "job", ["lease_until"], sqlite_where=running, postgresql_where=running)
    op.create_index("ix_job_user", "job", ["user_id", sa.text("created_at DESC")])
    op.create_table(
        "job_event",
        sa.Column("job_id", sa.String(36), sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("at", moment, nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("data", sa.Text, nullable=True),
    )


def downgrade() -> None:
    op.drop_table("job_event")
    op.drop_table("job")
