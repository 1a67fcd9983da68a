"""A stream whose client has left is read on for its usage, where that is set: bounded, and settled once."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.upstream import DEADLINE_S, USAGE, Request, Wire, chunk
from tidemill.metering.contracts import CallStatus, UsageEvent
from tidemill.platform.db import Database
from tidemill.relay.contracts import Price

STREAM = {**ASK, "stream": True}
BOUND_S = 20.0


class Slow:
    """A service that begins a stream and ends it when it is told to; it notices who hangs up."""

    def __init__(self, start: list[str], end: list[str]) -> None:
        self.start, self.end = start, end
        self.go_on = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        for piece in self.start:
            await wire.piece(piece.encode())
        leaving = asyncio.ensure_future(self._leaves(wire))
        try:
            await self.go_on.wait()
            for piece in self.end:
                await wire.piece(piece.encode())
            await wire.raw(b"0\r\n\r\n")
            self.ended.set()
            await leaving
        finally:
            leaving.cancel()

    async def _leaves(self, wire: Wire) -> None:
        await wire.caller_hangs_up()
        self.hung_up.set()


def data(*bodies: Any) -> list[str]:
    return [f"data: {body if isinstance(body, str) else json.dumps(body)}\n\n" for body in bodies]


def chat() -> Slow:
    return Slow(data(chunk("one ")), data(chunk("two"), chunk(finish="stop"), USAGE, "[DONE]"))


def named(*events: Any) -> list[str]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def messages() -> Slow:
    start: dict[str, Any] = {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "x",
        "content": [],
        "stop_reason": None,
    }
    return Slow(
        named(
            {"type": "message_start", "message": {**start, "usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one "}},
        ),
        named(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ),
    )


@asynccontextmanager
async def left(rig: Rig, body: Any = None, path: str = "/v1/chat/completions") -> AsyncGenerator[None]:
    """Call, wait for the first words, and leave."""
    answer = await rig.post(STREAM if body is None else body, path=path)
    async with asyncio.timeout(DEADLINE_S):
        while b"one" not in await answer.content.readuntil(b"\n\n"):
            pass
    answer.close()
    yield


async def until_drained(rig: Rig) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while rig.context.board.services("m")[0].in_flight:
            await asyncio.sleep(0.01)


async def draining(rig: Rig, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while rig.context.drains.running != count:
            await asyncio.sleep(0.01)


async def only_event(rig: Rig) -> UsageEvent:
    await rig.ledger.wait_for(1)
    await until_drained(rig)
    (event,) = rig.ledger.events
    return event


MESSAGES = {**STREAM, "max_tokens": 50}


@pytest.mark.parametrize(
    ("client", "provider", "service"),
    [
        ("/v1/chat/completions", "openai", chat),
        ("/v1/messages", "openai", chat),
        ("/v1/messages", "anthropic", messages),
        ("/v1/chat/completions", "anthropic", messages),
    ],
)
async def test_the_usage_at_the_end_is_what_counts(
    memory_database: Database, services: Start, client: str, provider: str, service: Any
) -> None:
    slow = service()
    async with relay_rig(memory_database, drain_s=BOUND_S) as rig:
        await rig.channel(await services(slow), provider=provider)
        async with left(rig, MESSAGES, client):
            await draining(rig, 1)
            assert rig.ledger.events == [], "nothing is settled before the end is known"
            assert rig.context.board.services("m")[0].in_flight == 1, "the service still works for us"
            slow.go_on.set()
        event = await only_event(rig)
        assert (event.tokens.request, event.tokens.response, event.tokens.estimated) == (7, 2, False)
        assert event.status is CallStatus.CLIENT_GONE
        assert rig.context.drains.running == 0


async def test_a_connection_whose_stream_was_read_to_its_end_serves_again(
    memory_database: Database, services: Start
) -> None:
    slow = chat()
    async with relay_rig(memory_database, drain_s=BOUND_S) as rig:
        service = await services(slow)
        await rig.channel(service)
        async with left(rig):
            slow.go_on.set()
        await only_event(rig)
        assert not slow.hung_up.is_set()


async def test_past_the_bound_the_service_is_left_and_the_usage_estimated(
    memory_database: Database, services: Start
) -> None:
    slow = chat()
    async with relay_rig(memory_database, drain_s=0.1) as rig:
        await rig.channel(await services(slow))
        async with left(rig), asyncio.timeout(DEADLINE_S):
            await slow.hung_up.wait()
        event = await only_event(rig)
        assert event.tokens.estimated
        assert event.tokens.response == 1


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({}, {}),
        ({"drain_s": BOUND_S, "max_drains": 0}, {}),
        ({"drain_s": BOUND_S}, {"prices": {"m": Price()}}),
        ({"drain_s": BOUND_S}, {"prices": {"*": Price()}}),
    ],
)
async def test_else_the_service_is_left_at_once(
    memory_database: Database, services: Start, settings: dict[str, Any], fields: dict[str, Any]
) -> None:
    slow = chat()
    async with relay_rig(memory_database, **settings) as rig:
        await rig.channel(await services(slow), **fields)
        async with left(rig), asyncio.timeout(DEADLINE_S):
            await slow.hung_up.wait()
        assert (await only_event(rig)).tokens.estimated


async def test_only_so_many_are_read_on_at_once(memory_database: Database, services: Start) -> None:
    slow = [chat() for _ in range(3)]
    async with relay_rig(memory_database, drain_s=BOUND_S, max_drains=2) as rig, AsyncExitStack() as stack:
        service = await services()
        service.scripts.extend(slow)
        await rig.channel(service)
        for number in range(3):
            await stack.enter_async_context(left(rig))
            await draining(rig, min(number + 1, 2))
        async with asyncio.timeout(DEADLINE_S):
            await slow[2].hung_up.wait()
        for one in slow[:2]:
            one.go_on.set()
        events = await rig.ledger.wait_for(3)
        assert sorted(event.tokens.estimated for event in events) == [False, False, True]


async def test_a_client_that_leaves_before_the_first_words_ends_the_call(
    memory_database: Database, services: Start
) -> None:
    slow = Slow([": nothing yet\n\n"], [])
    async with relay_rig(memory_database, drain_s=BOUND_S) as rig:
        service = await services(slow)
        await rig.channel(service)
        call = asyncio.ensure_future(
            rig.http.post(rig.url + "/v1/chat/completions", json=STREAM, headers={"authorization": "Bearer user-1"})
        )
        await service.next_request()
        call.cancel()
        async with asyncio.timeout(DEADLINE_S):
            await slow.hung_up.wait()
        assert (await only_event(rig)).tokens.response == 0


async def test_a_stream_that_breaks_while_it_is_read_on_is_settled_once(
    memory_database: Database, services: Start
) -> None:
    slow = Slow(data(chunk("one ")), ["data: {broken\n\n", "data: {"])
    async with relay_rig(memory_database, drain_s=BOUND_S) as rig:
        await rig.channel(await services(slow))
        async with left(rig):
            await draining(rig, 1)
            slow.go_on.set()
        event = await only_event(rig)
        assert event.tokens.estimated
        assert event.status is CallStatus.CLIENT_GONE


async def test_completions_are_read_on_too(memory_database: Database, services: Start) -> None:
    piece = {"object": "text_completion", "choices": [{"index": 0, "text": "one", "finish_reason": None}]}
    usage: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
    slow = Slow(data(piece), data(usage, "[DONE]"))
    async with relay_rig(memory_database, drain_s=BOUND_S) as rig:
        await rig.channel(await services(slow))
        async with left(rig, {"model": "m", "prompt": "hi", "stream": True}, "/v1/completions"):
            await draining(rig, 1)
            slow.go_on.set()
        event = await only_event(rig)
        assert (event.tokens.request, event.tokens.response, event.tokens.estimated) == (3, 4, False)


async def test_a_stream_that_went_on_elsewhere_counts_each_part_once(
    memory_database: Database, services: Start
) -> None:
    async def breaks(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(chunk("once upon a time, "))
        wire.drop()

    counted: list[tuple[int, int]] = []
    for leaves in (False, True):
        slow = Slow(data(chunk("one ")), data(chunk("two"), chunk(finish="stop"), "[DONE]"))
        async with relay_rig(memory_database, drain_s=BOUND_S, continue_streams=True) as rig:
            first = await rig.channel(await services(breaks), "first", priority=9)
            second = await rig.channel(await services(slow), "second")
            if leaves:
                async with left(rig):
                    await draining(rig, 1)
                    slow.go_on.set()
            else:
                slow.go_on.set()
                async with rig.post(STREAM) as answer:
                    await answer.read()
            await rig.ledger.wait_for(1)
            (event,) = rig.ledger.events
            assert event.retries == 1
            counted.append((event.tokens.request, event.tokens.response))
            for view in (first, second):
                await rig.context.channels.delete(ADMIN, view.id, None)
    assert counted[0] == counted[1]
    assert counted[0][1] > 2, "more than the second service's own part"
