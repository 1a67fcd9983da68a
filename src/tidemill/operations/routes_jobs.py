"""Jobs over HTTP: one's own, everybody's for administrators, and how far anything long-running has got."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, cast, get_args

import msgspec
from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import UNSET

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import PageRequest
from tidemill.operations.contracts import (
    JobBatch,
    JobBatchResult,
    JobDetail,
    JobPatch,
    JobReplay,
    JobStatus,
    JobView,
    OwnJob,
    TaskState,
)
from tidemill.operations.job_service import JobService
from tidemill.operations.status_service import StatusService
from tidemill.platform.jobs.repository_desk import JobFilter
from tidemill.platform.jobs.rules import State
from tidemill.platform.web import RestList, administrator, needs, rest_list
from tidemill.platform.web.inputs import Cursor, PageSize

Desk = NamedDependency[JobService]
Statuses = NamedDependency[StatusService]
Caller = NamedDependency[Actor]

_OWN: dict[str, Any] = {"guards": [needs("datagen")], "tags": ["jobs"]}
_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["jobs"]}
_PATH = "/api/v1/jobs"
_ONE = _PATH + "/{job_id:str}"
_ALL = "/api/v1/admin/jobs"
_ANY = _ALL + "/{job_id:str}"
_STATES: tuple[str, ...] = get_args(JobStatus)

States = Annotated[
    str | None,
    QueryParameter(name="status", max_length=200, description=f"Some of {', '.join(_STATES)}, by comma."),
]
Word = Annotated[str | None, QueryParameter(max_length=100, pattern=r"^[^\x00]*$")]
UserId = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="Whose, by user id.")]
Since = Annotated[
    datetime | None, QueryParameter(name="from", description="Made from this moment on; without a zone: UTC.")
]
Until = Annotated[
    datetime | None, QueryParameter(name="to", description="Made before this moment; without a zone: UTC.")
]
Text = Annotated[
    str | None,
    QueryParameter(
        name="q", max_length=200, pattern=r"^[^\x00]*$", description="An id, or a part of type, key, error or payload."
    ),
]


@get(_PATH, operation_id="listJobs", **_OWN)
async def list_jobs(
    actor: Caller,
    desk: Desk,
    status: States = None,
    job_type: Annotated[str | None, QueryParameter(name="type", max_length=100, pattern=r"^[^\x00]*$")] = None,
    queue: Word = None,
    page_size: PageSize = 20,
    cursor: Cursor = None,
) -> RestList[JobView]:
    """One's own jobs, newest first."""
    wanted = JobFilter(states=_states(status), type=job_type, queue=queue)
    return rest_list(await desk.page(actor.scope, wanted, PageRequest.checked(1, page_size, cursor)))


@get(_ONE, operation_id="getJob", **_OWN)
async def get_job(actor: Caller, desk: Desk, job_id: FromPath[str]) -> OwnJob:
    """One of one's own jobs with its history."""
    return await desk.own(actor.scope, job_id)


@post(_ONE + "/cancel", status_code=200, operation_id="cancelJob", **_OWN)
async def cancel_job(actor: Caller, desk: Desk, job_id: FromPath[str]) -> JobView:
    """Cancel a job: a waiting one at once, a running one as soon as it has heard of it."""
    return await desk.cancel(actor, actor.scope, job_id)


@get("/api/v1/tasks/{task_id:str}/status", operation_id="getTaskStatus", **_OWN)
async def get_task_status(actor: Caller, statuses: Statuses, task_id: FromPath[str]) -> TaskState:
    """How far a generation task or a job has got, in one shape for all."""
    return await statuses.status(actor.scope, task_id)


@get(_ALL, operation_id="listAllJobs", **_ADMIN)
async def list_all_jobs(  # noqa: PLR0913, PLR0917 - one parameter a filter
    actor: Caller,
    desk: Desk,
    status: States = None,
    job_type: Annotated[str | None, QueryParameter(name="type", max_length=100, pattern=r"^[^\x00]*$")] = None,
    queue: Word = None,
    user_id: UserId = None,
    error_code: Word = None,
    since: Since = None,
    until: Until = None,
    q: Text = None,
    page_size: PageSize = 50,
    cursor: Cursor = None,
) -> RestList[JobView]:
    """Everybody's jobs, newest first."""
    wanted = JobFilter(
        states=_states(status),
        type=job_type,
        queue=queue,
        user_id=user_id,
        error_code=error_code,
        since=_in_utc(since, "from"),
        until=_in_utc(until, "to"),
        text=q,
    )
    return rest_list(await desk.page(actor.admin_scope, wanted, PageRequest.checked(1, page_size, cursor)))


@get(_ANY, operation_id="getAnyJob", **_ADMIN)
async def get_any_job(actor: Caller, desk: Desk, job_id: FromPath[str]) -> JobDetail:
    """Anybody's job with payload, checkpoint, error, runs and history."""
    return await desk.detail(actor.admin_scope, job_id)


@patch(_ANY, operation_id="patchJob", **_ADMIN)
async def patch_job(actor: Caller, desk: Desk, job_id: FromPath[str], data: JSONBody[JobPatch]) -> JobDetail:
    """Change payload or priority of a job that waits or is a dead letter."""
    return await desk.edit(actor, actor.admin_scope, job_id, data)


@post(_ANY + "/cancel", status_code=200, operation_id="cancelAnyJob", **_ADMIN)
async def cancel_any_job(actor: Caller, desk: Desk, job_id: FromPath[str]) -> JobView:
    """Cancel anybody's job."""
    return await desk.cancel(actor, actor.admin_scope, job_id)


@post(_ANY + "/replay", status_code=200, operation_id="replayJob", **_ADMIN)
async def replay_job(
    actor: Caller, desk: Desk, job_id: FromPath[str], data: JSONBody[JobReplay | None] = None
) -> JobView:
    """Give a dead letter another life: attempts count anew, the checkpoint stays unless there is a new payload."""
    payload = None if data is None or data.payload is UNSET else data.payload
    return await desk.replay(actor, actor.admin_scope, job_id, payload)


@post(_ANY + "/discard", status_code=200, operation_id="discardJob", **_ADMIN)
async def discard_job(actor: Caller, desk: Desk, job_id: FromPath[str]) -> JobView:
    """Give up a dead letter."""
    return await desk.discard(actor, actor.admin_scope, job_id)


@post(_ALL + "/replay", status_code=200, operation_id="replayJobs", **_ADMIN)
async def replay_jobs(actor: Caller, desk: Desk, data: JSONBody[JobBatch]) -> JobBatchResult:
    """Replay dead letters by id or filter; says how many match unless `dry_run` is false."""
    return await desk.replay_many(actor, actor.admin_scope, _with_zones(data))


@post(_ALL + "/discard", status_code=200, operation_id="discardJobs", **_ADMIN)
async def discard_jobs(actor: Caller, desk: Desk, data: JSONBody[JobBatch]) -> JobBatchResult:
    """Discard dead letters by id or filter; says how many match unless `dry_run` is false."""
    return await desk.discard_many(actor, actor.admin_scope, _with_zones(data))


def _states(asked: str | None) -> frozenset[State]:
    named = [word.strip() for word in (asked or "").split(",") if word.strip()]
    if unknown := sorted({word for word in named if word not in _STATES}):
        raise BadInput.of("status", f"{', '.join(unknown)}: not of {', '.join(_STATES)}")
    return cast("frozenset[State]", frozenset(named))


def _in_utc(moment: datetime | None, field: str) -> datetime | None:
    if moment is None:
        return None
    try:
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except OverflowError:
        raise BadInput.of(field, "lies outside the calendar") from None


def _with_zones(batch: JobBatch) -> JobBatch:
    if batch.filter is None:
        return batch
    since, until = _in_utc(batch.filter.since, "filter.from"), _in_utc(batch.filter.until, "filter.to")
    dated = msgspec.structs.replace(batch.filter, since=since, until=until)
    return msgspec.structs.replace(batch, filter=dated)


HANDLERS: Sequence[ControllerRouterHandler] = (
    list_jobs,
    get_job,
    cancel_job,
    get_task_status,
    list_all_jobs,
    get_any_job,
    patch_job,
    cancel_any_job,
    replay_job,
    discard_job,
    replay_jobs,
    discard_jobs,
)
