"""SQL of channels' health: probes, events, keys that were refused, balances. Only administrators and we ask."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, case, delete, func, insert, select, update

from tidemill.platform.db import Reader, Row, Writer, epoch_s
from tidemill.relay.repository import OwnerScope
from tidemill.relay.tables import channel_events, channel_health, channel_keys, channels

_h, _e, _k, _c = channel_health.c, channel_events.c, channel_keys.c, channels.c


# ---- probes --------------------------------------------------------------------------------------------------------


async def add_probes(w: Writer, scope: OwnerScope, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert probes of channels that are still there."""
    await _add_known(w, scope, channel_health, rows)


async def newest_probes(r: Reader, scope: OwnerScope, since: datetime) -> dict[int, Row]:
    """Return the newest probe of each channel that was probed since a moment."""
    del scope
    rank = func.row_number().over(partition_by=_h.channel_id, order_by=(_h.at.desc(), _h.id.desc())).label("rank")
    ranked = select(channel_health, rank).where(_h.at >= since).subquery()
    rows = await r.all(select(ranked).where(ranked.c.rank == 1))
    return {row["channel_id"]: row for row in rows}


async def last_probes(r: Reader, scope: OwnerScope, since: datetime, count: int) -> Sequence[Row]:
    """Return the last ``count`` probes of every channel since a moment, oldest first."""
    del scope
    rank = func.row_number().over(partition_by=_h.channel_id, order_by=(_h.at.desc(), _h.id.desc())).label("rank")
    ranked = select(_h.channel_id, _h.at, _h.ok, _h.latency_ms, _h.reason, rank).where(_h.at >= since).subquery()
    return await r.all(select(ranked).where(ranked.c.rank <= count).order_by(ranked.c.channel_id, ranked.c.at))


async def points(
    r: Reader, scope: OwnerScope, channel_id: int, since: datetime, until: datetime, width_s: int
) -> Sequence[Row]:
    """Return a channel's probes folded into intervals of ``width_s`` seconds since 1970, the median of what went well.

    Uses index: ix_channel_health_channel_id_at.
    """
    del scope
    slot = (epoch_s(_h.at) // width_s).label("slot")
    good = case((_h.ok, _h.latency_ms))
    ours = (
        select(slot, _h.ok, _h.error_rate, good.label("good"))
        .where(_h.channel_id == channel_id, _h.at >= since, _h.at < until)
        .subquery()
    )
    place = func.row_number().over(partition_by=(ours.c.slot, ours.c.good.is_(None)), order_by=ours.c.good)
    ranked = select(
        ours, place.label("place"), func.count(ours.c.good).over(partition_by=ours.c.slot).label("known")
    ).subquery()
    middle = and_(ranked.c.good.is_not(None), ranked.c.place == (ranked.c.known + 1) // 2)
    return await r.all(
        select(
            ranked.c.slot,
            func.count().label("probes"),
            func.sum(case((ranked.c.ok, 0), else_=1)).label("failures"),
            func.max(case((middle, ranked.c.good))).label("p50_ms"),
            func.max(ranked.c.good).label("max_ms"),
            func.avg(ranked.c.error_rate).label("error_rate"),
        )
        .group_by(ranked.c.slot)
        .order_by(ranked.c.slot)
    )


# ---- events --------------------------------------------------------------------------------------------------------


async def add_events(w: Writer, scope: OwnerScope, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert events of channels that are still there."""
    await _add_known(w, scope, channel_events, rows)


async def events_page(
    r: Reader, scope: OwnerScope, channel_id: int, before: tuple[datetime, str] | None, limit: int
) -> Sequence[Row]:
    """Return a channel's events, newest first, before a (moment, id)."""
    del scope
    found = select(channel_events).where(_e.channel_id == channel_id)
    if before is not None:
        moment, identifier = before
        found = found.where((_e.at < moment) | ((_e.at == moment) & (_e.id < identifier)))
    return await r.all(found.order_by(_e.at.desc(), _e.id.desc()).limit(limit))


async def _add_known(w: Writer, scope: OwnerScope, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    del scope
    named = {row["channel_id"] for row in rows}
    known = {row["id"] for row in await w.all(select(_c.id).where(_c.id.in_(named)))} if named else set[int]()
    kept = [row for row in rows if row["channel_id"] in known]
    if kept:
        await w.run(insert(table), kept)


async def forget(w: Writer, scope: OwnerScope, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` probes and as many events from before a moment; returns how many it was."""
    del scope
    gone = 0
    for table in (channel_health, channel_events):
        old = select(table.c.id).where(table.c.at < before).limit(limit)
        gone += await w.run(delete(table).where(table.c.id.in_(old)))
    return gone


# ---- channels and keys ---------------------------------------------------------------------------------------------


async def locked_channel(w: Writer, scope: OwnerScope, channel_id: int) -> Row | None:
    """Return a channel and keep it from others until the transaction ends."""
    del scope
    return await w.first(select(channels).where(_c.id == channel_id).with_for_update())


async def set_key(w: Writer, scope: OwnerScope, key_id: str, values: Mapping[str, Any], *, was: str) -> bool:
    """Set columns of a key whose status is ``was``; False when it is another one by now, or gone."""
    del scope
    return await w.run(update(channel_keys).where(_k.id == key_id, _k.status == was).values(**values)) == 1


async def active_keys(r: Reader, scope: OwnerScope, channel_id: int) -> int:
    """Count a channel's active keys."""
    del scope
    found = select(func.count()).select_from(channel_keys)
    return int(await r.scalar(found.where(_k.channel_id == channel_id, _k.status == "active")))


async def refused_keys(r: Reader, scope: OwnerScope) -> Sequence[Row]:
    """Return the keys that their services refused, of channels that would serve; what people disabled has no reason."""
    del scope
    serving = _c.status.in_(("enabled", "auto_disabled"))
    found = select(channel_keys).join(channels, _k.channel_id == _c.id)
    return await r.all(found.where(_k.status == "disabled", _k.reason.is_not(None), serving).order_by(_k.id))


async def key_states(r: Reader, scope: OwnerScope) -> dict[str, str]:
    """Return the status of every key by its id."""
    del scope
    return {row["id"]: row["status"] for row in await r.all(select(_k.id, _k.status))}


async def set_channel(w: Writer, scope: OwnerScope, channel_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a channel."""
    del scope
    await w.run(update(channels).where(_c.id == channel_id).values(**values))
