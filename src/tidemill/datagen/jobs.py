"""Generation as a job: the engine of jobs starts it, takes it up after a crash, and tells it to stop or to drain."""

from collections.abc import Callable

from tidemill.datagen import scheduled
from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.ports import Owners
from tidemill.datagen.samples.upkeep import SampleUpkeep
from tidemill.datagen.scheduled import ScheduledStart
from tidemill.datagen.service import JOB, TaskService
from tidemill.platform.jobs import JobCancelled, JobContext, JobFailed, JobKind, Jobs, JobYield
from tidemill.platform.telemetry import get_logger

# Tasks that one process makes at once; each is bounded by its own max_concurrent.
CONCURRENCY = 64
# A start that a user scheduled, and the daily clearing away of what belongs to no sample file.
START = "datagen.start"
SWEEP = "samples.sweep"
__all__ = ["JOB", "START", "SWEEP", "ScheduledStart", "recover", "register", "register_starts", "register_sweep"]
_log = get_logger("datagen.jobs")


def register(jobs: Jobs, mill: Mill) -> None:
    """Teach the job engine to run generation tasks.

    No bound on crashes: every finished item is on disk, so a run that dies again and again still gets on.
    """

    async def handle(context: JobContext) -> None:
        end = await mill.run(context.payload["task_id"], context.cancelled, context.draining, context.progress)
        match end:
            case "drained":
                raise JobYield
            case "cancelled":
                raise JobCancelled
            case "failed":
                raise JobFailed("task_failed", "the task's own row says why")
            case "finished" | "fenced":
                return

    jobs.register(JobKind(type=JOB, handler=handle, max_crashes=None, concurrency=CONCURRENCY))


def register_starts(jobs: Jobs, tasks: Callable[[], TaskService], owners: Owners) -> None:
    """Teach the job engine to start what users scheduled; ``tasks`` is asked for when there is something to start."""

    async def handle(context: JobContext) -> None:
        await scheduled.start(tasks(), owners, context)

    jobs.register(JobKind(type=START, handler=handle))


def register_sweep(jobs: Jobs, upkeep: Callable[[], SampleUpkeep]) -> None:
    """Teach the job engine to clear away what belongs to no sample file."""

    async def handle(context: JobContext) -> None:
        removed = await upkeep().sweep()
        context.progress(removed, removed)

    jobs.register(JobKind(type=SWEEP, handler=handle, concurrency=1))


async def recover(tasks: TaskService) -> None:
    """At the start of a process that runs jobs: end what a crash cut short between a task and its job."""
    erased, requeued = await tasks.recover()
    _log.info("datagen.recovered", erased=erased, requeued=requeued)
