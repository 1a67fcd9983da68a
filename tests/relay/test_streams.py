"""A streamed call: committed at its first content, kept alive, bounded, ended properly whatever happens."""

import asyncio
import json
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.upstream import DEADLINE_S, ROLE, USAGE, Request, Wire, chunk, refuses
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database

STREAM = {**ASK, "stream": True}


def texts(events: list[str]) -> str:
    """Return the text that the content events carry."""
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for item in chunks for choice in item.get("choices", []))


async def test_events_pass_through_and_end_with_done(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    status, events = await rig.events()
    assert status == 200
    assert texts(events) == "hello"
    assert events[-1] == "[DONE]"
    assert all(json.loads(event).get("choices") for event in events[:-1]), "the usage chunk was not asked for"
    assert service.seen[0].body["stream_options"] == {"include_usage": True}
    (event,) = await rig.ledger.wait_for(1)
    assert (event.stream, event.status, event.tokens.total, event.tokens.estimated) == (True, CallStatus.OK, 9, False)
    assert event.first_token_ms is not None
    assert event.first_token_ms <= event.latency_ms


async def test_who_asks_for_usage_gets_it(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    _, events = await rig.events({**STREAM, "stream_options": {"include_usage": True, "x": 1}})
    assert json.loads(events[-2])["usage"] == USAGE["usage"]
    assert service.seen[0].body["stream_options"] == {"include_usage": True, "x": 1}


async def test_bytes_of_events_are_the_services_own(rig: Rig, services: Start) -> None:
    odd = b'data:  {"choices":[{"index":0,"delta":{"content":"\\u4f60","z":1.0}}]}\r\n\r\n'

    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        for position in range(0, len(odd), 7):  # cut anywhere by the network
            await wire.piece(odd[position : position + 7])
        await wire.event(chunk(finish="stop"))
        await wire.end_stream()

    await rig.channel(await services(script))
    async with rig.post(STREAM) as answer:
        assert (await answer.read()).startswith(odd)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"


async def test_a_failure_before_content_is_unseen(rig: Rig, services: Start) -> None:
    async def lifecycle_then_cut(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(ROLE)
        wire.drop()

    async def error_in_the_body(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(ROLE)
        await wire.event({"error": {"message": "boom", "code": 500}})
        await wire.end_stream()

    async def empty(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.end_stream()

    good = await services()
    await rig.channel(good, "good", priority=0)
    for number, script in enumerate((lifecycle_then_cut, error_in_the_body, empty, refuses(503))):
        bad = await services(script)
        view = await rig.channel(bad, f"bad {number}", priority=9)
        status, events = await rig.events()
        assert (status, texts(events), events[-1]) == (200, "hello", "[DONE]")
        assert len(bad.seen) == 1
        event = (await rig.ledger.wait_for(number + 1))[-1]
        assert (event.channel, event.retries, event.status) == ("good", 1, CallStatus.OK)
        await rig.context.channels.set_status(ADMIN, view.id, "disabled", None)


async def test_an_error_in_the_body_without_another_channel_has_its_own_status(rig: Rig, services: Start) -> None:
    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event({"object": "error", "message": "too long", "code": 400})

    await rig.channel(await services(script))
    async with rig.post(STREAM) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["message"] == "too long"


async def test_a_stream_cut_after_content_ends_with_an_error_event(rig: Rig, services: Start) -> None:
    async def cut(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(chunk("hel"))
        wire.drop()

    service = await services(cut)
    other = await services()
    await rig.channel(service, priority=9)
    await rig.channel(other, "two")
    status, events = await rig.events()
    assert status == 200
    assert texts(events[:-1]) == "hel"
    assert json.loads(events[-1])["error"]["code"] == "upstream_failed"
    assert other.seen == []
    (event,) = await rig.ledger.wait_for(1)
    assert (event.status, event.error_code) == (CallStatus.UPSTREAM_ERROR, "upstream_failed")
    assert event.tokens.estimated
    assert event.tokens.response == 1


async def test_a_stream_without_done_ends_well_after_its_finish_reason(rig: Rig, services: Start) -> None:
    async def no_done(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(chunk("hi"))
        await wire.event(chunk(finish="stop"))
        await wire.end_stream(done=False)

    await rig.channel(await services(no_done))
    _, events = await rig.events()
    assert (texts(events), events[-1]) == ("hi", "[DONE]")
    assert (await rig.ledger.wait_for(1))[0].status is CallStatus.OK


async def test_usage_in_every_chunk_counts_once(rig: Rig, services: Start) -> None:
    async def repeats(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        for count in (1, 2, 3):
            usage = {"prompt_tokens": 5, "completion_tokens": count, "total_tokens": 5 + count}
            await wire.event(chunk("x", usage=usage))
        await wire.event(chunk(finish="stop", usage=None))
        await wire.end_stream()

    await rig.channel(await services(repeats))
    await rig.events()
    (event,) = await rig.ledger.wait_for(1)
    assert (event.tokens.request, event.tokens.response) == (5, 3)


async def test_a_silent_stream_is_kept_alive_before_and_after_its_first_content(
    memory_database: Database, services: Start
) -> None:
    go_on, again = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await go_on.wait()
        await wire.event(chunk("a"))
        await again.wait()
        await wire.event(chunk("b"))
        await wire.event(chunk(finish="stop"))
        await wire.end_stream()

    async with relay_rig(memory_database, heartbeat_s=0.05) as rig:
        await rig.channel(await services(slow))
        async with asyncio.timeout(DEADLINE_S), rig.post(STREAM) as answer:
            assert answer.status == 200
            assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"
            go_on.set()
            event = b": "
            while event.startswith(b": "):
                event = await answer.content.readuntil(b"\n\n")
            assert b'"a"' in event
            assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"
            again.set()
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        assert (await rig.ledger.wait_for(1))[0].status is CallStatus.OK


async def test_after_a_keep_alive_another_channel_still_takes_over(memory_database: Database, services: Start) -> None:
    kept = asyncio.Event()

    async def stalls_then_drops(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await kept.wait()
        wire.drop()

    async with relay_rig(memory_database, heartbeat_s=0.05) as rig:
        await rig.channel(await services(stalls_then_drops), priority=9)
        await rig.channel(await services(), "two")
        async with asyncio.timeout(DEADLINE_S), rig.post(STREAM) as answer:
            assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"
            kept.set()
            rest = (await answer.read()).decode()
        assert '"hel"' in rest
        assert rest.endswith("data: [DONE]\n\n")
        assert "error" not in rest


@pytest.mark.parametrize(
    ("settings", "content", "status"),
    [({"first_token_timeout_s": 0.1}, False, 504), ({"idle_timeout_s": 0.1}, True, 200)],
)
async def test_a_stalled_stream_is_given_up(
    memory_database: Database, services: Start, settings: dict[str, Any], *, content: bool, status: int
) -> None:
    hung_up = asyncio.Event()

    async def stalls(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        if content:
            await wire.event(chunk("a"))
        await wire.caller_hangs_up()
        hung_up.set()

    async with relay_rig(memory_database, **settings) as rig:
        await rig.channel(await services(stalls))
        async with asyncio.timeout(DEADLINE_S), rig.post(STREAM) as answer:
            text = (await answer.read()).decode()
            assert answer.status == status
            assert "upstream_timeout" in text
            await hung_up.wait()
        (event,) = await rig.ledger.wait_for(1)
        assert event.status is CallStatus.TIMEOUT
        assert event.tokens.estimated is content


async def test_a_client_that_leaves_ends_the_upstream_call_within_a_second(rig: Rig, services: Start) -> None:
    hung_up = asyncio.Event()

    async def endless(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(chunk("one two three four"))
        await wire.caller_hangs_up()
        hung_up.set()

    await rig.channel(await services(endless))
    answer = await rig.post(STREAM)
    await answer.content.readuntil(b"\n\n")
    answer.close()
    async with asyncio.timeout(DEADLINE_S):
        await hung_up.wait()
    (event,) = await rig.ledger.wait_for(1)
    assert event.status is CallStatus.CLIENT_GONE
    assert event.tokens.estimated
    assert event.tokens.response > 0
    assert rig.context.board.services("m")[0].in_flight == 0


async def test_a_client_that_leaves_a_plain_call_ends_it_too_and_pays_nothing(rig: Rig, services: Start) -> None:
    hung_up = asyncio.Event()

    async def never(request: Request, wire: Wire) -> None:
        del request
        await wire.caller_hangs_up()
        hung_up.set()

    service = await services(never)
    await rig.channel(service)
    call = asyncio.ensure_future(
        rig.http.post(rig.url + "/v1/chat/completions", json=ASK, headers={"authorization": "Bearer user-1"})
    )
    await service.next_request()
    call.cancel()
    async with asyncio.timeout(DEADLINE_S):
        await hung_up.wait()
    (event,) = await rig.ledger.wait_for(1)
    assert (event.status, event.tokens.total) == (CallStatus.CLIENT_GONE, 0)


async def test_a_slow_reader_slows_the_service_down(rig: Rig, services: Start) -> None:
    """Nothing may pile up here: while the client does not read, the service cannot write."""
    sent = 0
    blocked = asyncio.Event()
    big = chunk("x" * 60_000)

    async def pours(request: Request, wire: Wire) -> None:
        nonlocal sent
        del request
        await wire.begin_stream()
        for _ in range(2_000):  # 120 MB, far more than all socket buffers hold
            try:
                async with asyncio.timeout(0.5):
                    await wire.event(big)
            except TimeoutError:
                blocked.set()
                return
            sent += 1

    await rig.channel(await services(pours))
    answer = await rig.post(STREAM)
    await answer.content.readuntil(b"\n\n")
    async with asyncio.timeout(30):
        await blocked.wait()
    assert sent < 1_000
    answer.close()
    await rig.ledger.wait_for(1)
