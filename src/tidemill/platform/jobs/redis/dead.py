"""Markers of dead jobs, for people who look with the server's own tools; the jobs are rows of the database."""

from collections.abc import Sequence
from typing import Any

from tidemill.kernel import clock
from tidemill.platform.jobs.redis.commands import Names
from tidemill.platform.jobs.transport import StillDead, Ticket
from tidemill.platform.redis import Away, Link, Refused
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

PAGE = 500
MAX_REASON = 500


class DeadLetters:
    """The stream of markers; what is older than ``kept_s`` is trimmed."""

    def __init__(self, link: Link, names: Names, kept_s: float) -> None:
        self._link = link
        self._names = names
        self._kept_s = kept_s

    async def bury(self, ticket: Ticket, reason: str) -> None:
        """Leave a marker; without one, when the server is away or refuses, the job is dead all the same."""
        fields = ("job", ticket.job_id, "epoch", ticket.epoch, "queue", ticket.queue, "reason", reason[:MAX_REASON])
        try:
            await self._link.ask("XADD", self._names.dead, "MINID", "~", self._oldest(), "*", *fields)
        except (Away, Refused) as error:
            log.info("redis.not_buried", job_id=ticket.job_id, error=str(error))

    async def settle(self, still_dead: StillDead) -> int:
        """Remove the markers of jobs that are dead no more, and those that are too old; returns how many of the first.

        Raises what ``still_dead`` raises: the markers stay.
        """
        try:
            await self._link.ask("XTRIM", self._names.dead, "MINID", self._oldest())
            return await self._settle(still_dead)
        except (Away, Refused) as error:
            log.info("redis.not_settled", error=str(error))
            return 0

    async def _settle(self, still_dead: StillDead) -> int:
        removed, after = 0, "-"
        while page := await self._link.ask("XRANGE", self._names.dead, after, "+", "COUNT", PAGE):
            jobs = {entry[0]: _job_of(entry[1]) for entry in page}
            dead = await still_dead(sorted(set(jobs.values())))
            gone = [entry_id for entry_id, job_id in jobs.items() if job_id not in dead]
            if gone:
                removed += await self._link.ask("XDEL", self._names.dead, *gone)
            after = f"({page[-1][0].decode()}"
        return removed

    def _oldest(self) -> int:
        """Return the least id that is kept, in ms of our clock."""
        return max(0, round((clock.now().timestamp() - self._kept_s) * 1000))


def _job_of(fields: Sequence[Any]) -> str:
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name == b"job":
            return value.decode()
    return ""
