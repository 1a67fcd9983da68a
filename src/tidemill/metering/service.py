"""Reading usage: one's own, or everybody's for an administrator."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

from tidemill.kernel import clock
from tidemill.kernel.actor import Scope
from tidemill.kernel.errors import BadInput
from tidemill.metering import repository
from tidemill.metering.contracts import UsageGroup, UsageHour, UsageSummary, UsageTotals
from tidemill.platform.db import Database, Row, Writer

DEFAULT_SPAN = timedelta(hours=24)
# Hourly rows of 92 days: 2,208 points on a chart.
MAX_SPAN = timedelta(days=92)
MAX_GROUPS = 200

_HOUR = timedelta(hours=1)


class Sums(TypedDict):
    """What every answer about usage tells."""

    requests: int
    errors: int
    request_tokens: int
    response_tokens: int
    total_tokens: int
    latency_ms_avg: float | None
    latency_ms_max: float | None


class UsageService:
    """Answers questions about usage."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def summary(
        self, scope: Scope, *, since: datetime | None, until: datetime | None, group_by: str = "model"
    ) -> UsageSummary:
        """Sum the calls that began in the whole hours (UTC) from ``since`` to ``until``; absent: the last 24 hours.

        The newest events arrive about half a second late. Raises BadInput naming ``from``, ``to`` or ``group_by``.
        """
        if group_by not in repository.GROUPINGS:
            raise BadInput.of("group_by", "must be one of " + ", ".join(repository.GROUPINGS))
        start, end = span(since, until)
        async with self._db.read() as r:
            totals = await repository.totals(r, scope, start, end)
            hours = await repository.by_hour(r, scope, start, end)
            groups = await repository.by_group(r, scope, start, end, group_by, MAX_GROUPS)
        return UsageSummary(
            start,
            end,
            UsageTotals(**sums(totals)),
            [UsageHour(row["hour"], **sums(row)) for row in hours],
            [UsageGroup(_name(group_by, row["key"]), **sums(row)) for row in groups],
        )

    async def rows(self, scope: Scope, *, limit: int = 50, before: str | None = None) -> Sequence[dict[str, Any]]:
        """Return single calls, newest first, at most ``limit``; ``before`` is the id of the last one seen."""
        async with self._db.read() as r:
            return [dict(row) for row in await repository.newest(r, scope, limit, before)]

    async def erase(self, w: Writer, scope: Scope, user_id: int) -> None:
        """Cut a deleted account from its usage; the figures stay (identity's UserDataEraser)."""
        await repository.make_anonymous(w, scope, user_id)


def span(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """Return the whole hours between two moments; raises BadInput naming ``from`` or ``to``."""
    now = clock.now()
    end = _checked("to", until) if until else now
    start = _checked("from", since) if since else end - DEFAULT_SPAN
    if start >= end:
        raise BadInput.of("from", "must lie before `to`")
    if end - start > MAX_SPAN:
        raise BadInput.of("from", f"lies more than {MAX_SPAN.days} days before `to`; ask for a shorter time")
    first = start.replace(minute=0, second=0, microsecond=0)
    last = end.replace(minute=0, second=0, microsecond=0)
    return first, last if last == end else last + _HOUR


def _checked(field: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise BadInput.of(field, "needs a time zone, for example 2026-01-31T12:00:00Z")
    return moment


def sums(row: Row) -> Sums:
    """Return a row of sums as the answers tell it."""
    requests = int(row["requests"])
    return {
        "requests": requests,
        "errors": int(row["errors"]),
        "request_tokens": int(row["request_tokens"]),
        "response_tokens": int(row["response_tokens"]),
        "total_tokens": int(row["total_tokens"]),
        "latency_ms_avg": round(row["latency_ms_sum"] / requests, 1) if requests else None,
        "latency_ms_max": round(row["latency_ms_max"], 1) if requests else None,
    }


def _name(group_by: str, key: Any) -> str:
    if not key:
        return {"channel": "none", "key": "session", "user": "deleted"}.get(group_by, "unknown")
    return str(key)
