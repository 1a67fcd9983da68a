"""The database port: one set of Core statements, run on SQLite or PostgreSQL."""

from sqlalchemy.exc import IntegrityError

from tidemill.platform.db.columns import JsonText, UtcTime, db_now, epoch_s, insert_or_nothing, metadata, upsert
from tidemill.platform.db.engines import open_database
from tidemill.platform.db.port import Database, Reader, Row, Writer

__all__ = [
    "Database",
    "IntegrityError",
    "JsonText",
    "Reader",
    "Row",
    "UtcTime",
    "Writer",
    "db_now",
    "epoch_s",
    "insert_or_nothing",
    "metadata",
    "open_database",
    "upsert",
]
