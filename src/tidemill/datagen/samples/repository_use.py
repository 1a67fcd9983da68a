"""Which tasks hold on to a sample file, asked of the tasks' own table."""

from sqlalchemy import select

from tidemill.datagen.tables import tasks
from tidemill.platform.db import Reader

_LIVE = ("pending", "running")
_DONE = ("finished", "deleted")


class TaskTable:
    """The port ``LiveTasks`` over the table ``tasks``."""

    async def uses_file(self, r: Reader, file_id: int) -> bool:
        """Tell whether a pending or running task reads the file (index ix_tasks_file_id)."""
        found = await r.scalar(select(tasks.c.id).where(tasks.c.file_id == file_id, tasks.c.status.in_(_LIVE)).limit(1))
        return found is not None

    async def pinned_versions(self, r: Reader, file_id: int) -> list[int]:
        """Return the versions of all tasks that are not finished: a stopped or failed one may be resumed."""
        rows = await r.all(select(tasks.c.plan).where(tasks.c.file_id == file_id, tasks.c.status.not_in(_DONE)))
        versions = {int(row["plan"]["file_version"]) for row in rows if row["plan"]}
        return sorted(versions)
