"""Erase what a deleted user owns here: tasks with their rows and reports, sample files with their objects."""

from tidemill.datagen import repository, repository_crew
from tidemill.datagen.samples.upkeep import SampleUpkeep
from tidemill.kernel.actor import Scope, SystemReason, SystemScope, UserScope
from tidemill.platform.db import Writer
from tidemill.platform.jobs import Jobs
from tidemill.platform.tasks import TaskOwner

_SYSTEM = SystemScope(SystemReason.GENERATION)
# More running tasks than one user can have; each holds at least one call in flight.
_MAX_RUNNING = 10_000


class DatagenEraser:
    """Identity's port ``UserDataEraser``. Rows go with the user's own row (foreign keys cascade).

    Objects go after the commit; what a crash leaves of them, the daily sweep finds.
    """

    def __init__(self, jobs: Jobs, upkeep: SampleUpkeep, background: TaskOwner) -> None:
        self._jobs = jobs
        self._upkeep = upkeep
        self._background = background

    async def erase(self, w: Writer, scope: Scope, user_id: int) -> None:
        """Stop the user's tasks and delete the user's files, in the caller's transaction."""
        del scope  # the caller is the deletion of an account, whoever asked for it
        for row in await repository.running(w, UserScope(user_id), _MAX_RUNNING):
            jobs = {row["job_id"], *await repository_crew.disband(w, _SYSTEM, row["task_id"])}
            for job_id in sorted(job_id for job_id in jobs if job_id):
                await self._jobs.cancel(w, _SYSTEM, job_id)
        keys = await self._upkeep.erase_user(w, user_id)
        if keys:
            w.after_commit(lambda: self._discard(keys))

    def _discard(self, keys: list[str]) -> None:
        self._background.spawn("samples.discard", self._upkeep.discard(keys))
