"""What only RabbitMQ has: its topology, its own dead letters, and its ways of being there and of no use."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelPreconditionFailed
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.rabbitmq import RabbitMqServer
from tests.fixtures.transports import QUICK, Wakes, tickets, until, until_depth
from tidemill.platform.jobs.rabbitmq import RabbitMqTransport, letters, topology
from tidemill.platform.jobs.rabbitmq.pace import Pace
from tidemill.platform.jobs.rabbitmq.topology import Topology, longest_delay_within
from tidemill.platform.jobs.transport import Ticket


class Broker:
    """The server below a prefix of the test's own, and a look at it that is not the product's."""

    def __init__(self, server: RabbitMqServer, connection: aio_pika.Connection) -> None:
        self.server = server
        self.names = Topology(f"t{uuid4().hex[:12]}")
        self._connection = connection
        self._ends: list[RabbitMqTransport] = []

    def make(self, url: str | None = None, pace: Pace = QUICK) -> RabbitMqTransport:
        end = RabbitMqTransport(url or self.server.url, prefix=self.names.prefix, pace=pace)
        self._ends.append(end)
        return end

    async def open(self, url: str | None = None, pace: Pace = QUICK) -> RabbitMqTransport:
        end = self.make(url, pace)
        await end.start()
        await until(lambda: end.connected)
        return end

    async def channel(self) -> AbstractChannel:
        channel = self._connection.channel(publisher_confirms=False)
        await channel.initialize()
        return channel

    async def waiting(self, name: str) -> int:
        channel = await self.channel()
        queue = await channel.declare_queue(name, passive=True)
        await channel.close()
        return queue.declaration_result.message_count or 0

    async def until_waiting(self, name: str, count: int) -> None:
        async with asyncio.timeout(20):
            while await self.waiting(name) != count:
                await asyncio.sleep(0.02)

    async def take(self, name: str) -> AbstractIncomingMessage | None:
        queue = await (await self.channel()).get_queue(name, ensure=False)
        return await queue.get(fail=False)

    async def close(self) -> None:
        for end in self._ends:
            await end.close()


@pytest.fixture
async def broker(rabbitmq: RabbitMqServer) -> AsyncIterator[Broker]:
    connection = aio_pika.Connection(aio_pika.connection.make_url(rabbitmq.url))
    await connection.connect()
    given_broker = Broker(rabbitmq, connection)
    yield given_broker
    await given_broker.close()
    await connection.close()


# --- topology

PASSING_ON = {
    "x-queue-type": "quorum",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-max-length": 200_000,
}


def expected_queues(prefix: str) -> dict[str, dict[str, Any]]:
    """Return what must be on the server, written out: the server compares it with what is there."""
    delays = {
        f"{prefix}.delay.{delay_s}": {
            "x-message-ttl": delay_s * 1000,
            "x-dead-letter-exchange": f"{prefix}.jobs",
            **PASSING_ON,
        }
        for delay_s in (5, 30, 120, 600, 3600)
    }
    tickets_of_mail = {"x-delivery-limit": 20, "x-dead-letter-exchange": f"{prefix}.dlx", **PASSING_ON}
    dead = {"x-queue-type": "quorum", "x-max-length": 100_000, "x-overflow": "drop-head"}
    return {**delays, f"{prefix}.q.mail": tickets_of_mail, f"{prefix}.dead": dead}


async def test_the_server_holds_the_topology(broker: Broker) -> None:
    end = await broker.open()
    await end.consume("mail", 10, Wakes())
    channel = await broker.channel()
    for name, arguments in expected_queues(broker.names.prefix).items():
        await channel.declare_queue(name, durable=True, arguments=arguments)
    for kind, names in {"topic": ("jobs", "dlx"), "fanout": ("delay.5", "delay.3600")}.items():
        for name in names:
            await channel.declare_exchange(f"{broker.names.prefix}.{name}", kind, durable=True)


async def test_another_argument_would_have_been_noticed(broker: Broker) -> None:
    await broker.open()
    name = f"{broker.names.prefix}.dead"
    with pytest.raises(ChannelPreconditionFailed):
        await (await broker.channel()).declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})


async def test_declaring_again_changes_nothing(broker: Broker) -> None:
    first, second = await broker.open(), await broker.open()
    await first.publish(tickets(3, "mail"))
    await second.publish(tickets(3, "mail"))
    await until_depth(first, "mail", 6)


def test_the_client_library_is_not_loaded_before_it_is_used() -> None:
    script = (
        "import sys; from tidemill.platform.jobs.rabbitmq import RabbitMqTransport; RabbitMqTransport('amqp://x/'); "
        "print(*sorted({'aio_pika', 'aiormq', 'yarl'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# --- delays


@given(st.floats(min_value=0, max_value=1e7))
def test_a_delay_is_rounded_down(delay_s: float) -> None:
    rounded = longest_delay_within(delay_s)
    if rounded is None:
        assert delay_s < 5
    else:
        assert rounded <= delay_s
        assert not [other for other in topology.DELAYS_S if rounded < other <= delay_s]


async def test_delayed_tickets_wait_in_the_queue_of_their_length(broker: Broker) -> None:
    end = await broker.open()
    for delay_s in (29.9, 30, 700, 10_000):
        assert len(await end.publish(tickets(1, "mail", delay_s))) == 1
    expected = {5: 1, 30: 1, 120: 0, 600: 1, 3600: 1}
    for delay_s, count in expected.items():
        await broker.until_waiting(broker.names.delay(delay_s), count)
    assert (await end.depths()) == {"mail": 0}


async def test_a_short_delay_is_left_to_the_relay(broker: Broker) -> None:
    end = await broker.open()
    soon, later = tickets(1, delay_s=4.9)[0], tickets(1, delay_s=5)[0]
    assert list(await end.publish([soon, later])) == [later]
    assert end.facts().refused == 0


# --- what the server refuses


async def test_a_full_queue_refuses_and_keeps_what_it_has(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "MAX_TICKETS", 5)
    end = await broker.open()
    sent = 0
    async with asyncio.timeout(20):
        while end.facts().refused == 0:
            sent += len(await end.publish(tickets(5, "mail")))
    await until_depth(end, "mail", sent)
    assert end.connected


async def test_a_ticket_that_nothing_would_receive_is_not_confirmed(broker: Broker) -> None:
    end = await broker.open()
    assert len(await end.publish(tickets(1, "mail"))) == 1
    queue = await (await broker.channel()).get_queue(broker.names.queue("mail"), ensure=False)
    await queue.unbind(broker.names.jobs, "q.mail")
    assert list(await end.publish(tickets(2, "mail"))) == []
    assert end.facts().refused == 2


# --- dead letters


async def test_a_ticket_given_back_too_often_becomes_a_dead_letter(broker: Broker) -> None:
    end = await broker.open()
    (poison,) = await end.publish(tickets(1, "mail"))
    given_back = 0
    async with asyncio.timeout(20):
        while await broker.waiting(broker.names.dead) == 0:
            message = await broker.take(broker.names.queue("mail"))
            if message is not None:
                given_back += 1
                await message.nack(requeue=True)
    assert given_back == topology.DELIVERY_LIMIT + 1
    asked: list[str] = []

    async def not_dead(jobs: Sequence[str]) -> frozenset[str]:
        asked.extend(jobs)
        return frozenset()

    # Its job is not dead: the letter goes, and the relay sends the ticket again if the job still waits.
    assert await end.settle_dead(not_dead) == 1
    assert asked == [poison.job_id]
    await broker.until_waiting(broker.names.dead, 0)


async def test_a_marker_says_what_died_and_why_and_keeps_it_when_it_stays(broker: Broker) -> None:
    end = await broker.open()
    await end.bury(Ticket("0190-dead", 4, "mail"), "attempts spent")

    async def all_dead(jobs: Sequence[str]) -> frozenset[str]:
        return frozenset(jobs)

    assert await end.settle_dead(all_dead) == 0
    await broker.until_waiting(broker.names.dead, 1)
    marker = await broker.take(broker.names.dead)
    assert marker is not None
    assert letters.decode(marker.body) == Ticket("0190-dead", 4, "mail")
    assert marker.message_id == "0190-dead:4"
    assert marker.headers["reason"] == "attempts spent"
    assert marker.routing_key == "q.mail"
    assert marker.delivery_mode == aio_pika.DeliveryMode.PERSISTENT


async def test_a_long_walk_sees_each_marker_once(broker: Broker) -> None:
    end = await broker.open()
    buried = tickets(450)
    await asyncio.gather(*(end.bury(ticket, "dead") for ticket in buried))
    staying = frozenset(ticket.job_id for ticket in buried[::3])
    asked: list[str] = []

    async def some(jobs: Sequence[str]) -> frozenset[str]:
        asked.extend(jobs)
        return staying.intersection(jobs)

    assert await end.settle_dead(some) == 300
    assert sorted(asked) == sorted(ticket.job_id for ticket in buried)
    await broker.until_waiting(broker.names.dead, 150)


async def test_what_others_put_among_the_dead_letters_stays(broker: Broker) -> None:
    end = await broker.open()
    channel = await broker.channel()
    exchange = await channel.get_exchange(broker.names.dead_letters, ensure=False)
    await exchange.publish(aio_pika.Message(b"\xffnot ours"), "somewhere")
    await broker.until_waiting(broker.names.dead, 1)

    async def none_dead(jobs: Sequence[str]) -> frozenset[str]:
        assert list(jobs) == []
        return frozenset()

    assert await end.settle_dead(none_dead) == 0
    await broker.until_waiting(broker.names.dead, 1)
    message = await broker.take(broker.names.dead)
    assert message is not None
    assert message.body == b"\xffnot ours"


# --- messages that are no tickets


async def test_what_others_put_among_the_tickets_is_taken_away(broker: Broker) -> None:
    end, wakes = await broker.open(), Wakes()
    await end.consume("mail", 10, wakes)
    exchange = await (await broker.channel()).get_exchange(broker.names.jobs, ensure=False)
    await exchange.publish(aio_pika.Message(b"{}"), "q.mail")
    await until(lambda: end.facts().delivered == 1)
    await end.publish(tickets(1, "mail"))
    await until(lambda: len(wakes.names) == 1)
    await end.stop_consuming()
    await until_depth(end, "mail", 0)


# --- looks that take long


async def test_a_long_look_does_not_keep_its_tickets(broker: Broker) -> None:
    """The server closes a channel that keeps a message for half an hour."""
    slow, other = await broker.open(pace=Pace(hold_s=0.2)), await broker.open()
    stuck, free = Wakes(), Wakes()
    stuck.may_return.clear()
    await slow.consume("mail", 2, stuck)
    await slow.publish(tickets(5, "mail"))
    # Two at a time are all it may keep, and nobody else receives: five can only come if the first were acknowledged.
    await until(lambda: slow.facts().delivered == 5)
    await until_depth(slow, "mail", 0)
    await slow.stop_consuming()
    await other.consume("mail", 10, free)
    await until_depth(other, "mail", 0)
    assert len(stuck.calls) == 1
    stuck.may_return.set()


# --- a server that answers and refuses


async def refusal(end: RabbitMqTransport) -> str:
    """Return what keeps ``end`` from connecting."""
    await until(lambda: end.facts().error is not None)
    assert not end.connected
    return end.facts().error or ""


async def test_a_queue_of_another_make_is_reported_and_healed_by_deleting_it(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    name = broker.names.queue("mail")
    await (await broker.channel()).declare_queue(name, durable=True)
    end, wakes = await broker.open(), Wakes()
    await end.consume("mail", 10, wakes)
    sentence = await refusal(end)
    assert f"The queue {name} exists on the server with other properties" in sentence
    assert "delete it there" in sentence
    assert "inequivalent arg 'x-" in sentence
    assert list(await end.publish(tickets(1, "mail"))) == []
    await (await broker.channel()).queue_delete(name)
    await until(lambda: end.connected)
    assert end.facts().error is None
    await end.publish(tickets(1, "mail"))
    await until(lambda: len(wakes.names) == 1)
    assert capsys.readouterr().out.count("exists on the server with other properties") == 1


async def test_an_exchange_of_another_make_is_reported(broker: Broker) -> None:
    await (await broker.channel()).declare_exchange(broker.names.jobs, "direct", durable=True)
    end = broker.make()
    await end.start()
    assert f"The exchange {broker.names.jobs} exists on the server" in await refusal(end)
    await (await broker.channel()).exchange_delete(broker.names.jobs)
    await until(lambda: end.connected)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("amqp://guest:wrong-secret@127.0.0.1:{port}/", "refused the user or the password"),
        ("amqp://guest:guest@127.0.0.1:{port}/nowhere", "refused the virtual host"),
        ("amqp://guest:guest@127.0.0.1:1/", "cannot be reached"),
        ("http://guest:wrong-secret@127.0.0.1:{port}/", "must be like amqp://"),
        ("amqp://guest:wrong-secret@127.0.0.1:port/", "cannot be read"),
    ],
)
async def test_what_is_wrong_with_the_address_is_said_without_its_secret(
    broker: Broker, wrong: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    end = broker.make(wrong.format(port=broker.server.port))
    await end.start()
    assert sentence in await refusal(end)
    await end.close()
    assert "wrong-secret" not in (end.facts().error or "") + capsys.readouterr().out


async def test_a_user_needs_no_more_than_its_prefix(rabbitmq: RabbitMqServer) -> None:
    end, wakes = RabbitMqTransport(rabbitmq.narrow_url, prefix="narrow", pace=QUICK), Wakes()
    await end.start()
    await end.consume("mail", 10, wakes)
    await until(lambda: end.connected)
    sent = [*tickets(1, "mail"), *tickets(1, "mail", 3600)]
    assert list(await end.publish(sent)) == sent
    await until(lambda: wakes.names == [sent[0].name])
    await end.bury(sent[0], "dead")

    async def none_dead(jobs: Sequence[str]) -> frozenset[str]:
        return frozenset(jobs[:0])

    assert await end.settle_dead(none_dead) == 1
    await end.close()


async def test_a_user_that_may_not_use_the_prefix_is_told_what_is_missing(broker: Broker) -> None:
    end = broker.make(broker.server.narrow_url)
    await end.start()
    assert "permissions configure, write and read for names that begin with queue.prefix" in await refusal(end)


# --- a server that is there and of no use


async def test_a_queue_that_is_not_delivered_is_reported_with_what_to_do(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.platform.jobs.rabbitmq.consumer.BEGIN_S", 0)
        end, wakes = await broker.open(), Wakes()
        await end.consume("mail", 10, wakes)
        sentence = await refusal(end)
        assert f"does not begin to deliver {broker.names.queue('mail')}" in sentence
        assert "delete it on the server" in sentence
    await until(lambda: end.connected)
    await end.publish(tickets(1, "mail"))
    await until(lambda: len(wakes.names) == 1)


async def test_a_consumer_that_the_server_forgot_is_restored(broker: Broker) -> None:
    end, wakes = await broker.open(), Wakes()
    await end.consume("mail", 10, wakes)
    channel: Any = end._receptions["mail"]._channel  # pyright: ignore[reportPrivateUsage] - behind its back
    inner = await channel.get_underlay_channel()
    (tag,) = inner.consumers
    await inner.basic_cancel(tag)
    await end.publish(tickets(3, "mail"))
    await until(lambda: len(wakes.names) == 3)
    assert end.facts().reconnects == 1


async def test_a_paused_queue_does_not_look_forgotten(broker: Broker) -> None:
    end, mail = await broker.open(pace=Pace(watch_every_s=0.02)), Wakes()
    await end.consume("mail", 10, mail)
    await end.consume("files", 10, Wakes())
    await end.pause("files")
    for _ in range(20):
        await end.publish(tickets(1, "mail"))
        await end.depths()
    await until(lambda: len(mail.names) == 20)
    assert end.facts().reconnects == 0


async def test_a_queue_that_was_deleted_comes_back_with_its_consumer(broker: Broker) -> None:
    end, wakes = await broker.open(pace=Pace(watch_every_s=600)), Wakes()
    await end.consume("mail", 10, wakes)
    await (await broker.channel()).queue_delete(broker.names.queue("mail"))
    await until(lambda: end.facts().reconnects == 1)
    await end.publish(tickets(1, "mail"))
    await until(lambda: len(wakes.names) == 1)


async def test_an_exchange_that_was_deleted_comes_back(broker: Broker) -> None:
    end = await broker.open()
    await (await broker.channel()).exchange_delete(broker.names.jobs)
    assert list(await end.publish(tickets(1, "mail"))) == []
    await until(lambda: end.connected and end.facts().reconnects == 1)
    assert len(await end.publish(tickets(1, "mail"))) == 1


async def test_a_server_that_falls_silent_is_given_up(broker: Broker) -> None:
    end, wakes = await broker.open(f"{broker.server.url}?heartbeat=1"), Wakes()
    await end.consume("mail", 10, wakes)
    broker.server.freeze()
    try:
        async with asyncio.timeout(20):
            while await end.publish(tickets(1, "mail")):
                continue  # it takes a moment to fall silent
        await until(lambda: not end.connected, 15)
        assert end.facts().error is not None
    finally:
        broker.server.thaw()
    await until(lambda: end.connected)
    (sent,) = await end.publish(tickets(1, "mail"))
    await until(lambda: sent.name in wakes.names)
