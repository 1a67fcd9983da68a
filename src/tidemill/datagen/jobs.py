"""Generation as jobs: one leads a task, others help it on the workers that have nothing else of it to do.

The engine of jobs starts them, takes them up after a crash, and tells them to stop or to drain. Its leases are the only
ones: what a run may write, and whether the chunks that are out with it are still being made, follows from its job's.
"""

from tidemill.datagen import repository_crew
from tidemill.datagen.engine.claim import SYSTEM
from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.engine.run import RunEnd, Want
from tidemill.datagen.service import JOB, TaskService
from tidemill.kernel.errors import TooMany
from tidemill.platform.jobs import JobCancelled, JobContext, JobFailed, JobKind, Jobs, JobYield
from tidemill.platform.telemetry import get_logger

HELP = "datagen.help"
# Tasks that one process makes at once; each is bounded by its own max_concurrent.
CONCURRENCY = 64
_log = get_logger("datagen.jobs")


def register(jobs: Jobs, mill: Mill) -> None:
    """Teach the job engine to run generation tasks.

    No bound on crashes of the job that leads: every finished item is on disk, so a run that dies again and again still
    gets on. A process that makes a task already takes no job to help it: that would add nothing.
    """

    async def lead(context: JobContext) -> None:
        recruiter = Recruiter(jobs, mill, context)
        _judge(
            await mill.run(
                context.payload["task_id"],
                context.cancelled,
                context.draining,
                context.progress,
                claim=context,
                recruit=recruiter.recruit,
            )
        )

    async def help_out(context: JobContext) -> None:
        task_id = context.payload["task_id"]
        _judge(await mill.help(task_id, context.cancelled, context.draining, context.progress, context))

    jobs.register(JobKind(type=JOB, handler=lead, max_crashes=None, concurrency=CONCURRENCY))
    jobs.register(
        JobKind(
            type=HELP,
            handler=help_out,
            concurrency=CONCURRENCY,
            takes=lambda payload: not mill.makes(payload["task_id"]),
        )
    )


def _judge(end: RunEnd) -> None:
    match end:
        case "drained":
            raise JobYield
        case "cancelled":
            raise JobCancelled
        case "failed":
            raise JobFailed("task_failed", "the task's own row says why")
        case "finished" | "fenced":
            return


class Recruiter:
    """Sees to it that a task has help, while there are workers to give it and chunks to hand out."""

    def __init__(self, jobs: Jobs, mill: Mill, context: JobContext) -> None:
        self._jobs = jobs
        self._db = mill.database
        self._context = context
        self._asked = 0

    async def recruit(self, want: Want) -> None:
        """Ask for as many more hands as there are free workers, calls to share and chunks left."""
        task_id, entry = want.place.task_id, want.place.entry
        async with self._db.read() as r:
            free = await repository_crew.free_workers(r, SYSTEM, task_id, HELP)
            waiting = await repository_crew.waiting_help(r, SYSTEM, task_id, HELP) if free else 0
        wanted = min(free, want.most - want.hands, want.chunks) - waiting
        if wanted <= 0:
            return
        try:
            async with self._db.write() as w:
                if not await self._context.holds(w):
                    return
                for _ in range(wanted):
                    self._asked += 1
                    await self._jobs.enqueue(
                        w,
                        SYSTEM,
                        HELP,
                        {"task_id": task_id, "n": self._asked},
                        user_id=want.user_id,
                        idem_key=f"{task_id}:{entry}:{self._asked}",
                    )
        except TooMany as error:
            # The queue is full: the task goes on with whom it has, and asks again.
            _log.info("datagen.no_help", task_id=task_id, error=str(error))


async def recover(tasks: TaskService) -> None:
    """At the start of a process that runs jobs: end what a crash cut short between a task and its job."""
    erased, requeued = await tasks.recover()
    _log.info("datagen.recovered", erased=erased, requeued=requeued)
