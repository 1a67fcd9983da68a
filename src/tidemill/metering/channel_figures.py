"""What channels did, from the sums by the hour: as many questions to the database for one channel as for hundreds."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from tidemill.kernel import clock
from tidemill.kernel.actor import AdminScope
from tidemill.kernel.errors import BadInput
from tidemill.metering import repository
from tidemill.metering.contracts import UsageGroup, UsageHour, UsageTotals
from tidemill.metering.contracts_calls import ChannelFigures, ChannelHour, ChannelReport, ChannelsFigures, Outcome
from tidemill.metering.service import span, sums
from tidemill.platform.db import Database, Row

# Two days of hours for each of hundreds of channels is what a list can show.
MAX_SERIES = timedelta(hours=49)
_MOST_CHANNELS = 2000
_MOST_MODELS = 200
_MOST_OUTCOMES = 100


class ChannelUsage:
    """Answers what channels did; administrators alone ask."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(
        self, scope: AdminScope, *, since: datetime | None, until: datetime | None, series: bool = False
    ) -> ChannelsFigures:
        """Sum every channel's calls in the whole hours between two moments (absent: the last 24 hours), and today's.

        Today began at 0:00 UTC. ``series`` adds each channel's hours, over two days at most. Raises BadInput.
        """
        start, end = span(since, until)
        if series and end - start > MAX_SERIES:
            raise BadInput.of("series", "is for two days at most; ask for a shorter time, or for one channel")
        day = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._db.read() as r:
            rows = await repository.by_group(r, scope, start, end, "channel", _MOST_CHANNELS)
            today = await repository.by_group(r, scope, day, day + timedelta(days=1), "channel", _MOST_CHANNELS)
            hours = await repository.by_channel_and_hour(r, scope, start, end) if series else ()
        spent = {row["key"]: int(row["cost_nano"]) for row in today}
        by_channel: dict[int, list[Row]] = {}
        for row in hours:
            by_channel.setdefault(row["channel_id"], []).append(row)
        # 0: no channel was reached.
        found = [_figures(row, spent, by_channel.get(row["key"], ())) for row in rows if row["key"]]
        return ChannelsFigures(start, end, day, found)

    async def one(
        self, scope: AdminScope, channel_id: int, *, since: datetime | None, until: datetime | None
    ) -> ChannelReport:
        """Tell of one channel, also one that is gone: in all, by the hour, by model, and how its calls ended."""
        start, end = span(since, until)
        async with self._db.read() as r:
            totals = await repository.totals(r, scope, start, end, channel_id)
            hours = await repository.by_hour(r, scope, start, end, channel_id)
            models = await repository.by_group(r, scope, start, end, "model", _MOST_MODELS, channel_id)
            outcomes = await repository.outcomes(r, scope, start, end, channel_id, _MOST_OUTCOMES)
        return ChannelReport(
            channel_id=channel_id,
            since=start,
            until=end,
            totals=UsageTotals(**sums(totals)),
            cost_nano=int(totals["cost_nano"]),
            series=[UsageHour(row["hour"], **sums(row)) for row in hours],
            models=[UsageGroup(row["key"], **sums(row)) for row in models],
            outcomes=[Outcome(row["status"], row["error_code"], row["requests"]) for row in outcomes],
        )


def _figures(row: Row, spent: dict[int, int], hours: Iterable[Row]) -> ChannelFigures:
    told = sums(row)
    return ChannelFigures(
        channel_id=row["key"],
        error_rate=round(told["errors"] / told["requests"], 4) if told["requests"] else 0.0,
        cost_nano=int(row["cost_nano"]),
        cost_today_nano=spent.get(row["key"], 0),
        hours=[_hour(hour) for hour in hours],
        **told,
    )


def _hour(row: Row) -> ChannelHour:
    told = sums(row)
    return ChannelHour(row["hour"], told["requests"], told["errors"], told["latency_ms_avg"])
