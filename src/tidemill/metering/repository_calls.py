"""SQL of the log of calls: keyset pages on (created_at, id), so that any depth costs the same; never a count."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from tidemill.kernel.actor import Scope, owner_filter
from tidemill.metering.contracts import CallStatus
from tidemill.metering.contracts_calls import CallEntry, CallFilter
from tidemill.metering.tables import usage_events
from tidemill.platform.db import Reader, Row

_t = usage_events.c
_LISTED = [_t[name] for name in CallEntry.__struct_fields__]
FAILED = "failed"

Place = tuple[datetime, str]  # the sort key of one row


async def page(
    r: Reader, scope: Scope, wanted: CallFilter, place: Place | None, limit: int, *, newer: bool = False
) -> Sequence[Row]:
    """Return at most ``limit`` calls older (or newer) than ``place``, always the newest first."""
    rows = await r.all(statement(scope, wanted, place, limit, newer=newer))
    return rows[::-1] if newer else rows


async def one(r: Reader, scope: Scope, call_id: str) -> Row | None:
    """Return a call with every column; None when there is none, or it is somebody else's."""
    conditions: list[ColumnElement[bool]] = [_t.id == call_id]
    owner = owner_filter(scope)
    if owner is not None:
        conditions.append(_t.user_id == owner)
    return await r.first(select(usage_events).where(*conditions))


def statement(scope: Scope, wanted: CallFilter, place: Place | None, limit: int, *, newer: bool = False) -> Select[Any]:
    """Build the query of a page.

    Uses index: usage_events_user_id_created_at for one user's, usage_events_channel_id_created_at for one channel's,
    usage_events_created_at otherwise. The bound of ``created_at`` stands alone, so that each of them is entered at the
    place; within one moment the database sorts by id.
    """
    conditions = _conditions(scope, wanted)
    if place is not None:
        at, call_id = place
        bound, beyond, further = (
            (_t.created_at >= at, _t.created_at > at, _t.id > call_id)
            if newer
            else (_t.created_at <= at, _t.created_at < at, _t.id < call_id)
        )
        conditions.append(and_(bound, or_(beyond, further)))
    order = (_t.created_at, _t.id) if newer else (_t.created_at.desc(), _t.id.desc())
    return select(*_LISTED).where(*conditions).order_by(*order).limit(limit)


def _conditions(scope: Scope, wanted: CallFilter) -> list[ColumnElement[bool]]:
    equal = {
        _t.user_id: wanted.user_id,
        _t.key_id: wanted.key_id,
        _t.model: wanted.model,
        _t.channel_id: wanted.channel_id,
        _t.provider: wanted.provider,
        _t.error_code: wanted.error_code,
        _t.surface: wanted.surface,
        _t.stream: wanted.stream,
        _t.cached: wanted.cached,
        _t.request_id: wanted.request_id,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    owner = owner_filter(scope)
    if owner is not None:
        conditions.append(_t.user_id == owner)
    if wanted.status == FAILED:
        conditions.append(_t.status != CallStatus.OK.value)
    elif wanted.status is not None:
        conditions.append(_t.status == wanted.status)
    if wanted.since is not None:
        conditions.append(_t.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_t.created_at < wanted.until)
    if wanted.min_latency_ms is not None:
        conditions.append(_t.latency_ms >= wanted.min_latency_ms)
    if wanted.q:
        texts = (_t.model, _t.channel, _t.request_id, _t.error_code)
        conditions.append(or_(*(text.icontains(wanted.q, autoescape=True) for text in texts)))
    return conditions
