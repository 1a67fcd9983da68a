"""Show the health of channels: a chart of one, its history, a line of each."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median

from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.platform.db import Database, Reader, Row
from tidemill.relay.channel_state import P50
from tidemill.relay.errors import ChannelNotFound
from tidemill.relay.health import repository
from tidemill.relay.health.contracts import ChannelEvent, ChannelHealth, ChannelStrip, HealthPoint, ProbeView
from tidemill.relay.repository import OwnerScope, all_channels, all_keys, channel
from tidemill.relay.switchboard import Switchboard

MOST_POINTS = 500
DEFAULT_SPAN = timedelta(days=1)
MOST_PROBES = 100
# As far back as a strip looks for its last probes, in intervals a probe; less would lose those of a slow round.
_SLACK = 3
_LEAST_SPAN = timedelta(hours=1)


class HealthService:
    """Every method takes the scope first. ``interval_s`` is that of probes; 0: none are made."""

    def __init__(self, db: Database, board: Switchboard, interval_s: float) -> None:
        self._db = db
        self._board = board
        self._interval_s = interval_s

    async def chart(
        self, scope: OwnerScope, channel_id: int, since: datetime | None, until: datetime | None
    ) -> ChannelHealth:
        """Return a channel's probes of a time (the last day unless told), in at most 500 intervals.

        Raises ChannelNotFound, BadInput for a time that ends before it begins.
        """
        end = until or clock.now()
        start = since or end - DEFAULT_SPAN
        if start >= end:
            raise BadInput.of("from", "must lie before `to`")
        width_s = max(1, -(-int((end - start).total_seconds()) // (MOST_POINTS - 1)))
        async with self._db.read() as r:
            await self._must(r, scope, channel_id)
            rows = await repository.points(r, scope, channel_id, start, end, width_s)
        probes, failures = sum(row["probes"] for row in rows), sum(row["failures"] for row in rows)
        return ChannelHealth(
            channel_id=channel_id,
            since=start,
            until=end,
            width_s=width_s,
            uptime=round(1 - float(failures) / float(probes), 5) if probes else None,
            points=[_point(row, width_s) for row in rows],
        )

    async def events(self, scope: OwnerScope, channel_id: int, request: PageRequest) -> Page[ChannelEvent]:
        """Return what befell a channel, newest first. Raises ChannelNotFound."""
        before = None if request.cursor is None else _place(request.cursor)
        async with self._db.read() as r:
            await self._must(r, scope, channel_id)
            rows = await repository.events_page(r, scope, channel_id, before, request.page_size + 1)
        more = len(rows) > request.page_size
        rows = rows[: request.page_size]
        following = encode_cursor(rows[-1]["at"], rows[-1]["id"]) if more else None
        return Page([_event(row) for row in rows], page_size=request.page_size, next=following)

    async def strips(self, scope: OwnerScope, count: int) -> list[ChannelStrip]:
        """Return one line a channel with its last ``count`` probes."""
        span = max(_LEAST_SPAN, timedelta(seconds=self._interval_s * count * _SLACK))
        async with self._db.read() as r:
            channels = await all_channels(r, scope)
            keys = await all_keys(r, scope)
            probes = await repository.last_probes(r, scope, clock.now() - span, count)
        of_channel: dict[int, list[Row]] = {}
        for row in probes:
            of_channel.setdefault(row["channel_id"], []).append(row)
        counted = Counter((key["channel_id"], key["status"]) for key in keys)
        return [self._strip(row, of_channel.get(row["id"], []), counted) for row in channels]

    def _strip(self, row: Row, probes: list[Row], counted: "Counter[tuple[int, str]]") -> ChannelStrip:
        state = self._board.states.get(row["id"])
        breaker = "closed" if state is None else state.breaker_state(clock.monotonic())
        good = [probe["latency_ms"] for probe in probes if probe["ok"] and probe["latency_ms"] is not None]
        return ChannelStrip(
            channel_id=row["id"],
            channel=row["name"],
            provider=row["provider"],
            status=row["status"],
            up=_up(row, probes, breaker),
            breaker=breaker,
            uptime=round(sum(probe["ok"] for probe in probes) / len(probes), 4) if probes else None,
            p50_ms=None if state is None else state.percentile_ms(P50),
            probe_p50_ms=round(median(good), 1) if good else None,
            active_keys=counted[row["id"], "active"],
            disabled_keys=counted[row["id"], "disabled"],
            balance=row["balance"],
            balance_currency=row["balance_currency"],
            probes=[
                ProbeView(at=one["at"], ok=one["ok"], latency_ms=one["latency_ms"], reason=one["reason"])
                for one in probes
            ],
        )

    @staticmethod
    async def _must(r: Reader, scope: OwnerScope, channel_id: int) -> None:
        if await channel(r, scope, channel_id) is None:
            raise ChannelNotFound(id=channel_id)


def _up(row: Row, probes: list[Row], breaker: str) -> bool | None:
    """Tell whether a channel serves: as its breaker, else as its last probe has it."""
    if row["status"] != "enabled" or breaker == "open":
        return False
    return bool(probes[-1]["ok"]) if probes else None


def _point(row: Row, width_s: int) -> HealthPoint:
    rate = row["error_rate"]
    return HealthPoint(
        at=datetime.fromtimestamp(int(row["slot"]) * width_s, UTC),
        probes=int(row["probes"]),
        failures=int(row["failures"]),
        p50_ms=row["p50_ms"],
        max_ms=row["max_ms"],
        error_rate=None if rate is None else round(float(rate), 4),
    )


def _event(row: Row) -> ChannelEvent:
    return ChannelEvent(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        model=row["model"],
        key_last4=row["key_last4"],
        reason=row["reason"],
    )


def _place(cursor: str) -> tuple[datetime, str]:
    moment, identifier = decode_cursor(cursor, 2)
    try:
        at = datetime.fromisoformat(str(moment))
    except ValueError:
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC), str(identifier)
