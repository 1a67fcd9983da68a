"""``/api/start``, ``/api/tasks`` and their neighbours, and the event stream of a task."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tidemill.datagen.contracts import (
    ActiveTask,
    PreviewAnswer,
    ResumeRequest,
    StartRequest,
    TaskRef,
    TaskStatus,
    TaskSummary,
    TaskTypeList,
)
from tidemill.datagen.service import TaskService
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web import Envelope, ListData, administrator, list_data, needs, ok

_OPTIONS: dict[str, Any] = {"guards": [needs("datagen")], "tags": ["generation tasks"]}
_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["administration"]}
_STREAM_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
_STATES = ("pending", "running", "finished", "failed", "stopped")

State = Annotated[
    str | None, QueryParameter(name="status", description="pending, running, finished, failed or stopped.")
]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", description="Where a watcher stood.")]
Tasks = NamedDependency[TaskService]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]


@post("/api/start", status_code=200, **_OPTIONS)
async def start(
    tasks: Tasks, actor: Caller, lang: Language, data: JSONBody[StartRequest]
) -> Envelope[TaskRef] | Envelope[PreviewAnswer]:
    """Start a task; with ``preview`` make three rows, show their prompts and keep nothing."""
    answer = await tasks.start(actor, data, lang)
    if isinstance(answer, PreviewAnswer):
        return ok(answer)
    return ok(answer, "任务已启动" if lang == "zh" else "The task has started.")


@get("/api/tasks", **_OPTIONS)
async def list_tasks(
    tasks: Tasks,
    actor: Caller,
    lang: Language,
    in_state: State = None,
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
) -> Envelope[ListData[TaskSummary]]:
    """List one's own tasks, newest first."""
    wanted = PageRequest.checked(page, page_size, cursor)
    return list_data(await tasks.page(actor.scope, wanted, _state(in_state), lang))


@get("/api/status/{task_id:str}", **_OPTIONS)
async def status(tasks: Tasks, actor: Caller, lang: Language, task_id: FromPath[str]) -> Envelope[TaskStatus]:
    """Return counts, rates, cost, time to go and the services' figures."""
    return ok(await tasks.status(actor.scope, task_id, lang))


@get("/api/progress/{task_id:str}", media_type="text/event-stream", **_OPTIONS)
async def progress(
    tasks: Tasks, actor: Caller, lang: Language, task_id: FromPath[str], last_event_id: LastEventId = None
) -> Response[Any]:
    """Stream a task's events (SSE). ``Last-Event-ID`` goes on where a watcher stood; after the end it answers 204."""
    stream = await tasks.watch(actor.scope, task_id, _position(last_event_id), lang)
    if stream is None:
        return Response(None, status_code=204)
    return Stream(_bytes(stream), media_type="text/event-stream", headers=_STREAM_HEADERS)


@post("/api/stop/{task_id:str}", status_code=200, **_OPTIONS)
async def stop(tasks: Tasks, actor: Caller, lang: Language, task_id: FromPath[str]) -> Envelope[TaskRef]:
    """Stop a running task; what is done stays."""
    stopped = await tasks.stop(actor, task_id)
    return ok(stopped, "任务已停止" if lang == "zh" else "The task has been stopped.")


@post("/api/resume/{task_id:str}", status_code=200, **_OPTIONS)
async def resume(
    request: Request[Any, Any, Any], tasks: Tasks, actor: Caller, lang: Language, task_id: FromPath[str]
) -> Envelope[TaskRef]:
    """Go on with a stopped or failed task; the body (``budget``) may be left out."""
    resumed = await tasks.resume(actor, task_id, await _resume_request(request), lang)
    return ok(resumed, "任务已继续" if lang == "zh" else "The task goes on.")


@delete("/api/task/{task_id:str}", status_code=200, **_OPTIONS)
async def remove(tasks: Tasks, actor: Caller, lang: Language, task_id: FromPath[str]) -> Envelope[None]:
    """Delete a task with its rows and report; a running one is stopped first."""
    await tasks.delete(actor, actor.scope, task_id)
    return _deleted(lang)


@get("/api/active_task", **_OPTIONS)
async def active_task(tasks: Tasks, actor: Caller, lang: Language) -> Envelope[ActiveTask | None]:
    """Return the newest running task with the ``others``, or null."""
    return ok(await tasks.active(actor.scope, lang))


@get("/api/task_types", **_OPTIONS)
async def task_types(tasks: Tasks, lang: Language) -> Envelope[TaskTypeList]:
    """List the task types with their fields, schemas and rules."""
    return ok(TaskTypeList(tasks.types(lang)))


@get("/api/admin/tasks", **_ADMIN)
async def list_all_tasks(
    tasks: Tasks,
    actor: Caller,
    lang: Language,
    in_state: State = None,
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
) -> Envelope[ListData[TaskSummary]]:
    """List everybody's tasks, newest first."""
    wanted = PageRequest.checked(page, page_size, cursor)
    return list_data(await tasks.page(actor.admin_scope, wanted, _state(in_state), lang))


@delete("/api/admin/tasks/{task_id:str}", status_code=200, **_ADMIN)
async def remove_any(tasks: Tasks, actor: Caller, lang: Language, task_id: FromPath[str]) -> Envelope[None]:
    """Delete anybody's task, by its number or its name."""
    await tasks.delete(actor, actor.admin_scope, task_id)
    return _deleted(lang)


def _deleted(lang: Lang) -> Envelope[None]:
    return Envelope(None, "任务已删除" if lang == "zh" else "The task has been deleted.")


def _state(asked: str | None) -> str | None:
    if asked is not None and asked not in _STATES:
        raise BadInput.of("status", f"must be one of {', '.join(_STATES)}")
    return asked


def _position(header: str | None) -> int | None:
    """Read a ``Last-Event-ID``; one that is not ours counts as none."""
    if header is None or not header.strip().isdecimal() or len(header.strip()) > 18:  # noqa: PLR2004 - fits 64 bits
        return None
    return int(header)


async def _resume_request(request: Request[Any, Any, Any]) -> ResumeRequest:
    body = await request.body()
    if not body.strip():
        return ResumeRequest()
    try:
        return msgspec.json.decode(body, type=ResumeRequest)
    except msgspec.ValidationError as error:
        raise BadInput.of("budget", str(error)) from None
    except msgspec.DecodeError:
        raise BadInput.of("body", "must be a JSON object, or empty") from None


async def _bytes(stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        async for chunk in stream:
            yield chunk
    finally:
        await stream.aclose()


HANDLERS: Sequence[ControllerRouterHandler] = (
    start,
    list_tasks,
    status,
    progress,
    stop,
    resume,
    remove,
    active_task,
    task_types,
    list_all_tasks,
    remove_any,
)
