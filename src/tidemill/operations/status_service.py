"""How far anything long-running has got, whatever it is: each kind is asked in turn whether the id is its own."""

from collections.abc import Sequence

from tidemill.kernel.actor import Scope
from tidemill.operations import views
from tidemill.operations.contracts import TaskState
from tidemill.operations.errors import WorkNotFound
from tidemill.operations.ports import StatusSource
from tidemill.platform.db import Database
from tidemill.platform.jobs import repository_desk


class StatusService:
    """Asks its sources in order, jobs last."""

    def __init__(self, db: Database, sources: Sequence[StatusSource]) -> None:
        self._sources: tuple[StatusSource, ...] = (*sources, JobStatus(db))

    async def status(self, scope: Scope, task_id: str) -> TaskState:
        """Return how far it has got. Raises WorkNotFound for what is unknown or another's."""
        # Names are plain; PostgreSQL would not even take a NUL.
        for source in self._sources if task_id.isprintable() else ():
            found = await source.status_of(scope, task_id)
            if found is not None:
                return found
        raise WorkNotFound(task_id=task_id)


class JobStatus:
    """The source that knows jobs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def status_of(self, scope: Scope, task_id: str) -> TaskState | None:
        """Return a job's state."""
        async with self._db.read() as r:
            row = await repository_desk.one(r, scope, task_id)
        if row is None:
            return None
        return TaskState(
            task_id=row["id"],
            type=row["type"],
            status=row["state"],
            progress=views.progress(row),
            error=views.error(row),
            created_at=row["created_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
        )
