"""Schedules over HTTP: one's own, and everybody's with the program's for administrators."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import PageRequest
from tidemill.operations.contracts_schedules import (
    AnyScheduleWish,
    ScheduleChange,
    ScheduleFired,
    ScheduleView,
    ScheduleWish,
)
from tidemill.operations.schedule_service import ScheduleService
from tidemill.platform.web import RestList, administrator, needs, rest_list
from tidemill.platform.web.inputs import Cursor, PageSize

Schedules = NamedDependency[ScheduleService]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]

_OWN: dict[str, Any] = {"guards": [needs("datagen")], "tags": ["schedules"]}
_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["schedules"]}
_PATH = "/api/v1/schedules"
_ONE = _PATH + "/{schedule_id:str}"
_ALL = "/api/v1/admin/schedules"
_ANY = _ALL + "/{schedule_id:str}"

UserId = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="Whose, by user id.")]


@get(_PATH, operation_id="listSchedules", **_OWN)
async def list_schedules(
    actor: Caller, schedules: Schedules, page_size: PageSize = 20, cursor: Cursor = None
) -> RestList[ScheduleView]:
    """One's own schedules, newest first."""
    return rest_list(await schedules.page(actor.scope, PageRequest.checked(1, page_size, cursor)))


@post(_PATH, status_code=201, operation_id="createSchedule", **_OWN)
async def create_schedule(
    actor: Caller, schedules: Schedules, lang: Language, data: JSONBody[ScheduleWish]
) -> ScheduleView:
    """Schedule work, by cron or once. `datagen.start` takes the body of `POST /api/start` as payload."""
    return await schedules.create(actor, data, lang)


@get(_ONE, operation_id="getSchedule", **_OWN)
async def get_schedule(actor: Caller, schedules: Schedules, schedule_id: FromPath[str]) -> ScheduleView:
    """One of one's own schedules."""
    return await schedules.get(actor.scope, schedule_id)


@patch(_ONE, operation_id="patchSchedule", **_OWN)
async def patch_schedule(
    actor: Caller, schedules: Schedules, lang: Language, schedule_id: FromPath[str], data: JSONBody[ScheduleChange]
) -> ScheduleView:
    """Change what is sent; times count from now."""
    return await schedules.change(actor, actor.scope, schedule_id, data, lang)


@delete(_ONE, status_code=204, operation_id="deleteSchedule", **_OWN)
async def delete_schedule(actor: Caller, schedules: Schedules, schedule_id: FromPath[str]) -> None:
    """Delete a schedule; the jobs it made stay."""
    await schedules.delete(actor, actor.scope, schedule_id)


@post(_ONE + "/run", status_code=200, operation_id="runSchedule", **_OWN)
async def run_schedule(actor: Caller, schedules: Schedules, schedule_id: FromPath[str]) -> ScheduleFired:
    """Fire now, beside its times."""
    return await schedules.run(actor, actor.scope, schedule_id)


@get(_ALL, operation_id="listAllSchedules", **_ADMIN)
async def list_all_schedules(
    actor: Caller, schedules: Schedules, user_id: UserId = None, page_size: PageSize = 50, cursor: Cursor = None
) -> RestList[ScheduleView]:
    """Everybody's schedules and the program's own (`user_id` null), newest first."""
    page = PageRequest.checked(1, page_size, cursor)
    return rest_list(await schedules.page(actor.admin_scope, page, user_id))


@post(_ALL, status_code=201, operation_id="createAnySchedule", **_ADMIN)
async def create_any_schedule(
    actor: Caller, schedules: Schedules, lang: Language, data: JSONBody[AnyScheduleWish]
) -> ScheduleView:
    """Schedule work for a user, or the program's own."""
    return await schedules.create_any(actor, actor.admin_scope, data, lang)


@get(_ANY, operation_id="getAnySchedule", **_ADMIN)
async def get_any_schedule(actor: Caller, schedules: Schedules, schedule_id: FromPath[str]) -> ScheduleView:
    """One schedule."""
    return await schedules.get(actor.admin_scope, schedule_id)


@patch(_ANY, operation_id="patchAnySchedule", **_ADMIN)
async def patch_any_schedule(
    actor: Caller, schedules: Schedules, lang: Language, schedule_id: FromPath[str], data: JSONBody[ScheduleChange]
) -> ScheduleView:
    """Change what is sent; the program's own schedules can be disabled and re-timed only."""
    return await schedules.change(actor, actor.admin_scope, schedule_id, data, lang)


@delete(_ANY, status_code=204, operation_id="deleteAnySchedule", **_ADMIN)
async def delete_any_schedule(actor: Caller, schedules: Schedules, schedule_id: FromPath[str]) -> None:
    """Delete a schedule; the program's own stay."""
    await schedules.delete(actor, actor.admin_scope, schedule_id)


@post(_ANY + "/run", status_code=200, operation_id="runAnySchedule", **_ADMIN)
async def run_any_schedule(actor: Caller, schedules: Schedules, schedule_id: FromPath[str]) -> ScheduleFired:
    """Fire now, beside its times."""
    return await schedules.run(actor, actor.admin_scope, schedule_id)


HANDLERS: Sequence[ControllerRouterHandler] = (
    list_schedules,
    create_schedule,
    get_schedule,
    patch_schedule,
    delete_schedule,
    run_schedule,
    list_all_schedules,
    create_any_schedule,
    get_any_schedule,
    patch_any_schedule,
    delete_any_schedule,
    run_any_schedule,
)
