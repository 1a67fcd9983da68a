"""Schedules of users and of the program: each change is one transaction with its audit entry.

Which types may be scheduled is told at construction. What a user schedules is checked when the schedule is made, as
doing it now would be, and again when it fires.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from tidemill.audit.facade import record
from tidemill.kernel.actor import Actor, Scope, SystemReason, SystemScope
from tidemill.kernel.errors import BadInput, FieldProblem
from tidemill.kernel.ids import uuid7
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.operations import views
from tidemill.operations.contracts_schedules import (
    AnyScheduleWish,
    ScheduleChange,
    ScheduleFired,
    ScheduleView,
    ScheduleWish,
)
from tidemill.operations.errors import (
    ScheduleFault,
    ScheduleNameTaken,
    ScheduleNotFound,
    ScheduleRefused,
    SystemScheduleStays,
    TooManySchedules,
)
from tidemill.operations.ports import Owners, Schedulable
from tidemill.platform.db import Database, IntegrityError, Reader, Row, Writer
from tidemill.platform.jobs import repository, repository_schedules
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.firings import BadCron, Timing, UnknownZone, zone
from tidemill.platform.jobs.scheduler import timing_of

MAX_SCHEDULES = 100
MAX_NAME_CHARS = 200
MAX_CRON_CHARS = 200
MAX_ZONE_CHARS = 64
# As far as a cron expression is looked for.
HORIZON = timedelta(days=50 * 365)
# What may be set on a schedule of the program's own.
_RETIMING = frozenset({"cron", "run_at", "timezone", "misfire", "enabled"})
_BOOT = SystemScope(SystemReason.BOOT)


class SystemSchedule(Struct, frozen=True):
    """Work of the program itself that is to be done again and again; ``cron`` is in UTC."""

    name: str
    type: str
    cron: str


class ScheduleService:
    """Schedules; ``kinds`` gives the types that users may schedule, ``own`` are the program's own schedules."""

    def __init__(
        self,
        db: Database,
        jobs: JobEngine,
        kinds: Callable[[], Mapping[str, Schedulable]],
        owners: Owners,
        own: Sequence[SystemSchedule] = (),
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._kinds = kinds
        self._owners = owners
        self._own = {one.name: one for one in own}

    async def ensure(self) -> None:
        """Make the program's schedules that are not there; those that are stay as an administrator set them."""
        async with self._db.write() as w:
            for one in self._own.values():
                timing = Timing(cron=one.cron)
                await self._add(w, _BOOT, None, ScheduleWish(name=one.name, type=one.type), timing)

    # Looking.

    async def page(self, scope: Scope, request: PageRequest, user_id: int | None = None) -> Page[ScheduleView]:
        """List schedules, newest first."""
        before = None if request.cursor is None else _schedule_id(request.cursor)
        async with self._db.read() as r:
            rows = await repository_schedules.page(
                r, scope, limit=request.page_size + 1, before=before, user_id=user_id
            )
            at = await repository.now(r)
        more = len(rows) > request.page_size
        rows = rows[: request.page_size]
        following = encode_cursor(rows[-1]["id"]) if more else None
        # Working out the next firings of a whole page takes some milliseconds.
        items = await asyncio.to_thread(lambda: [views.schedule(row, at) for row in rows])
        return Page(items, page=request.page, page_size=request.page_size, next=following)

    async def get(self, scope: Scope, schedule_id: str) -> ScheduleView:
        """Return one schedule. Raises ScheduleNotFound."""
        async with self._db.read() as r:
            return await self._view(r, scope, schedule_id)

    async def _view(self, r: Reader, scope: Scope, schedule_id: str) -> ScheduleView:
        return views.schedule(await self._found(r, scope, schedule_id), await repository.now(r))

    @staticmethod
    async def _found(r: Reader, scope: Scope, schedule_id: str) -> Row:
        known = schedule_id.isascii() and schedule_id.isprintable()
        row = await repository_schedules.one(r, scope, schedule_id) if known else None
        if row is None:
            raise ScheduleNotFound(schedule_id=schedule_id)
        return row

    async def coming(self, cron: str | None, run_at: datetime | None, timezone: str) -> list[datetime]:
        """Return the next five firings that a schedule of this timing would have. Raises ScheduleRefused."""
        timing = Timing(cron=cron, timezone=timezone, run_at=run_at)
        async with self._db.read() as r:
            at = await repository.now(r)
        if faults := _timing_faults(timing, at):
            raise ScheduleRefused(faults)
        return timing.coming(at, views.NEXT)

    # Changing.

    async def create(self, actor: Actor, wish: ScheduleWish, lang: Lang) -> ScheduleView:
        """Make a schedule of the caller's own.

        Raises ScheduleRefused, what its type says of the payload, ScheduleNameTaken, TooManySchedules.
        """
        return await self._create(actor, actor, actor.scope, wish, lang)

    async def create_any(self, actor: Actor, scope: Scope, wish: AnyScheduleWish, lang: Lang) -> ScheduleView:
        """Make a schedule for a user, or of the program's own work; raises as ``create``."""
        if wish.user_id is None:
            return await self._create(actor, None, scope, wish, lang)
        owner = await self._owners.actor(wish.user_id)
        if owner is None:
            raise ScheduleRefused([ScheduleFault("user_id", "user", {"value": wish.user_id})])
        return await self._create(actor, owner, scope, wish, lang)

    async def _create(
        self, actor: Actor, owner: Actor | None, scope: Scope, wish: ScheduleWish, lang: Lang
    ) -> ScheduleView:
        async with self._db.read() as r:
            at = await repository.now(r)
        timing = Timing(cron=wish.cron, timezone=wish.timezone, run_at=wish.run_at)
        faults = [*_name_faults(wish.name), *self._type_faults(wish.type, owner), *_timing_faults(timing, at)]
        if faults:
            raise ScheduleRefused(faults)
        payload = await self._checked(owner, wish.type, wish.payload, lang)
        wish = msgspec.structs.replace(wish, payload=payload)
        owner_id = None if owner is None else owner.user_id
        async with self._db.write() as w:
            if owner is not None and await repository_schedules.count_of(w, scope, owner_id) >= MAX_SCHEDULES:
                raise TooManySchedules(limit=MAX_SCHEDULES)
            schedule_id = await self._add(w, scope, owner_id, wish, timing)
            if schedule_id is None:
                raise ScheduleNameTaken(name=wish.name)
            await self._record(w, actor, "schedule.create", schedule_id, {"name": wish.name, "type": wish.type})
            return await self._view(w, scope, schedule_id)

    async def _add(
        self, w: Writer, scope: Scope, owner_id: int | None, wish: ScheduleWish, timing: Timing
    ) -> str | None:
        at = await repository.now(w)
        schedule_id = uuid7()
        values = {
            "id": schedule_id,
            "user_id": owner_id,
            "name": wish.name,
            "type": wish.type,
            "payload": wish.payload,
            "cron": timing.cron,
            "timezone": timing.timezone,
            "run_at": timing.run_at,
            "misfire": wish.misfire,
            "enabled": wish.enabled,
            "next_run_at": timing.first_after(at) if wish.enabled else None,
            "created_at": at,
            "updated_at": at,
        }
        return schedule_id if await repository_schedules.add(w, scope, values) else None

    async def change(
        self, actor: Actor, scope: Scope, schedule_id: str, change: ScheduleChange, lang: Lang
    ) -> ScheduleView:
        """Change a schedule; it then fires next as if it had been made now. Raises as ``create``."""
        values = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
        async with self._db.read() as r:
            row = await self._found(r, scope, schedule_id)
            at = await repository.now(r)
        if self._stays(row) and not values.keys() <= _RETIMING:
            raise SystemScheduleStays(name=row["name"])
        values |= _retimed(row, values, at)
        if "payload" in values and row["user_id"] is not None:
            owner = actor if row["user_id"] == actor.user_id else await self._owners.actor(row["user_id"])
            if owner is None:
                raise ScheduleRefused([ScheduleFault("user_id", "user", {"value": row["user_id"]})])
            values["payload"] = await self._checked(owner, row["type"], values["payload"], lang)
        try:
            async with self._db.write() as w:
                await self._found(w, scope, schedule_id)
                if values:
                    await repository_schedules.change(w, scope, schedule_id, {**values, "updated_at": at})
                    details = {"name": row["name"], "fields": sorted(msgspec.to_builtins(change))}
                    await self._record(w, actor, "schedule.change", schedule_id, details)
                return await self._view(w, scope, schedule_id)
        except IntegrityError:
            raise ScheduleNameTaken(name=values.get("name", row["name"])) from None

    async def delete(self, actor: Actor, scope: Scope, schedule_id: str) -> None:
        """Delete a schedule; jobs that it made stay. Raises ScheduleNotFound, SystemScheduleStays."""
        async with self._db.write() as w:
            row = await self._found(w, scope, schedule_id)
            if self._stays(row):
                raise SystemScheduleStays(name=row["name"])
            await repository_schedules.remove(w, scope, schedule_id)
            await self._record(w, actor, "schedule.delete", schedule_id, {"name": row["name"], "type": row["type"]})

    async def run(self, actor: Actor, scope: Scope, schedule_id: str) -> ScheduleFired:
        """Fire now, beside its times and also while it is disabled. Raises ScheduleNotFound, QueueFull."""
        async with self._db.write() as w:
            row = await self._found(w, scope, schedule_id)
            if row["type"] not in self._jobs.kinds:
                known = ", ".join(sorted(self._kinds()))
                raise ScheduleRefused([ScheduleFault("type", "type", {"value": row["type"], "known": known})])
            job_id = await self._jobs.enqueue(
                w, scope, row["type"], row["payload"], user_id=row["user_id"], schedule_id=schedule_id
            )
            made = {"last_run_at": await repository.now(w), "last_job_id": job_id}
            await repository_schedules.change(w, scope, schedule_id, made)
            await self._record(w, actor, "schedule.run", schedule_id, {"name": row["name"], "job_id": job_id})
        return ScheduleFired(schedule_id, job_id)

    # Checks.

    def _stays(self, row: Row) -> bool:
        return row["user_id"] is None and row["name"] in self._own

    def _type_faults(self, kind: str, owner: Actor | None) -> list[ScheduleFault]:
        known = sorted(self._kinds() if owner is not None else {one.type for one in self._own.values()})
        if kind in known:
            return []
        return [ScheduleFault("type", "type", {"value": kind, "known": ", ".join(known)})]

    async def _checked(self, owner: Actor | None, kind: str, payload: dict[str, Any], lang: Lang) -> dict[str, Any]:
        if owner is None:
            return payload
        try:
            return await self._kinds()[kind].check(owner, payload, lang)
        except BadInput as error:
            # Its fields stand below the body's payload.
            error.fields = tuple(FieldProblem(f"payload.{one.field}", one.message) for one in error.fields)
            raise

    @staticmethod
    async def _record(w: Writer, actor: Actor, action: str, schedule_id: str, details: dict[str, Any]) -> None:
        await record(w, actor=actor, action=action, object_type="schedule", object_id=schedule_id, details=details)


def _name_faults(name: str) -> list[ScheduleFault]:
    if not name.strip() or "\x00" in name:
        return [ScheduleFault("name", "blank")]
    return [ScheduleFault("name", "too_long", {"limit": MAX_NAME_CHARS})] if len(name) > MAX_NAME_CHARS else []


def _timing_faults(timing: Timing, at: datetime) -> list[ScheduleFault]:
    if (timing.cron is None) == (timing.run_at is None):
        return [ScheduleFault("cron", "one_time")]
    if timing.cron is not None and len(timing.cron) > MAX_CRON_CHARS:
        return [ScheduleFault("cron", "too_long", {"limit": MAX_CRON_CHARS})]
    if timing.run_at is not None and timing.run_at.tzinfo is None:
        return [ScheduleFault("run_at", "zoneless")]
    if timing.run_at is not None and timing.run_at - at > HORIZON:
        return [ScheduleFault("run_at", "never")]
    return _reading_faults(timing, at)


def _reading_faults(timing: Timing, at: datetime) -> list[ScheduleFault]:
    try:
        zone(timing.timezone)
        first = timing.first_after(at)
    except UnknownZone:
        return [ScheduleFault("timezone", "zone", {"value": timing.timezone[:MAX_ZONE_CHARS]})]
    except BadCron as error:
        return [ScheduleFault("cron", "cron", {"reason": str(error)})]
    if first is None:
        return [ScheduleFault("cron", "never") if timing.cron is not None else ScheduleFault("run_at", "past")]
    return []


def _retimed(row: Row, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return what else changes with ``values``: the other way of timing goes, the next firing is worked out anew.

    Raises ScheduleRefused.
    """
    fresh: dict[str, Any] = {}
    for one, other in (("cron", "run_at"), ("run_at", "cron")):
        if values.get(one) is not None and other not in values:
            fresh[other] = None
    timing = timing_of({**row, **values, **fresh})
    enabled = values.get("enabled", row["enabled"])
    retimed = bool(values.keys() & {"cron", "run_at", "timezone"})
    turned_on = enabled and "enabled" in values
    faults = _name_faults(values.get("name", row["name"]))
    if retimed or turned_on:
        faults += _timing_faults(timing, at)
    if faults:
        raise ScheduleRefused(faults)
    if retimed or "enabled" in values:
        fresh["next_run_at"] = timing.first_after(at) if enabled else None
    return fresh


def _schedule_id(cursor: str) -> str:
    (schedule_id,) = decode_cursor(cursor, 1)
    if not isinstance(schedule_id, str):
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before")
    return schedule_id
