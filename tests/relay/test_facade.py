"""Calls from inside the process: pinned to a channel, streamed, cancelled, counted like any other."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec import Struct

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, Rig, relay_rig
from tests.relay.upstream import ANSWER, DEADLINE_S, Request, Wire, answers, chunk, drops, refuses
from tidemill.kernel.errors import Conflict
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database
from tidemill.relay.contracts import Call
from tidemill.relay.errors import ModelNotFound, NoChannelAvailable, RateLimited, UpstreamFailed, UpstreamRefused

MESSAGES = [{"role": "user", "content": "hi"}]


async def test_a_completion_says_what_a_caller_wants_to_know(rig: Rig, services: Start) -> None:
    async def thinks(request: Request, wire: Wire) -> None:
        del request
        message = {"role": "assistant", "content": [{"type": "text", "text": "he"}, {"type": "text", "text": "llo"}]}
        choice = {"index": 0, "message": {**message, "reasoning_content": "hm"}, "finish_reason": "length"}
        await wire.json({**ANSWER, "choices": [choice]})

    service = await services(thinks)
    view = await rig.channel(service)
    schema = {"type": "json_object"}
    done = await rig.context.relay.complete(
        Call(
            model="m",
            messages=MESSAGES,
            user_id=7,
            temperature=0.0,
            seed=3,
            response_format=schema,
            extra={"top_k": 5},
            surface="datagen",
            metadata={"task": "t"},
        )
    )
    assert (done.content, done.reasoning, done.finish_reason) == ("hello", "hm", "length")
    assert (done.model, done.channel, done.channel_id, done.usage.total_tokens) == ("m", "one", view.id, 10)
    assert done.latency_ms > 0
    body = service.seen[0].body
    assert (body["temperature"], body["seed"], body["response_format"], body["top_k"]) == (0.0, 3, schema, 5)
    assert "top_p" not in body
    (event,) = await rig.ledger.wait_for(1)
    assert (event.surface, event.user_id, event.metadata) == ("datagen", 7, {"task": "t"})


async def test_a_pinned_call_goes_nowhere_else_and_is_not_retried(rig: Rig, services: Start) -> None:
    bad, good = await services(drops), await services()
    pinned = await rig.channel(bad, "bad")
    await rig.channel(good, "good")
    with pytest.raises(UpstreamFailed) as failure:
        await rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1, channel_id=pinned.id))
    assert failure.value.kind == "transport"
    assert (len(bad.seen), len(good.seen)) == (1, 0)
    with pytest.raises(ModelNotFound):
        await rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1, channel_id=99))


async def test_each_kind_of_failure_is_told_apart(rig: Rig, services: Start) -> None:
    service = await services()
    view = await rig.channel(service)

    async def fails() -> UpstreamFailed:
        with pytest.raises(UpstreamFailed) as failure:
            await rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1, channel_id=view.id))
        return failure.value

    service.scripts.append(refuses(429, "later", headers=[("retry-after-ms", "20")]))
    rate = await fails()
    assert (rate.kind, rate.status, rate.upstream_status, rate.retry_after_s) == ("rate", 429, 429, 0.02)
    service.scripts.append(refuses(500, "broken sk-abcdefgh123"))
    server = await fails()
    assert (server.kind, server.upstream_status, server.detail) == ("server", 500, "broken ***")
    service.scripts.append(refuses(422, "no such field"))
    refused = await fails()
    assert isinstance(refused, UpstreamRefused)
    assert (refused.kind, refused.answer_status, refused.detail) == ("client", 422, "no such field")
    service.scripts.append(refuses(403))
    assert (await fails()).kind == "auth"


async def test_a_callers_own_impatience_does_not_speak_against_the_channel(rig: Rig, services: Start) -> None:
    async def never(request: Request, wire: Wire) -> None:
        del request
        await wire.caller_hangs_up()

    await rig.channel(await services(never))
    for _ in range(6):
        with pytest.raises(UpstreamFailed) as failure:
            await rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1, timeout_s=0.05))
        assert failure.value.kind == "timeout"
    (view,) = rig.context.relay.services("m")
    assert view.breaker == "closed"


async def test_a_cancelled_call_hangs_up_and_frees_its_slot(rig: Rig, services: Start) -> None:
    hung_up = asyncio.Event()

    async def never(request: Request, wire: Wire) -> None:
        del request
        await wire.caller_hangs_up()
        hung_up.set()

    service = await services(never)
    await rig.channel(service, max_concurrent=1)
    call = asyncio.ensure_future(rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1)))
    await service.next_request()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(DEADLINE_S):
        await hung_up.wait()
    assert rig.context.relay.services("m")[0].in_flight == 0
    assert (await rig.ledger.wait_for(1))[0].status is CallStatus.CLIENT_GONE


async def test_a_waiting_call_that_is_cancelled_leaves_no_trace(rig: Rig, services: Start) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, wire: Wire) -> None:
        await go_on.wait()
        await answers(request, wire)

    service = await services(waits)
    await rig.channel(service, max_concurrent=1)
    relay = rig.context.relay
    first = asyncio.ensure_future(relay.complete(Call(model="m", messages=MESSAGES, user_id=1)))
    await service.next_request()
    second = asyncio.ensure_future(relay.complete(Call(model="m", messages=MESSAGES, user_id=1)))
    third = asyncio.ensure_future(relay.complete(Call(model="m", messages=MESSAGES, user_id=2)))
    async with asyncio.timeout(DEADLINE_S):
        while rig.context.board.waiting < 2:
            await asyncio.sleep(0.005)
    second.cancel()
    go_on.set()
    assert (await first).content == (await third).content == "hello"
    assert rig.context.board.waiting == 0
    go_on.clear()
    busy = asyncio.ensure_future(relay.complete(Call(model="m", messages=MESSAGES, user_id=1)))
    async with asyncio.timeout(DEADLINE_S):
        while not relay.services("m")[0].in_flight:
            await asyncio.sleep(0.005)
    with pytest.raises(RateLimited):
        await relay.complete(Call(model="m", messages=MESSAGES, user_id=1, wait_s=0.0))
    go_on.set()
    await busy


async def test_a_stream_from_inside_ends_with_done_and_hangs_up_when_closed(rig: Rig, services: Start) -> None:
    hung_up = asyncio.Event()

    async def endless(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(chunk("a"))
        await wire.caller_hangs_up()
        hung_up.set()

    service = await services()
    await rig.channel(service)
    call = Call(model="m", messages=MESSAGES, user_id=1)
    parts = [part async for part in rig.context.relay.stream(call)]
    assert b"".join(parts).endswith(b"\n\ndata: [DONE]\n\n")
    service.otherwise = endless
    stream = rig.context.relay.stream(call)
    assert b'"a"' in await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(DEADLINE_S):
        await hung_up.wait()
    service.otherwise = refuses(500)
    with pytest.raises(UpstreamFailed):
        await anext(rig.context.relay.stream(call))
    with pytest.raises(ModelNotFound):
        await anext(rig.context.relay.stream(Call(model="none", messages=MESSAGES, user_id=1)))


async def test_an_answer_without_a_message_is_a_failure(rig: Rig, services: Start) -> None:
    async def empty(request: Request, wire: Wire) -> None:
        del request
        await wire.json({**ANSWER, "choices": []})

    async def prose(request: Request, wire: Wire) -> None:
        del request
        await wire.json(b"<html>busy</html>")

    for script in (empty, prose):
        view = await rig.channel(await services(script), "x")
        with pytest.raises(UpstreamFailed):
            await rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1))
        await rig.context.channels.delete(ADMIN, view.id, None)


class _Service(Struct, frozen=True):
    base_url: str
    api_key: str | None
    slots: int


class Leases:
    """Local models that are one loopback service; ``fails`` says why one cannot be had."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.known = ["tiny"]
        self.held = 0
        self.fails: Exception | None = None
        self._callbacks: list[Callable[[], None]] = []

    def names(self) -> list[str]:
        return self.known

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncGenerator[_Service]:
        if self.fails is not None:
            raise self.fails
        assert name == "tiny"
        self.held += 1
        try:
            yield _Service(self.url, "local-key", 2)
        finally:
            self.held -= 1

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def changed(self) -> None:
        for callback in self._callbacks:
            callback()


async def test_a_local_model_is_a_channel_while_it_is_there(memory_database: Database, services: Start) -> None:
    service = await services()
    leases = Leases(service.url)
    async with relay_rig(memory_database, leases=leases) as rig:
        relay = rig.context.relay
        (model,) = relay.models()
        assert (model.name, model.is_local) == ("tiny", True)
        (before,) = relay.services("tiny")
        assert (before.limit, before.is_local) == (4, True)
        done = await relay.complete(Call(model="tiny", messages=MESSAGES, user_id=1))
        assert (done.content, done.channel) == ("hello", "local:tiny")
        assert service.seen[0].headers["authorization"] == "Bearer local-key"
        assert leases.held == 0
        (view,) = relay.services("tiny")
        assert (view.limit, view.done) == (2, 1)
        (shown,) = await rig.context.channels.all(ADMIN)
        assert (shown.read_only, shown.provider, shown.id < 0) == (True, "local", True)
        assert (await rig.context.channels.get(ADMIN, shown.id)).name == "local:tiny"
        (event,) = await rig.ledger.wait_for(1)
        assert (event.provider, event.channel_id) == ("local", shown.id)
        leases.fails = Conflict("every port of the range is in use")
        with pytest.raises(Conflict):
            await relay.complete(Call(model="tiny", messages=MESSAGES, user_id=1))
        assert relay.services("tiny")[0].in_flight == 0
        leases.known = []
        leases.changed()
        async with asyncio.timeout(DEADLINE_S):
            while relay.services("tiny"):
                await asyncio.sleep(0.005)


async def test_a_breaker_that_opens_while_others_wait_tells_them(rig: Rig, services: Start) -> None:
    go_on = asyncio.Event()

    async def fails_later(request: Request, wire: Wire) -> None:
        del request
        await go_on.wait()
        wire.drop()

    service = await services(fails_later)
    view = await rig.channel(service, max_concurrent=5)
    calls = [
        asyncio.ensure_future(
            rig.context.relay.complete(Call(model="m", messages=MESSAGES, user_id=1, channel_id=view.id))
        )
        for _ in range(20)
    ]
    async with asyncio.timeout(DEADLINE_S):
        while rig.context.board.waiting < 15:
            await asyncio.sleep(0.005)
    go_on.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    kinds = [type(result) for result in results]
    assert kinds.count(UpstreamFailed) >= 5
    assert NoChannelAvailable in kinds
    assert rig.context.board.waiting == 0
