"""Writes the ends of runs in groups: one transaction for all that ended within ten milliseconds.

While the database is away an end waits here, for as long as its lease can still be alive; then it is dropped, since
somebody else has the job by then.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database
from tidemill.platform.jobs import repository
from tidemill.platform.jobs.repository import End
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

GROUP_S = 0.01
GROUP_ROWS = 512
RETRY_S = 0.5
_SCOPE = SystemScope(SystemReason.JOBS)


class _Waiting(Struct):
    end: End
    kept: "asyncio.Future[bool]"
    since_s: float


class Finisher:
    """The group commit of ended runs."""

    def __init__(self, db: Database, lease_s: float) -> None:
        self._db = db
        self._lease_s = lease_s
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._loop = TaskOwner()

    def start(self) -> None:
        """Begin to write."""
        self._loop.spawn("jobs.finish", self._write_forever())

    async def put(self, end: End) -> bool:
        """Have an end written; returns True once it is, False when the lease was lost."""
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(end, kept, clock.monotonic()))
        self._arrived.set()
        return await kept

    async def close(self) -> None:
        """Write what is left and stop."""
        self._closing = True
        self._arrived.set()
        await self._loop.drain(self._lease_s)
        _resolve(self._waiting, frozenset())

    async def _write_forever(self) -> None:
        while self._waiting or not self._closing:
            await self._arrived.wait()
            self._arrived.clear()
            if not self._closing:
                await asyncio.sleep(GROUP_S)
            while self._waiting:
                group = self._waiting[:GROUP_ROWS]
                del self._waiting[:GROUP_ROWS]
                await self._write(group)

    async def _write(self, group: list[_Waiting]) -> None:
        said = False
        while group:
            try:
                async with self._db.write() as w:
                    kept = await repository.finish(w, _SCOPE, [one.end for one in group])
            except Exception as error:  # noqa: BLE001 - whatever the database dies of, the ends are still to be written
                if not said:
                    log.warning("jobs.finish_failed", count=len(group), error=str(error) or type(error).__name__)
                said = True
                await asyncio.sleep(RETRY_S)
                lapsed = [one for one in group if clock.monotonic() - one.since_s > self._lease_s]
                _resolve(lapsed, frozenset())
                group = [one for one in group if one not in lapsed]
            else:
                _resolve(group, frozenset(kept))
                return


def _resolve(group: Sequence[_Waiting], kept: frozenset[str]) -> None:
    for one in group:
        if not one.kept.done():
            one.kept.set_result(one.end.lease.job_id in kept)
