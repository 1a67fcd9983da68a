"""One life of the connections to RabbitMQ: opened whole, lost whole, never mended.

Two connections, because the server stops reading from one that publishes too much, and consumers must not starve with
it. The library's own self-mending connections are not used: they have been seen to come back without their consumers.
Whoever holds a link waits for ``lost`` and opens another.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aio_pika import Connection, DeliveryMode, Message
from aio_pika.connection import make_url
from aio_pika.exceptions import AMQPConnectionError, ChannelPreconditionFailed
from msgspec import Struct

from tidemill.platform.jobs.rabbitmq.answers import answer, answers, failure
from tidemill.platform.jobs.rabbitmq.errors import BrokerAway, BrokerMisused
from tidemill.platform.jobs.rabbitmq.topology import Exchange, Queue, Topology, conflict

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractExchange

CONNECT_S = 10.0
CALL_S = 10.0
CONFIRM_S = 5.0
CLOSE_S = 5.0
HEARTBEAT_S = 10
_SCHEMES = ("amqp", "amqps")


class Letter(Struct, frozen=True):
    """One message to publish."""

    exchange: str
    key: str
    body: bytes
    message_id: str
    headers: Mapping[str, Any] | None = None


class Count(Struct, frozen=True):
    """What the server tells of a queue."""

    messages: int
    consumers: int


class Link:
    """Two open connections; a channel each that declares, that publishes with confirms and that asks."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._topology = topology
        self._publishing = _connection(url, "publishes")
        self._consuming = _connection(url, "consumes")
        self._declarer: AbstractChannel | None = None
        self._sender: AbstractChannel | None = None
        self._asker: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._declared: set[str] = set()
        self._asking = asyncio.Lock()
        self._declaring = asyncio.Lock()
        self.lost = asyncio.Event()
        self.cause = BrokerAway("RabbitMQ is not connected.")

    @classmethod
    async def open(cls, url: str, topology: Topology, queues: Iterable[str]) -> "Link":
        """Connect, and declare everything shared and each queue of ``queues``.

        Raises BrokerAway, or BrokerMisused when the server refuses; nothing is left open then.
        """
        for chatty in ("aio_pika", "aiormq"):
            # An outage is many lines of theirs and says less than the two of ours.
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        link = cls(url, topology)
        try:
            await link._connect()
            for queue in sorted(queues):
                await link.ensure(queue)
        except BaseException:
            await link.close()
            raise
        return link

    async def _connect(self) -> None:
        for connection in (self._publishing, self._consuming):
            await answer(connection.connect(), CONNECT_S)
            connection.close_callbacks.add(self._closed)
        self._declarer = await self.channel(self._publishing)
        for wanted in (*self._topology.exchanges(), *self._topology.shared_queues()):
            await self._declare(wanted)
        self._sender = await self.channel(self._publishing, confirms=True)
        self._sender.close_callbacks.add(self._closed)
        self._asker = await self.channel()

    async def ensure(self, queue: str) -> None:
        """Declare the queue of tickets for ``queue`` once on this link; raises BrokerAway, which loses the link."""
        if queue in self._declared:
            return
        async with self._declaring:
            await self._declare(self._topology.job_queue(queue))
            self._declared.add(queue)

    async def _declare(self, wanted: Exchange | Queue) -> None:
        if self._declarer is None or self.lost.is_set():
            raise self.cause
        try:
            if isinstance(wanted, Exchange):
                await answer(self._declarer.declare_exchange(wanted.name, wanted.type, durable=True), CALL_S)
            else:
                declaring = self._declarer.declare_queue(wanted.name, durable=True, arguments=wanted.arguments)
                queue = await answer(declaring, CALL_S)
                await answer(queue.bind(wanted.exchange, wanted.key), CALL_S)
        except BrokerAway as error:
            if isinstance(error.__cause__, ChannelPreconditionFailed):
                kind = type(wanted).__name__.lower()
                refused = BrokerMisused(conflict(kind, wanted.name, str(error.__cause__)))
                self.drop(refused)
                raise refused from error
            self.drop(error)
            raise

    async def send(self, letters: Sequence[Letter]) -> list[bool]:
        """Publish letters side by side; True where the server has confirmed to keep one.

        False where it refused (the queue is full, or nothing would receive it), where it did not answer within 5 s,
        and where the link was lost meanwhile: such a letter may have been kept or not.
        """
        sender = self._sender
        if sender is None or self.lost.is_set():
            return [False] * len(letters)
        for name in {letter.exchange for letter in letters} - self._exchanges.keys():
            self._exchanges[name] = await sender.get_exchange(name, ensure=False)
        return await answers(
            self._exchanges[letter.exchange].publish(
                Message(
                    letter.body,
                    message_id=letter.message_id,
                    delivery_mode=DeliveryMode.PERSISTENT,
                    content_type="application/json",
                    app_id=self._topology.prefix,
                    headers=dict(letter.headers) if letter.headers else None,
                ),
                letter.key,
                mandatory=True,
                timeout=CONFIRM_S,
            )
            for letter in letters
        )

    async def count(self, name: str) -> Count:
        """Ask how many messages wait in queue ``name`` and how many consumers it has; a failure loses the link."""
        async with self._asking:
            if self._asker is None or self.lost.is_set():
                raise self.cause
            try:
                queue = await answer(self._asker.declare_queue(name, passive=True), CALL_S)
            except BrokerAway as error:
                self.drop(error)
                raise
        told = queue.declaration_result
        return Count(told.message_count or 0, told.consumer_count or 0)

    async def channel(self, connection: Connection | None = None, *, confirms: bool = False) -> "AbstractChannel":
        """Open a channel, on the connection that consumes unless told otherwise; raises BrokerAway."""
        try:
            opened = (connection or self._consuming).channel(publisher_confirms=confirms, on_return_raises=confirms)
        except RuntimeError as error:
            raise failure(error) from error
        await answer(opened.initialize(), CALL_S)
        return opened

    def drop(self, cause: BrokerAway) -> None:
        """Take the link for lost; the first cause is kept."""
        if not self.lost.is_set():
            self.cause = cause
            self.lost.set()

    async def close(self) -> None:
        """Close both connections, waiting a few seconds at most."""
        self.drop(BrokerAway("The connection to RabbitMQ is closed."))
        both = (self._publishing, self._consuming)
        await answers([asyncio.wait_for(connection.close(), CLOSE_S) for connection in both])

    def _closed(self, _sender: object, error: BaseException | None) -> None:
        self.drop(failure(error or AMQPConnectionError("it was closed")))


def _connection(url: str, purpose: str) -> Connection:
    try:
        address = make_url(url)
    except ValueError as error:
        raise BrokerMisused(f"queue.url cannot be read: {error}") from error
    if address.scheme not in _SCHEMES or not address.host:
        raise BrokerMisused("queue.url must be like amqp://user:password@host:5672/virtual-host.")
    if "heartbeat" not in address.query:
        address = address.update_query(heartbeat=HEARTBEAT_S)
    return Connection(address, client_properties={"connection_name": f"tidemill {purpose}"})
