"""One life of the connections to RabbitMQ: opened whole, lost whole, never mended.

Two connections, because the server stops reading from one that publishes too much, and consumers must not starve with
it. The library's own self-mending connections are not used: they have been seen to come back without their consumers.
Whoever holds a link waits for ``lost`` and opens another.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aio_pika import Connection, DeliveryMode, Message
from aio_pika.connection import make_url
from aio_pika.exceptions import AMQPConnectionError, ChannelPreconditionFailed, DeliveryError
from msgspec import Struct

from tidemill.platform.jobs.rabbitmq.answers import answer, failure
from tidemill.platform.jobs.rabbitmq.errors import BrokerAway, BrokerMisused
from tidemill.platform.jobs.rabbitmq.topology import Exchange, Queue, Topology, conflict

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractExchange

CONNECT_S = 10.0
CALL_S = 10.0
CONFIRM_S = 5.0
CLOSE_S = 5.0
HEARTBEAT_S = 10


class Count(Struct, frozen=True):
    """What the server tells of a queue."""

    messages: int
    consumers: int


class Link:
    """Two open connections, a channel that publishes with confirms and one that asks."""

    def __init__(self, topology: Topology, publishing: Connection, consuming: Connection) -> None:
        self._topology = topology
        self._publishing = publishing
        self._consuming = consuming
        self._sender: AbstractChannel | None = None
        self._asker: AbstractChannel | None = None
        self._exchanges: dict[str, AbstractExchange] = {}
        self._declared: set[str] = set()
        self._asking = asyncio.Lock()
        self._declaring = asyncio.Lock()
        self.lost = asyncio.Event()
        self.cause: BrokerAway | None = None

    @classmethod
    async def open(cls, url: str, topology: Topology, queues: set[str]) -> "Link":
        """Connect, and declare everything shared and each queue of ``queues``.

        Raises BrokerAway, or BrokerMisused when the server refuses; nothing is left open then.
        """
        for chatty in ("aio_pika", "aiormq"):
            # An outage is many lines of theirs and says less than the two of ours.
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        publishing, consuming = _connection(url, "publishes"), _connection(url, "consumes")
        link = cls(topology, publishing, consuming)
        try:
            for connection in (publishing, consuming):
                await answer(connection.connect(), CONNECT_S)
                connection.close_callbacks.add(link._connection_closed)
            await link._declare_shared()
            for queue in sorted(queues):
                await link.ensure(queue)
            link._sender = await link._channel(publishing)
            link._asker = await link._channel(consuming)
        except BaseException:
            await link.close()
            raise
        return link

    async def ensure(self, queue: str) -> None:
        """Declare the queue of tickets for ``queue`` once on this link; raises BrokerAway or BrokerMisused."""
        if queue in self._declared:
            return
        async with self._declaring:
            await self._declare(self._topology.job_queue(queue))
            self._declared.add(queue)

    async def send(
        self, exchange: str, key: str, body: bytes, message_id: str, headers: dict[str, Any] | None = None
    ) -> bool:
        """Publish one message; True once the server has confirmed to keep it.

        False when it refused it (full, or nothing would receive it) or has not answered within 5 s, and when the link
        is lost meanwhile: then it may have kept it or not.
        """
        if self._sender is None or self.lost.is_set():
            return False
        message = Message(
            body,
            message_id=message_id,
            delivery_mode=DeliveryMode.PERSISTENT,
            content_type="application/json",
            app_id=self._topology.prefix,
            headers=headers,
        )
        target = self._exchanges.get(exchange)
        if target is None:
            target = self._exchanges[exchange] = await self._sender.get_exchange(exchange, ensure=False)
        try:
            await answer(target.publish(message, key, mandatory=True, timeout=CONFIRM_S), CONFIRM_S + 1)
        except (DeliveryError, BrokerAway):
            return False
        return True

    async def count(self, name: str) -> Count:
        """Ask how many messages wait in queue ``name`` and how many consumers it has; a failure loses the link."""
        async with self._asking:
            if self._asker is None or self.lost.is_set():
                raise self.cause or BrokerAway("RabbitMQ is not connected.")
            try:
                queue = await answer(self._asker.declare_queue(name, passive=True), CALL_S)
            except BrokerAway as error:
                self.drop(error)
                raise
        told = queue.declaration_result
        return Count(told.message_count or 0, told.consumer_count or 0)

    async def receiver(self) -> "AbstractChannel":
        """Open a channel of its own for one who receives; raises BrokerAway."""
        return await self._channel(self._consuming, confirms=False, loses_link=False)

    def drop(self, cause: BrokerAway) -> None:
        """Take the link for lost; the first cause is kept."""
        if not self.lost.is_set():
            self.cause = cause
            self.lost.set()

    async def close(self) -> None:
        """Close both connections, waiting a few seconds at most."""
        self.drop(BrokerAway("The connection to RabbitMQ is closed."))
        for connection in (self._publishing, self._consuming):
            try:
                await answer(connection.close(), CLOSE_S)
            except BrokerAway:
                continue  # it was going anyway

    async def _declare_shared(self) -> None:
        for exchange in self._topology.exchanges():
            await self._declare(exchange)
        for queue in self._topology.shared_queues():
            await self._declare(queue)

    async def _declare(self, wanted: Exchange | Queue) -> None:
        # A channel of its own: the server closes it when it refuses.
        channel = await self._channel(self._publishing, confirms=False, loses_link=False)
        try:
            if isinstance(wanted, Exchange):
                await answer(channel.declare_exchange(wanted.name, wanted.type, durable=True), CALL_S)
            else:
                queue = await answer(
                    channel.declare_queue(wanted.name, durable=True, arguments=wanted.arguments), CALL_S
                )
                await answer(queue.bind(wanted.exchange, wanted.key), CALL_S)
        except BrokerAway as error:
            words = str(error.__cause__)
            if isinstance(error.__cause__, ChannelPreconditionFailed):
                raise BrokerMisused(conflict(type(wanted).__name__.lower(), wanted.name, words)) from error
            raise
        await answer(channel.close(), CALL_S)

    async def _channel(
        self, connection: Connection, *, confirms: bool = True, loses_link: bool = True
    ) -> "AbstractChannel":
        channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await answer(channel.initialize(), CALL_S)
        if loses_link:
            channel.close_callbacks.add(self._connection_closed)
        return channel

    def _connection_closed(self, _sender: object, error: BaseException | None) -> None:
        self.drop(failure(error or AMQPConnectionError("it was closed")))


def _connection(url: str, purpose: str) -> Connection:
    address = make_url(url)
    if "heartbeat" not in address.query:
        address = address.update_query(heartbeat=HEARTBEAT_S)
    return Connection(address, client_properties={"connection_name": f"tidemill {purpose}"})
