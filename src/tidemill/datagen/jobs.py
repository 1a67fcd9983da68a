"""Generation as a job: the engine of jobs starts it, takes it up after a crash, and tells it to stop or to drain."""

from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.service import JOB, TaskService
from tidemill.platform.jobs import JobCancelled, JobContext, JobFailed, JobKind, Jobs, JobYield
from tidemill.platform.telemetry import get_logger

# Tasks that one process makes at once; each is bounded by its own max_concurrent.
CONCURRENCY = 64
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


async def recover(tasks: TaskService) -> None:
    """At the start of a process that runs jobs: end what a crash cut short between a task and its job."""
    erased, requeued = await tasks.recover()
    _log.info("datagen.recovered", erased=erased, requeued=requeued)
