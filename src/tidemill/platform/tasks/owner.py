"""Spawn tasks that cannot get lost.

asyncio keeps only a weak reference to a task and reports its failure when it is collected, if at all. An owner keeps
each one until it ends, logs what it died of, and at the end waits for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.platform.telemetry.logs import get_logger

T = TypeVar("T")

log = get_logger(__name__)


class TaskOwner:
    """Owns the tasks of one part of the program."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many tasks have not ended."""
        return len(self._tasks)

    def spawn(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in the background under ``name``; its failure is logged, never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, TidemillError):
            log.warning("task.failed", task=task.get_name(), error=str(error))
        else:
            log.error("task.failed", task=task.get_name(), exc_info=error)

    async def drain(self, timeout_s: float) -> None:
        """Wait up to ``timeout_s`` for every task, then cancel what is left and wait for that."""
        mine = asyncio.current_task()
        pending = {task for task in self._tasks if task is not mine}
        if pending and timeout_s > 0:
            _, pending = await asyncio.wait(pending, timeout=timeout_s)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)

    async def cancel(self) -> None:
        """Cancel every task and wait until all have ended."""
        await self.drain(0)


async def apart(name: str, work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` in a task of its own and wait for it, as if it had been awaited here; cancelling goes through.

    A task that wakes walks through all coroutines between its first and the one that waits. Work that wakes for every
    event of a stream, deep inside a call, pays for that walk each time; in a task of its own it walks its own only.
    """
    return await asyncio.get_running_loop().create_task(work, name=name)


async def steadily(name: str, work: Callable[[], Awaitable[object]], every_s: float) -> None:
    """Do ``work`` again and again with pauses of ``every_s`` between, whatever becomes of one round.

    A failure is logged once an outage, with how long it lasted when it is over; meanwhile rounds are at least a second
    apart.
    """
    failed_at_s: float | None = None
    while True:
        try:
            await work()
        except Exception as error:
            if failed_at_s is None:
                failed_at_s = clock.monotonic()
                log.warning("task.round_failed", task=name, exc_info=error)
        else:
            if failed_at_s is not None:
                log.info("task.round_recovered", task=name, after_s=round(clock.monotonic() - failed_at_s, 1))
                failed_at_s = None
        await asyncio.sleep(every_s if failed_at_s is None else max(every_s, 1.0))
