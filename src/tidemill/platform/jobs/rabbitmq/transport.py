"""RabbitMQ behind the port of what carries tickets.

A keeper opens a link, restores the consumers, waits until the link is lost, and begins again, for as long as the
transport is open. Everything else uses the link there is, and does without when there is none.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tidemill.kernel import clock
from tidemill.kernel.retry import full_jitter
from tidemill.platform.jobs.rabbitmq import letters
from tidemill.platform.jobs.rabbitmq.errors import BrokerAway
from tidemill.platform.jobs.rabbitmq.pace import Pace
from tidemill.platform.jobs.rabbitmq.standing import Standing
from tidemill.platform.jobs.rabbitmq.topology import Topology, key, longest_delay_within
from tidemill.platform.jobs.transport import Facts, StillDead, Ticket, Wake
from tidemill.platform.tasks import TaskOwner, steadily

if TYPE_CHECKING:
    from tidemill.platform.jobs.rabbitmq.consumer import Reception, Source
    from tidemill.platform.jobs.rabbitmq.link import Letter, Link

# Letters that wait for their confirmation at a time.
BATCH = 500
# How long closing waits for looks that are under way, and for the server to say goodbye.
LOOK_S = 2.0
CLOSE_S = 6.0


class RabbitMqTransport:
    """One process's end of a RabbitMQ server: two connections, one channel for each queue received.

    ``url`` is ``amqp://user:password@host:5672/virtual-host``, or ``amqps``. Everything on the server is named below
    ``prefix``; ``topology`` shows it.
    """

    name: str = "rabbitmq"
    remote: bool = True

    def __init__(self, url: str, *, prefix: str = "tidemill", pace: Pace | None = None) -> None:
        self._url = url
        self._topology = Topology(prefix)
        self._pace = pace or Pace()
        self._standing = Standing(self.name)
        self._tasks = TaskOwner()
        # Connections that are being closed: not to be cancelled half way, or the library leaves tasks behind.
        self._closers = TaskOwner()
        self._keeper: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._failures = 0
        # Queues that this process has sent to or received from: each link declares them.
        self._known: set[str] = set()
        self._sources: dict[str, Source] = {}
        self._paused: set[str] = set()
        self._receptions: dict[str, Reception] = {}
        # Held while receptions are started or stopped.
        self._switching = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Tell whether tickets can be sent and received now."""
        return self._usable() is not None

    def facts(self) -> Facts:
        """Return this end's state and counts."""
        if self._link is not None and self._link.lost.is_set():
            # The keeper will say so in a moment; nobody is to read "up" meanwhile.
            self._standing.away(self._link.cause)
        return self._standing.facts()

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._keeper is None:
            self._keeper = self._tasks.spawn("rabbitmq.keeper", steadily("rabbitmq.keeper", self._live, 0))

    # --- sending

    async def publish(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Send tickets; returns those that the server has confirmed to keep on disk.

        A delay is rounded down to the longest of ``topology.DELAYS_S``, so a ticket comes on time or early; one of
        less than five seconds is left to the relay.
        """
        confirmed: list[Ticket] = []
        for start in range(0, len(tickets), BATCH):
            link = self._usable()
            if link is None:
                break
            confirmed += await self._send(link, tickets[start : start + BATCH])
        return confirmed

    async def _send(self, link: "Link", tickets: Sequence[Ticket]) -> list[Ticket]:
        pairs = [(ticket, letter) for ticket in tickets if (letter := self._letter(ticket)) is not None]
        queues = {ticket.queue for ticket, _ in pairs}
        self._known |= queues
        try:
            for queue in queues:
                await link.ensure(queue)
        except BrokerAway:
            return []
        kept = await link.send([letter for _, letter in pairs])
        self._standing.published += sum(kept)
        self._standing.refused += len(kept) - sum(kept)
        return [ticket for (ticket, _), is_kept in zip(pairs, kept, strict=True) if is_kept]

    def _letter(self, ticket: Ticket) -> "Letter | None":
        from tidemill.platform.jobs.rabbitmq.link import Letter  # noqa: PLC0415 - loaded on first use

        exchange = self._topology.jobs
        if ticket.delay_s > 0:
            delay_s = longest_delay_within(ticket.delay_s)
            if delay_s is None:
                return None
            exchange = self._topology.delay(delay_s)
        return Letter(exchange, key(ticket.queue), letters.encode(ticket), ticket.name)

    # --- receiving

    async def consume(self, queue: str, prefetch: int, wake: Wake) -> None:
        """Receive the tickets of ``queue``, at most ``prefetch`` unacknowledged at a time, until stopped.

        Asked again, it goes by the new numbers.
        """
        from tidemill.platform.jobs.rabbitmq.consumer import Source  # noqa: PLC0415 - loaded on first use

        source = Source(queue, self._topology.queue(queue), prefetch, wake)
        async with self._switching:
            self._known.add(queue)
            if self._sources.get(queue) == source and queue in self._receptions:
                return
            self._sources[queue] = source
            await self._stop(queue)
            await self._receive_again(queue)

    async def pause(self, queue: str) -> None:
        """Receive no more of ``queue``; what was received and not acknowledged goes back."""
        async with self._switching:
            self._paused.add(queue)
            await self._stop(queue)

    async def resume(self, queue: str) -> None:
        """Receive ``queue`` again."""
        async with self._switching:
            self._paused.discard(queue)
            if queue not in self._receptions:
                await self._receive_again(queue)

    async def stop_consuming(self) -> None:
        """Receive nothing more; unacknowledged tickets go back."""
        self._sources.clear()
        async with self._switching:
            for queue in list(self._receptions):
                await self._stop(queue)

    async def _receive_again(self, queue: str) -> None:
        link = self._usable()
        if link is not None:
            # A failure loses the link, and the keeper restores every queue on the next.
            with suppress(BrokerAway):
                await self._receive(link, queue)

    async def _receive(self, link: "Link", queue: str) -> None:
        from tidemill.platform.jobs.rabbitmq.consumer import Reception  # noqa: PLC0415 - loaded on first use

        source = self._sources.get(queue)
        if source is None or queue in self._paused:
            return
        await link.ensure(queue)
        reception = Reception(link, source, self._pace, self._standing, self._tasks)
        await reception.start()
        self._receptions[queue] = reception

    async def _stop(self, queue: str) -> None:
        reception = self._receptions.pop(queue, None)
        if reception is not None:
            await reception.stop()

    # --- dead letters and figures

    async def bury(self, ticket: Ticket, reason: str) -> None:
        """Leave a marker of a dead job in the dead letters, if the server can be reached."""
        from tidemill.platform.jobs.rabbitmq import dead  # noqa: PLC0415 - loaded on first use

        if (link := self._usable()) is not None:
            await dead.bury(link, self._topology, ticket, reason)

    async def settle_dead(self, still_dead: StillDead) -> int:
        """Remove the markers of jobs that are dead no more; returns how many, 0 when the server was lost meanwhile."""
        from tidemill.platform.jobs.rabbitmq import dead  # noqa: PLC0415 - loaded on first use

        if (link := self._usable()) is None:
            return 0
        try:
            return await dead.settle(link, self._topology, still_dead)
        except BrokerAway:
            return 0

    async def depths(self) -> Mapping[str, int]:
        """Return how many tickets wait on the server in each queue that this process sends to or receives from."""
        link = self._usable()
        if link is None:
            return {}
        try:
            return {queue: (await link.count(self._topology.queue(queue))).messages for queue in sorted(self._known)}
        except BrokerAway:
            return {}

    async def close(self) -> None:
        """Disconnect; nothing of it runs afterwards."""
        self._sources.clear()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._tasks.drain(LOOK_S)
        await self._closers.drain(CLOSE_S)
        self._standing.closed()

    # --- the connection

    def _usable(self) -> "Link | None":
        link = self._link
        return None if link is None or link.lost.is_set() else link

    async def _live(self) -> None:
        """Connect, stay connected as long as it lasts, and wait a little before the next time."""
        from tidemill.platform.jobs.rabbitmq.link import Link  # noqa: PLC0415 - loaded on first use

        self._standing.connecting()
        try:
            link = await Link.open(self._url, self._topology, self._known)
        except BrokerAway as error:
            await self._wait(error)
            return
        opened_s = clock.monotonic()
        try:
            await self._use(link)
        finally:
            self._link = None
            link.drop(BrokerAway("The connection to RabbitMQ is closed."))
            for reception in self._receptions.values():
                await reception.stop()
            self._receptions.clear()
            await asyncio.shield(self._closers.spawn("rabbitmq.close", link.close()))
        if clock.monotonic() - opened_s > self._pace.reconnect_max_s:
            self._failures = 0
        await self._wait(link.cause)

    async def _use(self, link: "Link") -> None:
        try:
            async with self._switching:
                for queue in list(self._sources):
                    await self._receive(link, queue)
                self._link = link
        except BrokerAway:
            return
        self._standing.up()
        while not link.lost.is_set():
            try:
                async with asyncio.timeout(self._pace.watch_every_s):
                    await link.lost.wait()
            except TimeoutError:
                await self._check(link)
        # Before the link is closed: that may take seconds when the server is silent.
        self._standing.away(link.cause)

    async def _check(self, link: "Link") -> None:
        """Lose a link whose consumers the server does not know: they would wait for ever and look well."""
        for queue, reception in list(self._receptions.items()):
            with suppress(BrokerAway):
                count = await link.count(reception.source.name)
                if count.consumers == 0 and self._receptions.get(queue) is reception:
                    link.drop(BrokerAway(f"RabbitMQ knows no consumer of {reception.source.name} any more."))

    async def _wait(self, error: BrokerAway) -> None:
        self._standing.away(error)
        least_s, most_s = self._pace.reconnect_min_s, self._pace.reconnect_max_s
        pause_s = least_s + full_jitter(self._failures, least_s, most_s)
        self._failures += 1
        await asyncio.sleep(pause_s)
