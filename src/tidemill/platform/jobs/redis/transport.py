"""Redis or Valkey behind the port of what carries tickets.

A stream for each queue with one group of consumers, one consumer a process. Nothing is trimmed: a ticket is deleted
when it is acknowledged. A server that loses the last second of what it was told (``appendfsync everysec``), or all of
it, costs latency: the relay sends tickets again.
"""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from itertools import groupby
from uuid import uuid4

from tidemill.platform.jobs.redis.commands import MAX_TICKETS, Names
from tidemill.platform.jobs.redis.consumer import Consumer, Counts
from tidemill.platform.jobs.redis.dead import DeadLetters
from tidemill.platform.jobs.redis.pace import Pace
from tidemill.platform.jobs.transport import Facts, StillDead, Ticket, Wake
from tidemill.platform.redis import Away, Client, Link, Refused, Word
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

# Tickets in one command at most: the server does nothing else meanwhile.
BATCH = 500


class RedisTransport:
    """One process's end of a Redis or Valkey server (6.2 or newer, one primary, no cluster).

    ``url`` is ``redis://[user:password@]host[:port][/database]``, or ``rediss``. Everything is named below ``prefix``.
    """

    name: str = "redis"
    remote: bool = True

    def __init__(
        self, url: str, *, prefix: str = "tidemill", pace: Pace | None = None, max_tickets: int = MAX_TICKETS
    ) -> None:
        """Open nothing yet. Raises BadInput for an address that is none."""
        self._link = Link(Client(url, setting="queue.url"), "jobs")
        self._names = Names(prefix)
        self._pace = pace or Pace()
        self._max_tickets = max_tickets
        self._counts = Counts()
        self._dead = DeadLetters(self._link, self._names, self._pace.dead_kept_s)
        self._tasks = TaskOwner()
        self._consumer_name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._consumers: dict[str, Consumer] = {}
        self._paused: set[str] = set()
        # What the server last answered instead of keeping a ticket; None once it keeps them again.
        self._refusal: str | None = None
        # Held while consumers are started or stopped.
        self._switching = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Tell whether tickets can be sent and received now."""
        return self._link.is_up

    def facts(self) -> Facts:
        """Return this end's state and counts."""
        return Facts(
            name=self.name,
            state=self._link.state,
            since=self._link.since,
            reconnects=self._link.returns,
            published=self._counts.published,
            refused=self._counts.refused,
            delivered=self._counts.delivered,
            redelivered=self._counts.redelivered,
            nacked=self._counts.nacked,
            error=self._refusal or self._link.error,
        )

    async def start(self) -> None:
        """Begin to connect, and keep connected until closed."""
        if len(self._tasks):
            return
        self._link.start()
        self._tasks.spawn("redis.move", steadily("redis.move", self.move_due, self._pace.move_every_s))
        self._tasks.spawn("redis.take_over", steadily("redis.take_over", self._take_over, self._pace.take_over_every_s))

    # --- sending

    async def publish(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Send tickets; returns those that the server keeps, none while it is away.

        A queue takes 200,000 at a time, waiting and delayed each: past it the rest is refused.
        """
        if not self._link.is_up:
            return ()
        batches = _batches(tickets)
        try:
            answers = await self._link.ask_all([self._sent(batch) for batch in batches])
        except Away:
            return ()
        confirmed: list[Ticket] = []
        refusal: str | None = None
        for batch, kept in zip(batches, answers, strict=True):
            if isinstance(kept, Refused):
                refusal = str(kept)
            else:
                confirmed += batch[:kept]
        if refusal is not None and self._refusal is None:
            log.warning("redis.refuses_tickets", error=refusal)
        self._refusal = refusal
        self._counts.published += len(confirmed)
        self._counts.refused += len(tickets) - len(confirmed)
        return confirmed

    def _sent(self, batch: Sequence[Ticket]) -> Sequence[Word]:
        first = batch[0]
        step = self._names.delay if first.delay_s > 0 else self._names.publish
        return step(first.queue, batch, self._max_tickets)

    async def move_due(self) -> int:
        """Move what is due from the delayed tickets to the waiting ones; returns how many, 0 while away.

        Any number of processes may do it at the same time.
        """
        if not self._link.is_up:
            return 0
        try:
            return await self._link.ask(*self._names.move())
        except Away:
            return 0

    # --- receiving

    async def consume(self, queue: str, prefetch: int, wake: Wake) -> None:
        """Receive the tickets of ``queue``, at most ``prefetch`` unacknowledged at a time, until stopped.

        Asked again, it goes by the new numbers from the next batch on.
        """
        async with self._switching:
            consumer = self._consumers.get(queue)
            if consumer is None:
                consumer = self._consumers[queue] = Consumer(
                    self._link, self._names, queue, self._consumer_name, pace=self._pace, counts=self._counts
                )
            consumer.prefetch, consumer.wake = max(1, prefetch), wake
            if queue not in self._paused and not consumer.is_running:
                consumer.start()

    async def pause(self, queue: str) -> None:
        """Receive no more of ``queue``; what was received and not acknowledged goes back."""
        async with self._switching:
            self._paused.add(queue)
            consumer = self._consumers.get(queue)
            if consumer is not None and consumer.is_running:
                await consumer.stop()

    async def resume(self, queue: str) -> None:
        """Receive ``queue`` again."""
        async with self._switching:
            self._paused.discard(queue)
            consumer = self._consumers.get(queue)
            if consumer is not None and not consumer.is_running:
                consumer.start()

    async def stop_consuming(self) -> None:
        """Receive nothing more; unacknowledged tickets go back."""
        async with self._switching:
            running = [consumer for consumer in self._consumers.values() if consumer.is_running]
            self._consumers.clear()
            await asyncio.gather(*(consumer.stop() for consumer in running))

    async def _take_over(self) -> None:
        for consumer in list(self._consumers.values()):
            if consumer.is_running and self._link.is_up:
                try:
                    await consumer.take_over()
                except Away:
                    return

    # --- dead letters and figures

    async def bury(self, ticket: Ticket, reason: str) -> None:
        """Leave a marker of a dead job in the stream of dead letters, if the server can be reached."""
        if self._link.is_up:
            await self._dead.bury(ticket, reason)

    async def settle_dead(self, still_dead: StillDead) -> int:
        """Remove the markers of jobs that are dead no more; returns how many."""
        return await self._dead.settle(still_dead) if self._link.is_up else 0

    async def depths(self) -> Mapping[str, int]:
        """Return how many tickets the server holds, waiting, delayed or being looked at, by queue."""
        if not self._link.is_up:
            return {}
        try:
            known = [name.decode() for name in await self._link.ask("SMEMBERS", self._names.queues)]
            queues = sorted({*known, *self._consumers})
            counts = await self._link.ask_all(
                [
                    question
                    for queue in queues
                    for question in (("XLEN", self._names.stream(queue)), ("ZCARD", self._names.delayed(queue)))
                ]
            )
        except (Away, Refused):
            return {}
        if any(isinstance(count, Refused) for count in counts):
            return {}
        return {queue: counts[2 * number] + counts[2 * number + 1] for number, queue in enumerate(queues)}

    async def close(self) -> None:
        """Disconnect; nothing of it runs afterwards."""
        await self.stop_consuming()
        await self._tasks.cancel()
        await self._link.close()


def _batches(tickets: Sequence[Ticket]) -> list[Sequence[Ticket]]:
    """Return the tickets by what one command takes: of one queue, all delayed or none, not too many."""

    def kind(ticket: Ticket) -> tuple[str, bool]:
        return ticket.queue, ticket.delay_s > 0

    found: list[Sequence[Ticket]] = []
    for _, group in groupby(sorted(tickets, key=kind), key=kind):
        alike = list(group)
        found += [alike[start : start + BATCH] for start in range(0, len(alike), BATCH)]
    return found
