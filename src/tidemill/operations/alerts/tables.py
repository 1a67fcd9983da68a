"""The table of alerts (migration 0010): one row an incident, from its first sign to its end."""

from sqlalchemy import Column, Index, Integer, String, Table, Text, text

from tidemill.platform.db import JsonText, UtcTime, metadata

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(50), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("status", String(20), nullable=False),
    Column("subject_type", String(50), nullable=False),
    Column("subject_id", String(100), nullable=False),
    Column("dedup_key", String(200), nullable=False),
    Column("title_zh", String(300), nullable=False),
    Column("title_en", String(300), nullable=False),
    Column("text_zh", Text, nullable=False),
    Column("text_en", Text, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("raised_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    Column("count", Integer, nullable=False),
    Column("sent_at", UtcTime),  # when the first message about it went out
    # What each way out was told last: {"mail": {"event": "raised", "at": "…"}}.
    Column("sent", JsonText, nullable=False, server_default="{}"),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_by", Integer),
    Column("recovered_at", UtcTime),
    Column("reopened_at", UtcTime),  # when it came back within minutes of a recovery
)
_OPEN = text("recovered_at IS NULL")
# Invariant: at most one alert of a key is open.
Index("uq_alerts_open", alerts.c.dedup_key, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("ix_alerts_dedup_key", alerts.c.dedup_key, alerts.c.recovered_at)
Index("ix_alerts_status_id", alerts.c.status, alerts.c.id)
Index("ix_alerts_kind_id", alerts.c.kind, alerts.c.id)
Index("ix_alerts_recovered_at", alerts.c.recovered_at)
