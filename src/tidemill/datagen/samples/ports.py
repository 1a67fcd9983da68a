"""What sample files must know of tasks, without knowing tasks."""

from typing import Protocol

from tidemill.platform.db import Reader


class LiveTasks(Protocol):
    """Which tasks hold on to a file."""

    async def uses_file(self, r: Reader, file_id: int) -> bool:
        """Tell whether a pending or running task reads the file."""
        ...

    async def pinned_versions(self, r: Reader, file_id: int) -> list[int]:
        """Return the versions that tasks still read, or will read again when they are resumed."""
        ...
