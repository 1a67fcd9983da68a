"""What engines over several processes need: tickets on jobs, queues, schedules, workers.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from tidemill.platform.db.columns import JsonText, UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WAITING = sa.text("state IN ('queued', 'retry_wait')")
_RUNNING = sa.text("state = 'running'")
_LIVE_KEY = sa.text("idem_key IS NOT NULL AND state <> 'cancelled'")
_DEAD = sa.text("state IN ('dead', 'failed')")


def upgrade() -> None:
    op.add_column("job", sa.Column("published_at", UtcTime))
    op.add_column("job", sa.Column("publish_count", sa.Integer, nullable=False, server_default="0"))
    op.add_column("job", sa.Column("cancel_by", sa.Integer))
    op.add_column("job", sa.Column("schedule_id", sa.String(36)))
    op.add_column("job", sa.Column("request_id", sa.String(64)))
    # The number of its last line in job_event.
    op.add_column("job", sa.Column("event_seq", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        "UPDATE job SET event_seq = coalesce((SELECT max(seq) FROM job_event WHERE job_event.job_id = job.id), 0)"
    )
    op.drop_index("ix_job_lease", "job")
    op.drop_column("job", "lease_until")
    op.drop_index("ix_job_due", "job")
    op.create_index(
        "ix_job_due",
        "job",
        ["type", sa.text("priority DESC"), "run_at", "id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("ix_job_running", "job", ["lease_owner"], sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.drop_index("uq_job_type_idem_key", "job")
    op.create_index(
        "uq_job_owner_type_idem_key",
        "job",
        [sa.text("coalesce(user_id, 0)"), "type", "idem_key"],
        unique=True,
        sqlite_where=_LIVE_KEY,
        postgresql_where=_LIVE_KEY,
    )
    op.create_index(
        "ix_job_waiting", "job", ["queue", "user_id", "run_at"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
    op.create_index("ix_job_lost", "job", ["type", "id"], sqlite_where=_DEAD, postgresql_where=_DEAD)
    op.create_index("ix_job_state", "job", ["state", "finished_at"])
    op.create_index("ix_job_event_at", "job_event", ["at"])
    op.create_table(
        "job_queue",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("max_length", sa.Integer),
        sa.Column("max_per_user", sa.Integer),
        sa.Column("concurrency", sa.Integer),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "job_schedule",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.Integer),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("payload", JsonText, nullable=False),
        sa.Column("cron", sa.String(200)),
        sa.Column("timezone", sa.String(64), nullable=False, server_default="UTC"),
        sa.Column("run_at", UtcTime),
        sa.Column("misfire", sa.String(10), nullable=False, server_default="once"),
        sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("next_run_at", UtcTime),
        sa.Column("last_run_at", UtcTime),
        sa.Column("last_job_id", sa.String(36)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_index(
        "uq_job_schedule_owner_name", "job_schedule", [sa.text("coalesce(user_id, 0)"), "name"], unique=True
    )
    op.create_index("ix_job_schedule_next_run_at", "job_schedule", ["next_run_at"])
    op.create_table(
        "worker",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("node", sa.String(100), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("roles", JsonText, nullable=False),
        sa.Column("types", JsonText, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("running", sa.Integer, nullable=False, server_default="0"),
        sa.Column("draining", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("transport", JsonText),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("heartbeat_at", UtcTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("worker")
    op.drop_table("job_schedule")
    op.drop_table("job_queue")
    op.drop_index("ix_job_event_at", "job_event")
    op.drop_index("ix_job_state", "job")
    op.drop_index("ix_job_lost", "job")
    op.drop_index("ix_job_waiting", "job")
    op.drop_index("uq_job_owner_type_idem_key", "job")
    op.create_index(
        "uq_job_type_idem_key",
        "job",
        ["type", "idem_key"],
        unique=True,
        sqlite_where=_LIVE_KEY,
        postgresql_where=_LIVE_KEY,
    )
    op.drop_index("ix_job_running", "job")
    op.add_column("job", sa.Column("lease_until", UtcTime))
    op.create_index("ix_job_lease", "job", ["lease_until"], sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.drop_index("ix_job_due", "job")
    op.create_index(
        "ix_job_due",
        "job",
        [sa.text("priority DESC"), "run_at", "id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    for column in ("event_seq", "request_id", "schedule_id", "cancel_by", "publish_count", "published_at"):
        op.drop_column("job", column)
