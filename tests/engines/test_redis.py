"""What only the Redis transport must do: take over, mend an emptied server, move what is due, outlive kill -9."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.fixtures.valkey import StartValkey, ValkeyServer
from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.platform.jobs.redis import RedisTransport
from tidemill.platform.jobs.redis.commands import GROUP
from tidemill.platform.jobs.redis.pace import Pace
from tidemill.platform.jobs.transport import Ticket
from tidemill.platform.redis import Client

DEADLINE_S = 30.0
QUICK = Pace(block_s=0.2, retry_s=0.05, take_over_after_s=0.2, take_over_every_s=0.05, move_every_s=0.02, stop_s=1.0)
# Nothing happens by a timer.
STILL = Pace(block_s=0.2, take_over_every_s=3600, move_every_s=3600)

Build = Callable[..., RedisTransport]


class Seen:
    """Looks at tickets, and fails or waits where a test says so."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.failing = False
        self.hold: asyncio.Event | None = None
        self.largest = 0

    async def wake(self, queue: str, tickets: Sequence[Ticket]) -> None:
        if self.failing:
            raise ConnectionError("the database is away")
        self.largest = max(self.largest, len(tickets))
        self.names += [ticket.name for ticket in tickets]
        if self.hold is not None:
            await self.hold.wait()
        assert all(ticket.queue == queue for ticket in tickets)


def tickets(count: int, queue: str = "work", delay_s: float = 0.0) -> list[Ticket]:
    return [Ticket(f"{uuid4()}", number, queue, delay_s) for number in range(count)]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)


async def until_empty(transport: RedisTransport, queue: str = "work") -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (await transport.depths()).get(queue) != 0:
            await asyncio.sleep(0.01)


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    async with AsyncExitStack() as built:

        def one(server: ValkeyServer, pace: Pace = QUICK, **options: Any) -> RedisTransport:
            transport = RedisTransport(server.url, pace=pace, **options)
            built.push_async_callback(transport.close)
            return transport

        yield one


@pytest.fixture
async def ask(start_valkey: StartValkey) -> AsyncIterator[tuple[ValkeyServer, Client]]:
    server = start_valkey()
    client = Client(server.url, setting="queue.url")
    yield server, client
    await client.close()


async def started(transport: RedisTransport) -> RedisTransport:
    await transport.start()
    await until(lambda: transport.connected)
    return transport


async def test_what_a_dead_consumer_holds_is_taken_over(ask: tuple[ValkeyServer, Client], build: Build) -> None:
    server, client = ask
    sent = tickets(250)
    publisher = await started(build(server, STILL))
    await publisher.publish(sent)
    await client.ask("XGROUP", "CREATE", "tidemill:q:work", GROUP, "0")
    # A process that received everything and was killed.
    held = await client.ask("XREADGROUP", "GROUP", GROUP, "dead", "COUNT", 1000, "STREAMS", "tidemill:q:work", ">")
    assert len(held[0][1]) == 250
    seen = Seen()
    worker = await started(build(server))
    await worker.consume("work", 100, seen.wake)
    await until_empty(worker)
    assert sorted(seen.names) == sorted(ticket.name for ticket in sent)
    assert seen.largest <= 100
    assert worker.facts().redelivered == 250


async def test_a_consumer_that_is_gone_is_forgotten_but_not_while_it_holds_tickets(
    ask: tuple[ValkeyServer, Client], build: Build
) -> None:
    server, client = ask
    publisher = await started(build(server, STILL))
    await publisher.publish(tickets(1))
    await client.ask("XGROUP", "CREATE", "tidemill:q:work", GROUP, "0")
    for name, id_ in (("holds", ">"), ("idle", "0")):
        await client.ask("XREADGROUP", "GROUP", GROUP, name, "STREAMS", "tidemill:q:work", id_)

    async def names() -> set[bytes]:
        facts = await client.ask("XINFO", "CONSUMERS", "tidemill:q:work", GROUP)
        return {one[1] for one in facts}

    assert await names() == {b"holds", b"idle"}
    # Nothing is idle for long enough to be taken over.
    pace = Pace(block_s=0.1, take_over_after_s=3600, take_over_every_s=0.02, forget_after_s=0.3)
    worker = await started(build(server, pace))
    await worker.consume("work", 10, Seen().wake)
    async with asyncio.timeout(DEADLINE_S):
        while b"idle" in await names():
            await asyncio.sleep(0.02)
    assert b"holds" in await names()
    assert len(await names()) == 2
    # Whoever leaves takes its name along.
    await worker.stop_consuming()
    assert await names() == {b"holds"}


async def test_an_emptied_server_gets_its_group_again(ask: tuple[ValkeyServer, Client], build: Build) -> None:
    server, client = ask
    seen = Seen()
    worker = await started(build(server))
    await worker.consume("work", 10, seen.wake)
    before = tickets(3)
    assert list(await worker.publish(before)) == before
    await until(lambda: len(seen.names) == 3)
    await client.ask("FLUSHALL")
    # Published to a stream without a group, perhaps: the group begins with the first ticket.
    after = tickets(3)
    assert list(await worker.publish(after)) == after
    await until(lambda: len(seen.names) >= 6)
    assert seen.names[3:] == [ticket.name for ticket in after]
    await until_empty(worker)


async def test_two_movers_move_each_ticket_once(ask: tuple[ValkeyServer, Client], build: Build) -> None:
    server, client = ask
    first, second = await started(build(server, STILL)), await started(build(server, STILL))
    sent = tickets(1200, delay_s=0.05) + tickets(5, "other", delay_s=0.05) + tickets(2, delay_s=3600)
    assert len(await first.publish(sent)) == len(sent)
    assert await client.ask("XLEN", "tidemill:q:work") == 0
    moved = 0
    async with asyncio.timeout(DEADLINE_S):
        while moved < 1205:
            moved += sum(await asyncio.gather(*(mover.move_due() for mover in (first, second) for _ in range(3))))
    assert moved == 1205
    entries = await client.ask("XRANGE", "tidemill:q:work", "-", "+")
    names = [fields[1].decode() for _, fields in entries]
    assert sorted(names) == sorted(ticket.name for ticket in sent[:1200])
    assert await first.depths() == {"work": 1202, "other": 5}


async def test_a_delayed_ticket_comes_when_it_is_due_and_not_before(
    ask: tuple[ValkeyServer, Client], build: Build
) -> None:
    server, _ = ask
    seen = Seen()
    worker = await started(build(server))
    await worker.consume("work", 10, seen.wake)
    (late,), (now,) = tickets(1, delay_s=0.4), tickets(1)
    began = clock.monotonic()
    assert set(await worker.publish([late, now])) == {late, now}
    await until(lambda: len(seen.names) == 2)
    assert clock.monotonic() - began >= 0.4
    assert seen.names == [now.name, late.name]


async def test_a_failed_look_leaves_tickets_pending_and_looks_again(
    ask: tuple[ValkeyServer, Client], build: Build
) -> None:
    server, client = ask
    seen = Seen()
    seen.failing = True
    worker = await started(build(server))
    await worker.consume("work", 10, seen.wake)
    sent = tickets(4)
    await worker.publish(sent)
    await until(lambda: worker.facts().nacked >= 8)
    assert (await client.ask("XPENDING", "tidemill:q:work", GROUP))[0] == 4
    seen.failing = False
    await until_empty(worker)
    assert sorted(set(seen.names)) == sorted(ticket.name for ticket in sent)


async def test_what_is_not_acknowledged_goes_back_when_receiving_stops(
    ask: tuple[ValkeyServer, Client], build: Build
) -> None:
    server, client = ask
    stuck, other = Seen(), Seen()
    stuck.hold = asyncio.Event()
    first, second = await started(build(server)), await started(build(server, STILL))
    sent = tickets(7)
    await first.publish(sent)
    await first.consume("work", 5, stuck.wake)
    await until(lambda: len(stuck.names) == 5)
    # The look never ends: it is given up, and all that it held can be received by others at once.
    await first.pause("work")
    assert (await client.ask("XPENDING", "tidemill:q:work", GROUP))[0] == 0
    assert await client.ask("XINFO", "CONSUMERS", "tidemill:q:work", GROUP) == []
    await second.consume("work", 100, other.wake)
    await until_empty(second)
    assert sorted(other.names) == sorted(ticket.name for ticket in sent)
    await first.resume("work")
    stuck.hold.set()
    last = tickets(1)
    await second.stop_consuming()
    await second.publish(last)
    await until(lambda: last[0].name in stuck.names)


async def test_past_its_bound_a_queue_refuses_and_drops_nothing(ask: tuple[ValkeyServer, Client], build: Build) -> None:
    server, _ = ask
    transport = await started(build(server, STILL, max_tickets=600))
    sent = tickets(700)
    assert list(await transport.publish(sent)) == sent[:600]
    assert list(await transport.publish(sent[600:])) == []
    other, late = tickets(1, "other"), tickets(1, delay_s=60)
    assert set(await transport.publish(other + late)) == {*other, *late}
    facts = transport.facts()
    assert (facts.published, facts.refused) == (602, 200)
    assert await transport.depths() == {"work": 601, "other": 1}


async def test_no_ticket_is_lost_by_kill_9_and_a_restart_under_traffic(start_valkey: StartValkey, build: Build) -> None:
    server = start_valkey()
    seen = Seen()
    worker = await started(build(server))
    await worker.consume("work", 50, seen.wake)
    unconfirmed = {ticket.name: ticket for ticket in tickets(3000)}
    every = set(unconfirmed)

    async def relay() -> None:
        """As the outbox does: send until confirmed; what the server confirmed and lost is sent again at the end."""
        async with asyncio.timeout(DEADLINE_S):
            while unconfirmed:
                batch = list(unconfirmed.values())[:20]
                for ticket in await worker.publish(batch):
                    del unconfirmed[ticket.name]
                await asyncio.sleep(0.001)

    sending = asyncio.ensure_future(relay())
    for _ in range(2):
        target = len(seen.names) + 300
        await until(lambda target=target: len(seen.names) >= target)
        server.kill()
        await until(lambda: not worker.connected)
        assert list(await worker.publish(tickets(1))) == []
        assert await worker.depths() == {}
        assert worker.facts().state == "down"
        assert worker.facts().error
        server.restart()
        await until(lambda: worker.connected)
    await sending
    await until_empty(worker)
    lost = every - set(seen.names)
    # appendfsync everysec may lose a second of what was confirmed: the relay sends it again after two minutes.
    for name in lost:
        job_id, _, epoch = name.rpartition(":")
        await worker.publish([Ticket(job_id, int(epoch), "work")])
    await until(lambda: every <= set(seen.names))
    assert worker.facts().reconnects == 2


async def test_a_server_that_answers_nothing_is_noticed(start_valkey: StartValkey, build: Build) -> None:
    server = start_valkey()
    worker = await started(build(server))
    server.freeze()
    began = clock.monotonic()
    assert list(await worker.publish(tickets(1))) == []
    assert clock.monotonic() - began < 10
    assert not worker.connected
    server.thaw()
    await until(lambda: worker.connected)


async def test_a_server_without_memory_refuses_and_is_said_so(start_valkey: StartValkey, build: Build) -> None:
    server = start_valkey("--maxmemory", "1")
    transport = await started(build(server, STILL))
    assert list(await transport.publish(tickets(3))) == []
    assert transport.connected
    assert transport.facts().refused == 3
    assert "memory" in (transport.facts().error or "")


async def test_entries_that_are_no_tickets_are_acknowledged_and_gone(
    ask: tuple[ValkeyServer, Client], build: Build
) -> None:
    server, client = ask
    seen = Seen()
    worker = await started(build(server))
    for fields in (("x", "y"), ("t", "no-epoch"), ("t", ":3")):
        await client.ask("XADD", "tidemill:q:work", "*", *fields)
    (good,) = tickets(1)
    await worker.publish([good])
    await worker.consume("work", 10, seen.wake)
    await until_empty(worker)
    assert seen.names == [good.name]


async def test_markers_of_the_dead_are_settled_and_age(ask: tuple[ValkeyServer, Client], build: Build) -> None:
    server, client = ask
    transport = await started(build(server, STILL))
    gone, dead = tickets(2)
    for ticket in (gone, dead, gone):
        await transport.bury(ticket, "r" * 1000)

    async def still_dead(job_ids: Sequence[str]) -> frozenset[str]:
        assert set(job_ids) <= {gone.job_id, dead.job_id}
        return frozenset({dead.job_id})

    assert await transport.settle_dead(still_dead) == 2
    assert await transport.settle_dead(still_dead) == 0
    ((_, fields),) = await client.ask("XRANGE", "tidemill:dead", "-", "+")
    marker = dict(zip(fields[::2], fields[1::2], strict=True))
    assert marker[b"job"].decode() == dead.job_id
    assert len(marker[b"reason"]) == 500
    with clock.shifted(31 * 24 * 3600):
        assert await transport.settle_dead(still_dead) == 0
    assert await client.ask("XLEN", "tidemill:dead") == 0


async def test_passwords_and_database_numbers_of_the_address_are_used(start_valkey: StartValkey) -> None:
    server = start_valkey(password="s:e/c")
    url = f"redis://:s%3Ae%2Fc@127.0.0.1:{server.port}/4"
    transport = await started(RedisTransport(url, pace=QUICK))
    await transport.publish(tickets(2))
    client = Client(url, setting="queue.url")
    assert await client.ask("XLEN", "tidemill:q:work") == 2
    await client.close()
    await transport.close()
    wrong = RedisTransport(f"redis://:wrong@127.0.0.1:{server.port}/4")
    await wrong.start()
    await until(lambda: wrong.facts().state == "down")
    assert "wrong@" not in (wrong.facts().error or "")
    await wrong.close()


@pytest.fixture
async def tls_front(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """Give a port of localhost that speaks TLS for ``valkey``, and the certificate to trust."""
    certificate, key = tmp_path / "front.crt", tmp_path / "front.key"
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the other side hung up
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", valkey.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    front = await asyncio.start_server(join, "127.0.0.1", 0, ssl=context)
    yield front.sockets[0].getsockname()[1], certificate
    front.close()


async def test_tls_is_spoken_where_the_address_says_so(tls_front: tuple[int, Path]) -> None:
    port, certificate = tls_front
    seen, prefix = Seen(), uuid4().hex
    trusting = RedisTransport(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}", prefix=prefix, pace=QUICK)
    await started(trusting)
    await trusting.consume("work", 10, seen.wake)
    await trusting.publish(tickets(3))
    await until(lambda: len(seen.names) == 3)
    await trusting.close()
    doubting = RedisTransport(f"rediss://localhost:{port}/0", prefix=prefix)
    await doubting.start()
    await until(lambda: doubting.facts().state == "down")
    assert "certificate" in (doubting.facts().error or "").lower()
    await doubting.close()


async def test_a_closed_transport_leaves_nothing_running(start_valkey: StartValkey, build: Build) -> None:
    server = start_valkey()
    before = asyncio.all_tasks()
    transport = await started(build(server))
    for queue in ("work", "other"):
        await transport.consume(queue, 5, Seen().wake)
    await transport.publish(tickets(3))
    await transport.close()
    assert asyncio.all_tasks() == before
    assert not transport.connected


def test_an_address_that_is_none_names_the_setting() -> None:
    with pytest.raises(BadInput) as refused:
        RedisTransport("redis://host:not-a-port")
    assert refused.value.fields[0].field == "queue.url"
