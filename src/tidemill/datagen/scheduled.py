"""What is done at times: a start of a task that somebody scheduled, and the clearing away of unused objects.

A start is checked when the schedule is made and carried out when it fires. The job's id names the task that it starts,
so that a run whose process died after the start makes no second task.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from tidemill.datagen.contracts import StartRequest
from tidemill.datagen.ports import Owners
from tidemill.datagen.samples.upkeep import SampleUpkeep
from tidemill.datagen.service import TaskService
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput, FieldProblem
from tidemill.kernel.lang import Lang
from tidemill.platform.db import IntegrityError
from tidemill.platform.jobs import JobContext, JobFailed, JobKind, Jobs

START = "datagen.start"
SWEEP = "samples.sweep"
_FIELDS = frozenset(StartRequest.__struct_fields__)


class ScheduledStart:
    """The ``Schedulable`` of ``datagen.start``: its payload is the body of ``POST /api/start``."""

    def __init__(self, tasks: TaskService) -> None:
        self._tasks = tasks

    async def check(self, actor: Actor, payload: dict[str, Any], lang: Lang) -> dict[str, Any]:
        """Return the payload to keep; raises what a start would.

        A key that is limited to some models pins those that it may use now: the schedule runs with its owner's rights.
        """
        request = read(payload)
        if request.preview:
            raise BadInput.of("preview", "a schedule keeps what it makes; leave it out")
        ready = await self._tasks.check(actor, request, lang)
        pinned = {**payload, "models": list(ready.plan.models)}
        return payload if actor.models is None or request.model or request.models else pinned


def register_starts(jobs: Jobs, tasks: Callable[[], TaskService], owners: Owners) -> None:
    """Teach the job engine to start what users scheduled; ``tasks`` is asked for when there is something to start."""

    async def handle(context: JobContext) -> None:
        await start(tasks(), owners, context)

    jobs.register(JobKind(type=START, handler=handle))


def register_sweep(jobs: Jobs, upkeep: Callable[[], SampleUpkeep]) -> None:
    """Teach the job engine to clear away what belongs to no sample file."""

    async def handle(context: JobContext) -> None:
        removed = await upkeep().sweep()
        context.progress(removed, removed)

    jobs.register(JobKind(type=SWEEP, handler=handle, concurrency=1))


async def start(tasks: TaskService, owners: Owners, context: JobContext) -> None:
    """Start the task as the owner is now. Raises JobFailed for one who is gone or disabled."""
    owner = None if context.user_id is None else await owners.actor(context.user_id)
    if owner is None:
        raise JobFailed("owner_disabled", "Its user is disabled or gone: nothing was started.")
    name = task_name(context.job_id)
    if await tasks.status_of(owner.scope, name) is None:
        try:
            await tasks.start(owner, read(context.payload), "en", task_id=name)
        except IntegrityError:
            # Another run of this job, taken for dead, was a moment earlier.
            if await tasks.status_of(owner.scope, name) is None:
                raise
    await context.save({"task_id": name})
    context.progress(1, 1, name)


def task_name(job_id: str) -> str:
    """Return the name of the task that a job starts: when the job was made, and the random end of its id."""
    made = datetime.fromtimestamp((UUID(job_id).int >> 80) / 1000, UTC)
    return f"task_{made:%Y%m%d_%H%M%S}_{job_id[-8:]}"


def read(payload: dict[str, Any]) -> StartRequest:
    """Read a payload; raises BadInput naming the field."""
    if unknown := sorted(payload.keys() - _FIELDS):
        problems = [FieldProblem(name, "is not a field of POST /api/start; leave it out") for name in unknown]
        raise BadInput("; ".join(f"{one.field}: {one.message}" for one in problems), fields=problems)
    try:
        return msgspec.convert(payload, StartRequest)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        missing = text.partition("missing required field `")[2].rstrip("`")
        raise BadInput.of(missing or where.rstrip("`") or "payload", text) from None
