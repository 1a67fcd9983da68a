"""Queues and workers over HTTP, for administrators."""

from collections.abc import Sequence
from typing import Any

from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.operations.contracts import QueuePatch, QueueView, WorkerView
from tidemill.operations.queue_service import QueueService
from tidemill.platform.web import RestList, administrator

Queues = NamedDependency[QueueService]
Caller = NamedDependency[Actor]

_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["queues"]}
_PATH = "/api/v1/admin/queues"
_ONE = _PATH + "/{name:str}"


@get(_PATH, operation_id="listQueues", **_ADMIN)
async def list_queues(actor: Caller, queues: Queues) -> RestList[QueueView]:
    """Every queue with its depth, age, rate and bounds, by name."""
    found = await queues.all(actor.admin_scope)
    return RestList(found, None, len(found))


@get(_ONE, operation_id="getQueue", **_ADMIN)
async def get_queue(actor: Caller, queues: Queues, name: FromPath[str]) -> QueueView:
    """One queue."""
    return await queues.get(actor.admin_scope, name)


@patch(_ONE, operation_id="patchQueue", **_ADMIN)
async def patch_queue(actor: Caller, queues: Queues, name: FromPath[str], data: JSONBody[QueuePatch]) -> QueueView:
    """Set a queue's bounds; null goes back to the default."""
    return await queues.change(actor, actor.admin_scope, name, data)


@post(_ONE + "/pause", status_code=200, operation_id="pauseQueue", **_ADMIN)
async def pause_queue(actor: Caller, queues: Queues, name: FromPath[str]) -> QueueView:
    """Start no more of its jobs, on any worker; what runs goes on, what comes waits."""
    return await queues.pause(actor, actor.admin_scope, name, paused=True)


@post(_ONE + "/resume", status_code=200, operation_id="resumeQueue", **_ADMIN)
async def resume_queue(actor: Caller, queues: Queues, name: FromPath[str]) -> QueueView:
    """Start its jobs again."""
    return await queues.pause(actor, actor.admin_scope, name, paused=False)


@get("/api/v1/admin/workers", operation_id="listWorkers", **_ADMIN)
async def list_workers(actor: Caller, queues: Queues) -> RestList[WorkerView]:
    """Every process that runs jobs, the newest first."""
    found = await queues.workers(actor.admin_scope)
    return RestList(found, None, len(found))


HANDLERS: Sequence[ControllerRouterHandler] = (
    list_queues,
    get_queue,
    patch_queue,
    pause_queue,
    resume_queue,
    list_workers,
)
