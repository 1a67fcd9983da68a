"""Wishes about local models, given on the command line and fulfilled by the running server."""

from sqlalchemy import Column, Index, Integer, String, Table

from tidemill.platform.db import JsonText, UtcTime, metadata

local_model_wishes = Table(
    "local_model_wishes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("place", String(500), nullable=False),
    Column("name", String(200), nullable=False),
    Column("wish", String(10), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("done_at", UtcTime),
    Column("status", String(20)),
    Column("problem", JsonText),
    Index("ix_local_model_wishes_place_id", "place", "id"),
)
