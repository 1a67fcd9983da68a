"""Receives the tickets of one queue for one process.

What was received stays with this consumer until it is acknowledged. So after a broken connection, a failed look or a
take-over it first reads again what it holds, and only then what nobody has received.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tidemill.platform.jobs.redis.commands import Names
from tidemill.platform.jobs.redis.pace import Pace
from tidemill.platform.jobs.transport import Ticket, Wake
from tidemill.platform.redis import Away, Link, Refused
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

# What a server says that has lost the stream or its group.
_EMPTIED = ("NOGROUP", "UNBLOCKED", "no such key")


class Counts(Struct):
    """What this process has done since it started."""

    published: int = 0
    refused: int = 0
    delivered: int = 0
    redelivered: int = 0
    nacked: int = 0


class _Entry(Struct, frozen=True):
    id: bytes
    # None for an entry that is no ticket, or was deleted while it was held.
    ticket: Ticket | None


class Consumer:
    """One queue's tickets, in batches of at most ``prefetch``, each acknowledged before the next is asked for."""

    def __init__(self, link: Link, names: Names, queue: str, name: str, *, pace: Pace, counts: Counts) -> None:
        self.prefetch = 1
        self.wake: Wake | None = None
        self._link = link
        self._names = names
        self._queue = queue
        self._name = name
        self._pace = pace
        self._counts = counts
        self._tasks = TaskOwner()
        self._holds = True
        self._looking = False
        self._stopping = False

    @property
    def is_running(self) -> bool:
        """Whether it receives, or would if the server were there."""
        return len(self._tasks) > 0 and not self._stopping

    def start(self) -> None:
        """Begin to receive."""
        self._stopping = False
        self._holds = True
        self._tasks.spawn(f"redis.consume.{self._queue}", self._run())

    async def stop(self) -> None:
        """Receive no more, let a look under way end, and hand back what is not acknowledged."""
        self._stopping = True
        await self._tasks.drain(self._pace.stop_s if self._looking else 0)
        if not self._link.is_up:
            # It cannot be handed back now: another consumer takes it over.
            return
        try:
            back = await self._link.ask(*self._names.leave(self._queue, self._name))
        except (Away, Refused) as error:
            log.info("redis.not_handed_back", queue=self._queue, error=str(error))
        else:
            self._counts.nacked += back

    async def take_over(self) -> None:
        """Take what others have held for too long, and remove those that are gone.

        What it took is looked at by the loop that receives. Raises Away.
        """
        try:
            if await self._take_all():
                self._holds = True
            await self._link.ask(*self._names.forget(self._queue, round(self._pace.forget_after_s * 1000)))
        except Refused as error:
            await self._mend(error)

    async def _take_all(self) -> int:
        cursor, taken, idle_ms = b"0-0", 0, round(self._pace.take_over_after_s * 1000)
        while True:
            answer = await self._link.ask(*self._names.take_over(self._queue, self._name, idle_ms, cursor))
            cursor, entries = answer[0], answer[1]
            taken += len(entries)
            if cursor == b"0-0":
                return taken

    async def _run(self) -> None:
        while not self._stopping:
            await self._link.wait_up()
            try:
                await self._receive()
            except Away:
                self._holds = True
            except Refused as error:
                await self._mend(error)

    async def _receive(self) -> None:
        """Receive one batch, have it looked at, acknowledge it."""
        again = self._holds
        # Before the question, so that a take-over meanwhile is not forgotten.
        self._holds = False
        entries = await self._ask(again)
        if not entries:
            return
        if again:
            # There may be more of it than one batch.
            self._holds = True
        tickets = [entry.ticket for entry in entries if entry.ticket is not None]
        self._counts.delivered += len(tickets)
        self._counts.redelivered += len(tickets) if again else 0
        if tickets and not await self._look(tickets):
            self._holds = True
            await asyncio.sleep(self._pace.retry_s)
            return
        answers = await self._link.ask_all(self._names.acknowledge(self._queue, [entry.id for entry in entries]))
        refusals = [answer for answer in answers if isinstance(answer, Refused)]
        if refusals:
            raise refusals[0]

    async def _ask(self, again: bool) -> list[_Entry]:  # noqa: FBT001 - which of two questions
        if again:
            answer = await self._link.ask(*self._names.read_held(self._queue, self._name, self.prefetch))
        else:
            block_s = self._pace.block_s
            question = self._names.read(self._queue, self._name, self.prefetch, round(block_s * 1000))
            answer = await self._link.ask(*question, timeout_s=block_s + 5)
        return [self._entry(item) for item in answer[0][1]] if answer else []

    def _entry(self, item: Sequence[Any]) -> _Entry:
        entry_id, fields = item[0], item[1]
        if fields and len(fields) >= 2 and fields[0] == b"t":  # noqa: PLR2004 - a name and its value
            job_id, _, epoch = fields[1].decode().rpartition(":")
            if job_id and epoch.isdigit():
                return _Entry(entry_id, Ticket(job_id, int(epoch), self._queue))
        return _Entry(entry_id, None)

    async def _look(self, tickets: Sequence[Ticket]) -> bool:
        """Have the tickets looked at; False when it failed, which leaves them unacknowledged."""
        if self.wake is None:
            return False
        self._looking = True
        try:
            await self.wake(self._queue, tickets)
        except Exception as error:
            self._counts.nacked += len(tickets)
            log.warning("redis.look_failed", queue=self._queue, tickets=len(tickets), exc_info=error)
            return False
        finally:
            self._looking = False
        return True

    async def _mend(self, error: Refused) -> None:
        """Make the stream and its group where they are not, as on a server that was emptied."""
        self._holds = True
        if not any(words in str(error) for words in _EMPTIED):
            log.warning("redis.refused", queue=self._queue, error=str(error))
            await asyncio.sleep(1)
            return
        try:
            await self._link.ask(*self._names.make_group(self._queue))
        except Away:
            return
        except Refused as refusal:
            if not str(refusal).startswith("BUSYGROUP"):
                log.warning("redis.refused", queue=self._queue, error=str(refusal))
                await asyncio.sleep(1)
