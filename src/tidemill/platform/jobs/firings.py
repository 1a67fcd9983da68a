"""When a schedule fires: a cron expression in a time zone, or one moment; and which missed firings are made up for.

Pure. In a zone with daylight saving an expression that names an hour fires once on the days of change, as Debian's cron
does: a time that does not exist is moved to the end of the gap, one that exists twice counts the first time.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from msgspec import Struct

Misfire = Literal["skip", "once", "all"]
CRON_FIELDS = 5
# A firing that is found so late was missed: nobody was there.
MISSED_AFTER = timedelta(seconds=60)
MAX_MADE_UP = 100
# How far back missed firings are looked for, in growing steps: the newest 100 are found without walking through years.
_LOOK_BACK = tuple(timedelta(days=days) for days in (1 / 24, 1, 30, 400, 40_000))


class BadCron(ValueError):
    """Not a cron expression of five fields; the text says what is wrong with it."""


class UnknownZone(ValueError):
    """No time zone of that name."""


def zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name. Raises UnknownZone."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(name) from None


class Timing(Struct, frozen=True, kw_only=True):
    """When something fires: ``cron`` in ``timezone``, or once at ``run_at``."""

    cron: str | None = None
    timezone: str = "UTC"
    run_at: datetime | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the firings after ``moment``, in UTC, each later than the one before.

        Raises BadCron and UnknownZone.
        """
        if self.cron is None:
            if self.run_at is not None and self.run_at > moment:
                yield self.run_at
            return
        if len(self.cron.split()) != CRON_FIELDS:
            raise BadCron("Wrong number of fields")
        last = moment
        try:
            # On the second pass through an hour that exists twice, the first firings it names lie behind.
            for firing in CronSim(self.cron, moment.astimezone(zone(self.timezone))):
                found = firing.astimezone(UTC)
                if found > last:
                    last = found
                    yield found
        except CronSimError as error:
            raise BadCron(str(error)) from None

    def first_after(self, moment: datetime) -> datetime | None:
        """Return the next firing after ``moment``, None when there is none within 50 years."""
        return next(self.after(moment), None)

    def coming(self, moment: datetime, count: int) -> list[datetime]:
        """Return the next ``count`` firings after ``moment``."""
        return list(islice(self.after(moment), count))


def to_fire(timing: Timing, misfire: Misfire, first: datetime, moment: datetime) -> list[datetime]:
    """Return which firings from ``first``, the one that is due, to ``moment`` are carried out, oldest first.

    One that is at most 60 s late was not missed.
    """
    if first > moment:
        return []
    due = [first] if timing.cron is None else _newest(timing, first, moment)
    match misfire:
        case "skip":
            return [firing for firing in due if moment - firing <= MISSED_AFTER]
        case "once":
            return due[-1:]
        case "all":
            return due


def _newest(timing: Timing, first: datetime, moment: datetime) -> list[datetime]:
    """Return the newest 100 firings from ``first`` (itself one) to ``moment``."""
    found: list[datetime] = []
    for span in _LOOK_BACK:
        since = max(first, moment - span)
        found = [first] if since == first else []
        found += takewhile(lambda firing: firing <= moment, timing.after(since))
        if since == first or len(found) >= MAX_MADE_UP:
            break
    return found[-MAX_MADE_UP:]
