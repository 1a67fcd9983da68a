"""The tables of jobs: the jobs themselves, what happened to them, queues, schedules, workers."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
    func,
    text,
    true,
)

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
    # Fencing token: one higher at every claim, hand-back and replay.
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    # The worker that runs it; its lease is that worker's heartbeat.
    Column("lease_owner", String(36), nullable=True),
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
    # The outbox is the row itself: when its ticket was last confirmed by the broker, and how often.
    Column("published_at", UtcTime, nullable=True),
    Column("publish_count", Integer, nullable=False, server_default="0"),
    Column("cancel_by", Integer, nullable=True),
    Column("schedule_id", String(36), nullable=True),
    Column("request_id", String(64), nullable=True),
    # The number of its last line in job_event.
    Column("event_seq", Integer, nullable=False, server_default="0"),
)
# One live or ended job an owner, type and key; a cancelled one makes room for another.
_LIVE_KEY = text("idem_key IS NOT NULL AND state <> 'cancelled'")
Index(
    "uq_job_owner_type_idem_key",
    func.coalesce(job.c.user_id, text("0")),
    job.c.type,
    job.c.idem_key,
    unique=True,
    sqlite_where=_LIVE_KEY,
    postgresql_where=_LIVE_KEY,
)
_WAITING = text("state IN ('queued', 'retry_wait')")
Index(
    "ix_job_due",
    job.c.type,
    job.c.priority.desc(),
    job.c.run_at,
    job.c.id,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
Index("ix_job_waiting", job.c.queue, job.c.user_id, job.c.run_at, sqlite_where=_WAITING, postgresql_where=_WAITING)
_RUNNING = text("state = 'running'")
Index("ix_job_running", job.c.lease_owner, sqlite_where=_RUNNING, postgresql_where=_RUNNING)
_DEAD = text("state IN ('dead', 'failed')")
Index("ix_job_lost", job.c.type, job.c.id, sqlite_where=_DEAD, postgresql_where=_DEAD)
Index("ix_job_state", job.c.state, job.c.finished_at)
Index("ix_job_user", job.c.user_id, job.c.created_at.desc())

job_event = Table(
    "job_event",
    metadata,
    Column("job_id", String(36), ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(30), nullable=False),
    Column("data", JsonText, nullable=True),
    Index("ix_job_event_at", "at"),
)

# A queue has a row once somebody set something about it; NULL is the default of rules.py.
job_queue = Table(
    "job_queue",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("max_length", Integer, nullable=True),
    Column("max_per_user", Integer, nullable=True),
    # Jobs of it that all workers together run at once.
    Column("concurrency", Integer, nullable=True),
    Column("updated_at", UtcTime, nullable=False),
)

job_schedule = Table(
    "job_schedule",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", Integer, nullable=True),
    Column("name", String(200), nullable=False),
    Column("type", String(100), nullable=False),
    Column("payload", JsonText, nullable=False),
    # Either a cron expression in a time zone, or one moment.
    Column("cron", String(200), nullable=True),
    Column("timezone", String(64), nullable=False, server_default="UTC"),
    Column("run_at", UtcTime, nullable=True),
    # What becomes of firings that nobody was there for: skip | once | all.
    Column("misfire", String(10), nullable=False, server_default="once"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("next_run_at", UtcTime, nullable=True),
    Column("last_run_at", UtcTime, nullable=True),
    Column("last_job_id", String(36), nullable=True),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index("ix_job_schedule_next_run_at", "next_run_at"),
)
Index(
    "uq_job_schedule_owner_name",
    func.coalesce(job_schedule.c.user_id, text("0")),
    job_schedule.c.name,
    unique=True,
)

worker = Table(
    "worker",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("host", String(255), nullable=False),
    # Where its process id means something: machine, boot and process-id namespace.
    Column("node", String(100), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(40), nullable=False),
    Column("roles", JsonText, nullable=False),
    Column("types", JsonText, nullable=False),
    # Jobs that it can run at once, and runs.
    Column("capacity", Integer, nullable=False),
    Column("running", Integer, nullable=False, server_default="0"),
    Column("draining", Boolean, nullable=False, server_default=false()),
    # Its end of the broker, as transport.Facts.
    Column("transport", JsonText, nullable=True),
    Column("started_at", UtcTime, nullable=False),
    Column("heartbeat_at", UtcTime, nullable=False),
)
