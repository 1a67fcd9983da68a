"""Clients that hardly read: the service behind is held back, memory stays bounded, and everybody else is served."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.faults.relay_rig import Relay, asked_of, until
from tests.relay.tongues import ALL, Client
from tests.relay.upstream import DEADLINE_S, ROLE, Request, Wire, chunk, upstream
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Target

pytestmark = pytest.mark.xdist_group("relay slow reader")
MB = 1024 * 1024
WOULD_SEND_BYTES = 200 * MB
MORE_RSS_BYTES = 30 * MB
# For each reader: what the sockets of both sides take on loopback (measured: 9 MB), with room to spare.
MOST_SENT_BYTES = 20 * MB
OTHERS = 50
_EVENT = f"data: {json.dumps(chunk('water ' * 150))}\n\n".encode()
PIECE = _EVENT * 64


class Flood:
    """A service that sends as fast as it may; counts what it got rid of."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.left = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(ROLE)
        try:
            for _ in range(WOULD_SEND_BYTES // len(PIECE)):
                await wire.piece(PIECE)
                self.sent_bytes += len(PIECE)
        except ConnectionError:
            self.left += 1
            raise


@asynccontextmanager
async def sipping(relay: Relay, model: str, client: Dialect) -> AsyncGenerator[list[int]]:
    """Have a streamed call under way whose reader takes a byte now and then; gives what it has taken."""
    codec, request = Client(relay, client).codec, asked_of(model, client, "hi", stream=True)
    body = codec.encode_request(request, Target(model=model)).body
    prefix = "/v1beta" if client is Dialect.GEMINI else "/v1"
    head = (
        f"POST {prefix}{codec.path(model, stream=True)} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {relay.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    loop, taken = asyncio.get_running_loop(), [0]
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(0)
        await loop.sock_connect(wire, ("127.0.0.1", relay.home.server.port))
        await loop.sock_sendall(wire, head.encode() + body)

        async def sip() -> None:
            while await loop.sock_recv(wire, 1):
                taken[0] += 1
                await asyncio.sleep(0.05)  # the reader's own pace

        task = asyncio.create_task(sip())
        try:
            yield taken
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_who_hardly_reads_holds_the_service_back(relay: Relay) -> None:
    flood, model, others_model = Flood(), relay.new_model(), relay.new_model()
    async with upstream(flood) as fast, upstream() as good, AsyncExitStack() as stack:
        relay.channel(fast.url, model)
        relay.channel(good.url, others_model)
        async with relay.post(others_model, stream=True) as warm:
            await warm.read()
        before = relay.rss_bytes()
        sips = [await stack.enter_async_context(sipping(relay, model, client)) for client in ALL]
        await until(lambda: all(taken[0] for taken in sips), "a byte for each reader")
        most = relay.rss_bytes()
        sent = -1
        while sent != flood.sent_bytes:  # until the service can send no more
            sent = flood.sent_bytes
            for _ in range(OTHERS):
                async with asyncio.timeout(DEADLINE_S), relay.post(others_model, stream=True) as answer:
                    assert answer.status == 200
                    assert (await answer.read()).endswith(b"data: [DONE]\n\n")
            most = max(most, relay.rss_bytes())
        assert most - before < MORE_RSS_BYTES, f"{(most - before) / MB:.1f} MB more"
        assert sent < len(sips) * MOST_SENT_BYTES, f"{sent / MB:.1f} MB sent"
        await stack.aclose()
        await until(lambda: flood.left == len(ALL), "the service told that its readers left")
        for row in await relay.usage(model, len(ALL)):
            assert row["status"] == "client_gone"


async def test_who_wakes_up_gets_everything_in_order(relay: Relay) -> None:
    # 80 MB, far more than the buffers of four sockets grow to.
    count, sent = 10_000, 0

    async def script(request: Request, wire: Wire) -> None:
        nonlocal sent
        del request
        await wire.begin_stream()
        for number in range(count):
            await wire.event(chunk(f"{number} " + "." * 8_000))
            sent = number + 1
        await wire.event(chunk(finish="stop"))
        await wire.end_stream()

    model = relay.new_model()
    async with upstream(script) as served:
        relay.channel(served.url, model)
        async with asyncio.timeout(DEADLINE_S), relay.post(model, stream=True) as answer:
            before = -1
            while before != sent:  # asleep until the service can send no more
                before = sent
                await asyncio.sleep(0.3)
            assert 0 < sent < count
            raw = await answer.read()
    *events, done = [line for line in raw.split(b"\n") if line.startswith(b"data: ")]
    assert done == b"data: [DONE]"
    numbers = [json.loads(event[6:])["choices"][0]["delta"]["content"].split(" ")[0] for event in events[:-1]]
    assert numbers == [str(number) for number in range(count)]
