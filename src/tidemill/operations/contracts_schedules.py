"""The words of schedules."""

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Misfire = Literal["skip", "once", "all"]


class ScheduleView(Struct, frozen=True, kw_only=True):
    """A schedule. ``user_id`` null is the program's own; ``next`` holds the next five firings while it is enabled."""

    id: str
    user_id: int | None
    name: str
    type: str
    payload: dict[str, Any]
    cron: str | None
    run_at: datetime | None
    timezone: str
    misfire: Misfire
    enabled: bool
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_job_id: str | None
    created_at: datetime
    updated_at: datetime
    next: list[datetime]


class ScheduleWish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule to make: ``cron`` (five fields, in ``timezone``) or ``run_at`` (once).

    ``misfire`` says what becomes of firings that nobody was there for, the server having been down: ``skip`` them,
    make up for them ``once``, or for ``all`` (at most 100).
    """

    name: str
    type: str
    payload: dict[str, Any] = {}
    cron: str | None = None
    run_at: datetime | None = None
    timezone: str = "UTC"
    misfire: Misfire = "once"
    enabled: bool = True


class AnyScheduleWish(ScheduleWish, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule that an administrator makes: for a user, or (``user_id`` absent) of the program's own work."""

    user_id: int | None = None


class ScheduleChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is absent stays. ``cron`` and ``run_at`` replace one another."""

    name: str | UnsetType = UNSET
    payload: dict[str, Any] | UnsetType = UNSET
    cron: str | UnsetType | None = UNSET
    run_at: datetime | UnsetType | None = UNSET
    timezone: str | UnsetType = UNSET
    misfire: Misfire | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ScheduleFired(Struct, frozen=True):
    """The job that a firing by hand has made."""

    schedule_id: str
    job_id: str


class Firings(Struct, frozen=True):
    """The next moments at which a timing fires, at most five."""

    next: list[datetime]
