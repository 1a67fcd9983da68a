"""A worker's sign of life: one row, written from a thread with a database connection of its own.

A handler that blocks the loop must not cost the process its jobs, so the loop is not asked. The thread watches the loop
in turn: it says where the loop hangs, and after BLOCKED_S it falls silent, so that others take over what is stuck.
"""

import asyncio
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidemill import __version__
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database
from tidemill.platform.jobs import repository_workers
from tidemill.platform.jobs.repository_workers import Owned
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

LAGGING_S = 5.0
BLOCKED_S = 900.0
# Between tries while the database is away.
RETRY_S = 1.0
_SCOPE = SystemScope(SystemReason.JOBS)
Facts = Callable[[], Mapping[str, Any]]
# Told on the loop, after each written beat, which jobs the database says that this worker runs.
Heard = Callable[[Sequence[Owned]], None]


def node() -> str:
    """Return a name for where a process id means something: machine, boot and process-id namespace."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(str(Path(path).readlink()) if path.endswith("pid") else Path(path).read_text().strip()[:8])
        except OSError:
            continue  # not Linux: the host's name alone has to do
    return " ".join(parts)[:100]


def this_process(roles: Sequence[str]) -> dict[str, Any]:
    """Return what a worker's row says of the process itself."""
    return {"host": socket.gethostname(), "node": node(), "pid": os.getpid(), "version": __version__, "roles": [*roles]}


def is_gone(pid: int) -> bool:
    """Tell whether no process of this node has that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Heartbeat:
    """Beats until stopped. ``open_database`` makes the thread's own connection; None beats on the loop instead.

    (A database in memory has one process and one connection: there is nobody to lose a job to.)
    """

    def __init__(
        self,
        db: Database,
        open_database: Callable[[], Database] | None,
        facts: Facts,
        heard: Heard,
        *,
        interval_s: float,
    ) -> None:
        self._db = db
        self._interval_s = interval_s
        self._open = open_database
        self._facts = facts
        self._heard = heard
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loops = TaskOwner()
        self._pong_s = clock.monotonic()
        self._lag_said = False
        self.last_s = clock.monotonic()

    async def start(self) -> None:
        """Write the first beat, then go on by itself."""
        await self._beat(self._db, asyncio.get_running_loop())
        if self._open is None:
            self._loops.spawn("jobs.heartbeat", self._on_loop())
            return
        opens, loop, loop_thread = self._open, asyncio.get_running_loop(), threading.get_ident()
        self._pong_s = clock.monotonic()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._in_thread(opens, loop, loop_thread)), name="jobs.heartbeat", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Beat no more."""
        self._stop.set()
        await self._loops.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def _on_loop(self) -> None:
        await asyncio.sleep(self._interval_s)
        loop = asyncio.get_running_loop()
        await steadily("jobs.heartbeat", lambda: self._beat(self._db, loop), self._interval_s)

    async def _in_thread(
        self, opens: Callable[[], Database], loop: asyncio.AbstractEventLoop, loop_thread: int
    ) -> None:
        db = opens()
        pause_s = self._interval_s
        try:
            while not await asyncio.to_thread(self._stop.wait, pause_s):
                loop.call_soon_threadsafe(self._pong)
                if self._loop_hangs(loop_thread):
                    pause_s = self._interval_s
                    continue
                try:
                    await self._beat(db, loop)
                    pause_s = self._interval_s
                except Exception as error:  # noqa: BLE001 - whatever the database dies of, it is asked again
                    log.warning("jobs.heartbeat_failed", error=str(error) or type(error).__name__)
                    pause_s = RETRY_S
        finally:
            await db.close()

    async def _beat(self, db: Database, loop: asyncio.AbstractEventLoop) -> None:
        began_s = clock.monotonic()
        async with db.write() as w:
            owned = await repository_workers.beat(w, _SCOPE, self._facts())
        self.last_s = began_s
        loop.call_soon_threadsafe(self._heard, owned)

    def _pong(self) -> None:
        self._pong_s = clock.monotonic()

    def _loop_hangs(self, loop_thread: int) -> bool:
        """Tell whether the loop has hung for so long that its jobs are better off elsewhere."""
        lag_s = clock.monotonic() - self._pong_s - self._interval_s
        if lag_s < LAGGING_S:
            self._lag_said = False
        elif not self._lag_said:
            self._lag_said = True
            frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no other way to see it
            frame = frames.get(loop_thread)
            where = "".join(traceback.format_stack(frame)[-6:]) if frame else ""
            log.warning("jobs.loop_blocked", lag_s=round(lag_s, 1), where=where)
        return lag_s > BLOCKED_S
