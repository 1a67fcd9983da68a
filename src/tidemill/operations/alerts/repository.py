"""SQL of alerts; they belong to the installation, so only administrators and the program itself ask."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql

from tidemill.kernel.actor import Scope
from tidemill.kernel.pages import PageRequest, decode_cursor
from tidemill.operations.alerts.contracts import AlertFilter
from tidemill.operations.alerts.tables import alerts
from tidemill.platform.db import Reader, Row, Writer

_t = alerts.c
_OPEN = ("open", "acknowledged")


async def open_alert(w: Writer, scope: Scope, dedup_key: str) -> Row | None:
    """Return the open alert of a key and keep it from others until the transaction ends."""
    del scope
    return await w.first(select(alerts).where(_t.dedup_key == dedup_key, _t.recovered_at.is_(None)).with_for_update())


async def recovered_since(w: Writer, scope: Scope, dedup_key: str, moment: datetime) -> Row | None:
    """Return the alert of a key that recovered last, if that was after ``moment``."""
    del scope
    recent = select(alerts).where(_t.dedup_key == dedup_key, _t.recovered_at > moment)
    return await w.first(recent.order_by(_t.recovered_at.desc()).limit(1).with_for_update())


async def add(w: Writer, scope: Scope, values: Mapping[str, Any]) -> bool:
    """Insert an open alert; False when there is one of that key by now."""
    del scope
    # Without a target: the key that may be taken is a partial index.
    return await w.run(postgresql.insert(alerts).on_conflict_do_nothing().values(**values)) == 1


async def change(w: Writer, scope: Scope, alert_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of an alert."""
    del scope
    await w.run(update(alerts).where(_t.id == alert_id).values(**values))


async def one(r: Reader, scope: Scope, alert_id: str) -> Row | None:
    """Return one alert."""
    del scope
    return await r.first(select(alerts).where(_t.id == alert_id))


async def locked(w: Writer, scope: Scope, alert_id: str) -> Row | None:
    """Return one alert and keep it from others until the transaction ends."""
    del scope
    return await w.first(select(alerts).where(_t.id == alert_id).with_for_update())


async def page(r: Reader, scope: Scope, wanted: AlertFilter, request: PageRequest) -> Sequence[Row]:
    """Return a page of alerts and one more, the newest first; ids are in the order in which they were raised."""
    del scope
    statement = select(alerts)
    if wanted.status is not None:
        known = _OPEN if wanted.status == "active" else (wanted.status,)
        statement = statement.where(_t.status.in_(known))
    if wanted.kind is not None:
        statement = statement.where(_t.kind == wanted.kind)
    if request.cursor is not None:
        statement = statement.where(_t.id < str(decode_cursor(request.cursor, 1)[0]))
    return await r.all(statement.order_by(_t.id.desc()).limit(request.page_size + 1))


async def open_of_kind(r: Reader, scope: Scope, kind: str, limit: int) -> Sequence[Row]:
    """Return open alerts of one kind, the oldest first."""
    del scope
    found = select(alerts).where(_t.kind == kind, _t.status.in_(_OPEN))
    return await r.all(found.order_by(_t.id).limit(limit))


async def forget(w: Writer, scope: Scope, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` alerts that recovered before a moment; returns how many."""
    del scope
    old = select(_t.id).where(_t.recovered_at < before).limit(limit)
    return await w.run(delete(alerts).where(_t.id.in_(old)))
