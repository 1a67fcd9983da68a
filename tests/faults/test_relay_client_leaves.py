"""A client that leaves: the model service hears of it within a second, and what was used is settled, in every phase."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.faults.relay_rig import Relay, asked_of, until
from tests.relay.tongues import ALL, Client
from tests.relay.upstream import DEADLINE_S, ROLE, Request, Wire, chunk, upstream
from tidemill.wire.canonical_parts import Dialect

pytestmark = pytest.mark.xdist_group("relay client leaves")
# The promise: the service hears of it within this time.
HEARD_S = 1.0
CLIENTS_EACH = 5


class Patient:
    """A service that goes as far as told with each request and then waits for its caller to hang up."""

    def __init__(self, first: Callable[[Wire], Any]) -> None:
        self._first = first
        self.waiting = 0
        self.left = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        del request
        await self._first(wire)
        self.waiting += 1
        await wire.caller_hangs_up()
        self.left += 1
        wire.drop()


async def says_nothing(wire: Wire) -> None:
    del wire


async def sends_a_head(wire: Wire) -> None:
    await wire.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")


async def sends_half(wire: Wire) -> None:
    await sends_a_head(wire)
    await wire.raw(b'{"id": "chatcmpl-1", ')


async def begins_a_stream(wire: Wire) -> None:
    await wire.begin_stream()


async def takes_its_role(wire: Wire) -> None:
    await wire.begin_stream()
    await wire.event(ROLE)


async def speaks(wire: Wire) -> None:
    await takes_its_role(wire)
    await wire.event(chunk("some words "))
    await wire.event(chunk("of an answer"))


@asynccontextmanager
async def left_alone(relay: Relay, model: str, client: Dialect, *, stream: bool) -> AsyncGenerator[None]:
    """Have a call under way during the block, and leave at its end."""

    async def call() -> None:
        async with Client(relay, client).open(asked_of(model, client, "hi", stream=stream), relay.key) as answer:
            while await answer.content.readany():
                pass

    task = asyncio.create_task(call())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


PHASES: dict[str, tuple[Callable[[Wire], Any], bool, bool]] = {
    # name: how far the service goes, whether the call is streamed, whether tokens were used
    "plain, no answer yet": (says_nothing, False, False),
    "plain, a head and no body": (sends_a_head, False, False),
    "plain, half a body": (sends_half, False, False),
    "stream, no answer yet": (says_nothing, True, False),
    "stream, a head and no event": (begins_a_stream, True, False),
    "stream, before the first token": (takes_its_role, True, True),
    "stream, after the first token": (speaks, True, True),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_the_service_hears_of_it_within_a_second(relay: Relay, phase: str) -> None:
    first, stream, used = PHASES[phase]
    service = Patient(first)
    model = relay.new_model()
    async with upstream(service) as served:
        channel = relay.channel(served.url, model)
        async with AsyncExitStack() as stack:
            for client in ALL * CLIENTS_EACH:
                await stack.enter_async_context(left_alone(relay, model, client, stream=stream))
            count = len(ALL) * CLIENTS_EACH
            await until(lambda: service.waiting == count, "every call at the service")
        await until(lambda: service.left == count, "every call given up at the service", HEARD_S)
        for row in await relay.usage(model, count):
            assert (row["status"], row["retries"]) == ("client_gone", 0)
            assert bool(row["estimated"]) is used
            assert (row["request_tokens"] > 0) is used
            assert (row["response_tokens"] > 0) is (first is speaks)
        state = relay.state(channel)
        assert (state["in_flight"], state["breaker"], state["errors"]) == (0, "closed", 0)


async def test_a_service_in_full_flow_hears_of_it_too(relay: Relay) -> None:
    flowing, broken = 0, 0

    async def script(request: Request, wire: Wire) -> None:
        nonlocal flowing, broken
        del request
        await speaks(wire)
        flowing += 1
        try:
            while True:
                await wire.event(chunk("and more "))
                await asyncio.sleep(0.005)
        except ConnectionError:
            broken += 1
            raise

    model = relay.new_model()
    async with upstream(script) as served:
        relay.channel(served.url, model)
        async with AsyncExitStack() as stack:
            for client in ALL:
                await stack.enter_async_context(left_alone(relay, model, client, stream=True))
            await until(lambda: flowing == len(ALL), "every stream in flow")
        await until(lambda: broken == len(ALL), "every stream given up at the service", HEARD_S)
        for row in await relay.usage(model, len(ALL)):
            assert (row["status"], bool(row["estimated"])) == ("client_gone", True)
            assert row["response_tokens"] > 0


async def test_who_leaves_the_queue_calls_nobody(relay: Relay) -> None:
    service = Patient(says_nothing)
    model = relay.new_model()
    async with upstream(service) as served:
        channel = relay.channel(served.url, model, max_concurrent=1)
        async with left_alone(relay, model, Dialect.OPENAI_CHAT, stream=False):
            await until(lambda: service.waiting == 1, "the one slot taken")
            async with AsyncExitStack() as stack:
                for client in ALL:
                    await stack.enter_async_context(left_alone(relay, model, client, stream=True))
                async with asyncio.timeout(DEADLINE_S):
                    while await relay.waiting() != len(ALL):
                        await asyncio.sleep(0.01)
            gone = await relay.usage(model, len(ALL))
            assert {row["status"] for row in gone} == {"client_gone"}
            assert {row["total_tokens"] for row in gone} == {0}
        await until(lambda: service.left == 1, "the slot free again", HEARD_S)
        await relay.usage(model, len(ALL) + 1)
        assert len(served.seen) == 1
        assert relay.state(channel)["in_flight"] == 0
