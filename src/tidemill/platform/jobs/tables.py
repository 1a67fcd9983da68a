"""The tables of jobs; more columns (schedules, queues, workers) come beside them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from tidemill.platform.db import JsonText, UtcTime, metadata

job = Table(
    "job",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", Integer, nullable=True),
    Column("queue", String(100), nullable=False),
    Column("type", String(100), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("payload", JsonText, nullable=False),
    Column("idem_key", String(200), nullable=True),
    Column("state", String(20), nullable=False),
    Column("run_at", UtcTime, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("lease_owner", String(36), nullable=True),
    Column("lease_until", UtcTime, nullable=True),
    Column("cancel_requested_at", UtcTime, nullable=True),
    Column("progress_done", BigInteger, nullable=False, server_default="0"),
    Column("progress_total", BigInteger, nullable=False, server_default="0"),
    Column("progress_message", Text, nullable=False, server_default=""),
    Column("checkpoint", JsonText, nullable=True),
    Column("error_code", String(100), nullable=True),
    Column("error_text", Text, nullable=True),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime, nullable=True),
    Column("finished_at", UtcTime, nullable=True),
)
# One live or ended job a type and key; a cancelled one makes room for another.
Index(
    "uq_job_type_idem_key",
    job.c.type,
    job.c.idem_key,
    unique=True,
    sqlite_where=text("idem_key IS NOT NULL AND state <> 'cancelled'"),
    postgresql_where=text("idem_key IS NOT NULL AND state <> 'cancelled'"),
)
_WAITING = text("state IN ('queued', 'retry_wait')")
Index("ix_job_due", job.c.priority.desc(), job.c.run_at, job.c.id, sqlite_where=_WAITING, postgresql_where=_WAITING)
_RUNNING = text("state = 'running'")
Index("ix_job_lease", job.c.lease_until, sqlite_where=_RUNNING, postgresql_where=_RUNNING)
Index("ix_job_user", job.c.user_id, job.c.created_at.desc())

job_event = Table(
    "job_event",
    metadata,
    Column("job_id", String(36), ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(30), nullable=False),
    Column("data", JsonText, nullable=True),
)
