"""Tasks, what they made, and the log of what happened.

``tasks`` and ``generated_data`` keep the earlier system's columns by name and type; what we add stands after them.
Every row that a task made, every item it gave up on and every line of its log carries a number of the task's one
sequence (``tasks.seq``), given in the transaction that commits it: that number is the ``id:`` of the event stream.

A task is made by a crew, one run in each process that takes part, and handed out in chunks of items. ``task_crew`` and
``task_chunk`` hold only what is so at the moment: who makes it now, which chunks are out.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from tidemill.platform.db import JsonText, UtcTime, metadata

tasks = Table(
    "tasks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String(100), nullable=False, unique=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("status", String(20), nullable=False, server_default="running"),
    Column("params", Text),
    Column("result", Text),
    Column("error_message", Text),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    # Ours. plan: the request with everything decided (language, models, seed, counts); it never changes after start.
    Column("task_type", String(50), nullable=False, server_default=""),
    Column("file_id", Integer),
    Column("plan", JsonText),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("accepted", Integer, nullable=False, server_default="0"),
    Column("below_threshold", Integer, nullable=False, server_default="0"),
    Column("needs_review", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("retried", Integer, nullable=False, server_default="0"),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost_nano", BigInteger, nullable=False, server_default="0"),
    Column("budget_nano", BigInteger),
    # paused: {code, ...values}; the sentence is made for the reader's language.
    Column("paused", JsonText),
    # live: rows_per_s and the services' figures as last committed by the run.
    Column("live", JsonText),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    # One higher for every run that joins the crew: the number by which that run is known (task_crew.entry).
    Column("epoch", Integer, nullable=False, server_default="0"),
    # The job that leads the crew.
    Column("job_id", String(36)),
    Column("key_id", String(36)),
    # Every chunk below next_chunk was handed out: it is stored whole, or has a row in task_chunk.
    Column("next_chunk", Integer, nullable=False, server_default="0"),
    # Samples in a chunk, decided at the start (0: begun before chunks were counted; batch_size, and any may be begun).
    Column("chunk_samples", Integer, nullable=False, server_default="0"),
    Index("ix_tasks_user_id_id", "user_id", "id"),
    Index("ix_tasks_status", "status"),
    Index("ix_tasks_file_id", "file_id"),
    sqlite_autoincrement=True,
)

generated_data = Table(
    "generated_data",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("task_id", String(100), ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("data_content", Text, nullable=False),
    Column("model_score", Double),
    Column("rule_score", Integer),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Column("generation_model", String(255)),
    Column("task_type", String(50)),
    Column("is_confirmed", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    # Ours.
    Column("status", String(20), nullable=False, server_default="accepted"),
    Column("final_score", Double),
    Column("rule_score_exact", Double),
    Column("item_no", Integer),
    Column("row_version", Integer, nullable=False, server_default="1"),
    Column("lineage", Text),
    Column("reviewer_id", Integer),
    Column("review_note", Text),
    Column("reviewed_at", UtcTime),
    Column("direction", Text),
    Column("channel", Text),
    Column("input_tokens", Integer, nullable=False, server_default="0"),
    Column("output_tokens", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("event_seq", BigInteger),
    # Of an accepted row, where the task refuses duplicates and several runs made it: the digest of its text in normal
    # form. What was stored before the second run joined has none; that run has read it.
    Column("fingerprint", String(32)),
    UniqueConstraint("task_id", "item_no", name="uq_generated_data_task_id_item_no"),
    Index(
        "uq_generated_data_task_id_fingerprint",
        "task_id",
        "fingerprint",
        unique=True,
        sqlite_where=text("fingerprint IS NOT NULL"),
        postgresql_where=text("fingerprint IS NOT NULL"),
    ),
    Index("ix_generated_data_task_id_id", "task_id", "id"),
    Index("ix_generated_data_task_id_event_seq", "task_id", "event_seq"),
    Index("ix_generated_data_user_id_id", "user_id", "id"),
    Index("ix_generated_data_user_id_final_score_id", "user_id", "final_score", "id"),
    sqlite_autoincrement=True,
)

# An item that ended without any row: no attempt gave something that could be kept.
task_item_failed = Table(
    "task_item_failed",
    metadata,
    Column("task_id", String(100), ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("item_no", Integer, primary_key=True, autoincrement=False),
    Column("event_seq", BigInteger, nullable=False),
    # transport | auth | client | truncated | parse | schema | …: what the last attempt died of
    Column("kind", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("channel", Text),
    Column("direction", Text),
    Column("input_tokens", Integer, nullable=False, server_default="0"),
    Column("output_tokens", Integer, nullable=False, server_default="0"),
    Column("lineage", Text),
    Column("created_at", UtcTime, nullable=False),
)

# Lines of the event stream that are not rows: kind log {code, zh, en} or complete {status}.
task_event = Table(
    "task_event",
    metadata,
    Column("task_id", String(100), ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("data", JsonText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# Who makes a task now: one row a run. It counts for as long as its job runs under that epoch (a run without a job, of
# a command line, has job_id '' and counts until the next one joins).
task_crew = Table(
    "task_crew",
    metadata,
    Column("task_id", String(100), ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("job_id", String(36), primary_key=True),
    Column("job_epoch", BigInteger, nullable=False),
    Column("entry", Integer, nullable=False),
    # Calls that this run may have out; over those that count, the sum is at most the task's max_concurrent.
    Column("slots", Integer, nullable=False, server_default="0"),
    # What it last told of its services and its pace.
    Column("part", JsonText),
    Column("joined_at", UtcTime, nullable=False),
)

# The chunks that are out, and with which run of the crew.
task_chunk = Table(
    "task_chunk",
    metadata,
    Column("task_id", String(100), ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("chunk_no", Integer, primary_key=True, autoincrement=False),
    Column("entry", Integer, nullable=False),
)
