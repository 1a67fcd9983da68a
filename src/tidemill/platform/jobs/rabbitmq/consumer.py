"""Receives the tickets of one queue: in handfuls, acknowledged once the database has been looked at.

A reception lives on one channel of one link, from when the server is asked for tickets until it is stopped or the link
is lost. One channel for each queue, so that closing it gives everything back that was not acknowledged.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from tidemill.platform.jobs.rabbitmq import letters
from tidemill.platform.jobs.rabbitmq.answers import answer, answers, failure
from tidemill.platform.jobs.rabbitmq.errors import BrokerAway, BrokerMisused
from tidemill.platform.jobs.rabbitmq.link import CALL_S, Link
from tidemill.platform.jobs.rabbitmq.pace import Pace
from tidemill.platform.jobs.rabbitmq.standing import Standing
from tidemill.platform.jobs.transport import Ticket, Wake
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

log = get_logger(__name__)

LONGEST_PAUSE_S = 30.0
# How long the server may take to begin to deliver; a queue whose leader is being chosen takes a second or two.
BEGIN_S = 10.0


class Source(Struct, frozen=True):
    """What to receive, how many at a time, and whom to wake."""

    queue: str
    # The server's name of it.
    name: str
    prefetch: int
    wake: Wake


class Reception:
    """Tickets of one queue while they come."""

    def __init__(self, link: Link, source: Source, pace: Pace, standing: Standing, tasks: TaskOwner) -> None:
        self.source = source
        self._link = link
        self._pace = pace
        self._standing = standing
        self._tasks = tasks
        self._channel: AbstractChannel | None = None
        # Received and not yet shown to ``wake``; bounded by the prefetch.
        self._waiting: list[AbstractIncomingMessage] = []
        self._arrived = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failures = 0
        # Invariant: every message up to this delivery tag has been answered, none after it.
        self._settled = 0

    async def start(self) -> None:
        """Ask the server for tickets; raises BrokerAway, which loses the link."""
        try:
            channel = self._channel = await self._link.channel()
            channel.close_callbacks.add(self._channel_closed)
            inner = await channel.get_underlay_channel()
            inner.on_consumer_cancel_callbacks.add(self._cancelled)
            await answer(channel.set_qos(prefetch_count=self.source.prefetch), CALL_S)
            queue = await channel.get_queue(self.source.name, ensure=False)
            self._tasks.spawn(f"rabbitmq.queue.{self.source.queue}", self._pass_on())
            await self._begin(queue)
        except BrokerAway as error:
            self._stopped.set()
            self._arrived.set()
            self._link.drop(error)
            raise

    async def _begin(self, queue: "AbstractQueue") -> None:
        try:
            await answer(queue.consume(self._received), BEGIN_S)
        except BrokerAway as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            # Seen with 3.10: a quorum queue declared at the moment of a kill -9 never elects a leader again.
            raise BrokerMisused(
                f"RabbitMQ does not begin to deliver {self.source.name}. If it stays so, the queue has no leader: "
                "delete it on the server, it is declared anew and its tickets are sent again."
            ) from error

    async def stop(self) -> None:
        """Ask for no more; what was not acknowledged goes back. A ``wake`` in progress is left to end by itself."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._waiting.clear()
        self._arrived.set()
        if self._channel is None or self._link.lost.is_set():
            return
        try:
            # Cancels the consumer and returns what is unacknowledged, in one step.
            await answer(self._channel.close(), CALL_S)
        except BrokerAway as error:
            self._link.drop(error)

    async def _received(self, message: "AbstractIncomingMessage") -> None:
        self._standing.delivered += 1
        self._standing.redelivered += bool(message.redelivered)
        if not self._stopped.is_set():
            self._waiting.append(message)
            self._arrived.set()

    async def _pass_on(self) -> None:
        while not self._stopped.is_set():
            await self._arrived.wait()
            if len(self._waiting) < self.source.prefetch:
                await asyncio.sleep(self._pace.gather_s)
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._handle(batch)

    async def _handle(self, batch: "list[AbstractIncomingMessage]") -> None:
        tickets = [ticket for message in batch if (ticket := letters.decode(message.body)) is not None]
        if len(tickets) < len(batch):
            log.warning("broker.foreign_messages", queue=self.source.name, count=len(batch) - len(tickets))
        looked = self._tasks.spawn(f"rabbitmq.wake.{self.source.queue}", self._look(tickets))
        while not (await asyncio.wait([looked], timeout=self._pace.hold_s))[0]:
            # The look will find whatever waits then, so these tickets have said what they had to.
            batch += self._waiting
            self._waiting = []
            await self._acknowledge(batch)
            batch = []
        if looked.result():
            self._failures = 0
            await self._acknowledge(batch)
            return
        pause_s = min(LONGEST_PAUSE_S, self._pace.give_back_s * 2**self._failures)
        self._failures += 1
        try:
            async with asyncio.timeout(pause_s):
                await self._stopped.wait()
        except TimeoutError:
            await self._give_back(batch)

    async def _look(self, tickets: Sequence[Ticket]) -> bool:
        if not tickets:
            return True
        try:
            await self.source.wake(self.source.queue, tickets)
        except Exception as error:  # noqa: BLE001 - whatever it was, the tickets must go back
            log.warning("broker.wake_failed", queue=self.source.queue, tickets=len(tickets), error=str(error))
            return False
        return True

    async def _acknowledge(self, batch: "list[AbstractIncomingMessage]") -> None:
        if (last := self._last_of(batch)) is not None:
            await answers([last.ack(multiple=True)])

    async def _give_back(self, batch: "list[AbstractIncomingMessage]") -> None:
        if (last := self._last_of(batch)) is not None and await answers([last.nack(multiple=True, requeue=True)]) == [
            True
        ]:
            self._standing.nacked += len(batch)

    def _last_of(self, batch: "list[AbstractIncomingMessage]") -> "AbstractIncomingMessage | None":
        """Return the message that settles the whole batch, and everything before it, with one answer.

        One answer rather than many: a quorum queue's server side keeps a long row of them back, and forgets it when the
        channel closes. None when there is nothing to settle, or nobody to tell.
        """
        if not batch or self._stopped.is_set() or self._link.lost.is_set():
            return None
        last = max(batch, key=_tag)
        if _tag(last) <= self._settled:
            return None
        self._settled = _tag(last)
        return last

    def _channel_closed(self, _sender: object, error: BaseException | None) -> None:
        if not self._stopped.is_set():
            self._link.drop(failure(error or BrokerAway(f"RabbitMQ closed the channel of {self.source.name}.")))

    def _cancelled(self, _frame: object) -> None:
        self._link.drop(BrokerAway(f"RabbitMQ ended the consumer of {self.source.name}: was the queue deleted?"))


def _tag(message: "AbstractIncomingMessage") -> int:
    return message.delivery_tag or 0
