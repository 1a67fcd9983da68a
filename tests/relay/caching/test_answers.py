"""A question asked again is answered from memory: the same bytes, no service, no tokens; and only then."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.upstream import ANSWER, DEADLINE_S, ROLE, Request, Script, Wire, answers, chunk, refuses
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database

STREAM = {**ASK, "stream": True}
ON = {"x-gateway-cache": "on"}
Answered = tuple[int, str | None, bytes]


@pytest.fixture
async def cached(memory_database: Database) -> AsyncIterator[Rig]:
    async with relay_rig(memory_database, response_cache="on") as rig:
        yield rig


async def ask(rig: Rig, body: Any = None, headers: Mapping[str, str] | None = None, **given: Any) -> Answered:
    async with rig.post(body, headers=headers, **given) as answer:
        return answer.status, answer.headers.get("x-gateway-cache"), await answer.read()


def says(answer: Any) -> Script:
    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.json(answer)

    return script


def streams(*events: Any, done: bool = True) -> Script:
    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        for event in events:
            await wire.event(event)
        await wire.end_stream(done=done)

    return script


async def test_an_answer_is_given_again_without_a_service_or_tokens(cached: Rig, services: Start) -> None:
    service = await services()
    await cached.channel(service)
    first = await ask(cached)
    again = await ask(cached, {"messages": ASK["messages"], "user": "me", "model": "m"})
    assert (first[0], first[1]) == (200, "miss")
    assert again == (200, "hit", first[2])
    assert len(service.seen) == 1
    made, kept = await cached.ledger.wait_for(2)
    assert (made.cached, made.tokens.total, made.channel) == (False, 10, "one")
    assert (kept.cached, kept.tokens.total, kept.channel, kept.status) == (True, 0, None, CallStatus.OK)
    assert json.loads(kept.usage_raw or "") == ANSWER["usage"], "what it took when it was made can still be seen"
    assert kept.retries == 0


async def test_a_stream_is_given_again_byte_for_byte(cached: Rig, services: Start) -> None:
    service = await services()
    await cached.channel(service)
    first = await ask(cached, STREAM)
    async with cached.post(STREAM) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-gateway-cache"] == "hit"
        assert "x-gateway-channel" not in answer.headers
        assert await answer.read() == first[2]
    assert first[2].endswith(b"data: [DONE]\n\n")
    with_usage = await ask(cached, {**STREAM, "stream_options": {"include_usage": True}})
    assert with_usage[1] == "miss", "whoever wants the usage reads another stream"
    assert await ask(cached) != first, "a stream is no plain answer"
    assert len(service.seen) == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"model": "m", "input": "hi"}),
        ("/v1beta/models/m:streamGenerateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
    ],
)
async def test_every_protocol_has_its_kept_answers(cached: Rig, services: Start, path: str, body: Any) -> None:
    service = await services()
    await cached.channel(service)
    for sent in [body] if "v1beta" in path else [body, {**body, "stream": True}]:
        status, word, made = await ask(cached, sent, path=path)
        assert (status, word) == (200, "miss")
        assert await ask(cached, sent, path=path) == (200, "hit", made)
    assert len(service.seen) == (1 if "v1beta" in path else 2)


async def test_who_does_not_want_a_kept_answer_gets_a_new_one(cached: Rig, services: Start) -> None:
    service = await services()
    await cached.channel(service)
    await ask(cached)
    assert (await ask(cached, headers={"x-gateway-cache": "off"}))[1] is None
    service.otherwise = says({**ANSWER, "id": "newer"})
    refreshed = await ask(cached, headers={"x-gateway-cache": "refresh"})
    assert refreshed[1] == "miss"
    assert json.loads(refreshed[2])["id"] == "newer"
    assert await ask(cached) == (200, "hit", refreshed[2])
    assert len(service.seen) == 3


@pytest.mark.parametrize(("mode", "words"), [("off", [None, None]), ("opt-in", ["miss", "hit"])])
async def test_the_setting_has_the_last_word(
    memory_database: Database, services: Start, mode: str, words: list[str | None]
) -> None:
    async with relay_rig(memory_database, response_cache=mode) as rig:
        service = await services()
        await rig.channel(service)
        assert [(await ask(rig))[1] for _ in range(2)] == [None, None]
        assert [(await ask(rig, headers=ON))[1] for _ in range(2)] == words


@pytest.mark.parametrize(("shared", "word"), [(False, "miss"), (True, "hit")])
async def test_users_share_answers_only_where_that_is_set(
    memory_database: Database, services: Start, *, shared: bool, word: str
) -> None:
    async with relay_rig(memory_database, response_cache="on", response_cache_shared=shared) as rig:
        await rig.channel(await services())
        await ask(rig)
        assert (await ask(rig, headers={"authorization": "Bearer user-2"}))[1] == word
        assert (await ask(rig))[1] == "hit"


STOPPED = chunk(finish="stop")
BAD = {
    "an error behind a good status": says({"error": {"message": "boom", "code": 500}}),
    "an error": refuses(400),
    "no reason to end": says({**ANSWER, "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]}),
    "filtered": says({**ANSWER, "choices": [{**ANSWER["choices"][0], "finish_reason": "content_filter"}]}),  # type: ignore[index,dict-item]
    "a stream that is cut": streams(ROLE, chunk("x"), done=False),
    "a stream with an error": streams(ROLE, chunk("x"), {"error": {"message": "boom"}}),
    "a stream that names no reason": streams(ROLE, chunk("x")),
    "one of two choices is cut": streams(ROLE, chunk("x"), STOPPED, chunk(finish="content_filter")),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_did_not_end_well_is_not_kept(cached: Rig, services: Start, name: str) -> None:
    service = await services(BAD[name])
    await cached.channel(service)
    body = STREAM if "stream" in name or "choices" in name else ASK
    first = await ask(cached, body)
    service.otherwise = answers
    assert (await ask(cached, body))[1] == "miss", first
    assert (await ask(cached, body))[1] == "hit"


async def test_an_answer_past_the_size_passes_and_is_not_kept(memory_database: Database, services: Start) -> None:
    async with relay_rig(memory_database, response_cache="on", response_cache_max_bytes=200) as rig:
        service = await services()
        await rig.channel(service)
        for body in (ASK, STREAM):
            assert [(await ask(rig, body))[:2] for _ in range(2)] == [(200, "miss")] * 2


async def test_a_large_answer_is_kept_whole(cached: Rig, services: Start) -> None:
    texts = [f"word {number} 中文 " * 40 for number in range(300)]
    service = await services(streams(ROLE, *map(chunk, texts), STOPPED))
    await cached.channel(service)
    first = await ask(cached, STREAM)
    assert len(first[2]) > 128 * 1024
    async with asyncio.timeout(DEADLINE_S):  # a large one is packed beside the loop, after its end has gone out
        while (given := await ask(cached, STREAM))[1] != "hit":
            await asyncio.sleep(0.02)
    assert given == (200, "hit", first[2])


async def test_an_answer_is_forgotten_after_its_time(memory_database: Database, services: Start) -> None:
    async with relay_rig(memory_database, response_cache="on", response_cache_ttl_s=0.2) as rig:
        await rig.channel(await services())
        await ask(rig)
        async with asyncio.timeout(DEADLINE_S):
            while (await ask(rig, headers=None))[1] == "hit":
                await asyncio.sleep(0.02)


async def test_a_model_that_is_gone_is_not_answered_from_memory(cached: Rig, services: Start) -> None:
    view = await cached.channel(await services())
    await ask(cached)
    await cached.context.channels.set_status(ADMIN, view.id, "disabled", None)
    assert (await ask(cached))[0] == 404


async def test_a_client_that_leaves_leaves_no_answer_behind(cached: Rig, services: Start) -> None:
    async def half(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(chunk("half"))
        await wire.caller_hangs_up()

    service = await services(half)
    await cached.channel(service)
    answer = await cached.post(STREAM)
    await answer.content.readuntil(b"\n\n")
    answer.close()
    (event,) = await cached.ledger.wait_for(1)
    assert event.status is CallStatus.CLIENT_GONE
    service.otherwise = answers
    assert (await ask(cached, STREAM))[1] == "miss"


async def test_what_kept_a_stream_alive_is_not_kept(memory_database: Database, services: Start) -> None:
    go_on = asyncio.Event()

    async def slow(request: Request, wire: Wire) -> None:
        await go_on.wait()
        await answers(request, wire)

    async with relay_rig(memory_database, response_cache="on", heartbeat_s=0.05) as rig:
        await rig.channel(await services(slow))
        async with asyncio.timeout(DEADLINE_S), rig.post(STREAM) as answer:
            assert answer.headers["x-gateway-cache"] == "miss"
            assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"
            go_on.set()
            rest = await answer.read()
        async with rig.post(STREAM) as answer:
            assert answer.headers["x-gateway-cache"] == "hit"
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert await answer.read() == rest.replace(b": keep-alive\n\n", b"")


async def test_equal_plain_questions_at_one_moment_are_one_call(cached: Rig, services: Start) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, wire: Wire) -> None:
        await go_on.wait()
        await answers(request, wire)

    service = await services(waits)
    await cached.channel(service)
    calls = [asyncio.ensure_future(ask(cached)) for _ in range(5)]
    await service.next_request()
    async with asyncio.timeout(DEADLINE_S):
        while len(cached.context.watch) < 5:
            await asyncio.sleep(0.01)
    go_on.set()
    done = await asyncio.gather(*calls)
    assert sorted(word or "" for _, word, _ in done) == ["hit"] * 4 + ["miss"]
    assert len({body for _, _, body in done}) == 1
    assert len(service.seen) == 1


async def test_who_waits_for_an_answer_that_fails_asks_itself(cached: Rig, services: Start) -> None:
    go_on = asyncio.Event()

    async def waits(request: Request, wire: Wire) -> None:
        await go_on.wait()
        await refuses(400)(request, wire)

    service = await services()
    service.scripts.append(waits)
    await cached.channel(service)
    first = asyncio.ensure_future(ask(cached))
    await service.next_request()
    second = asyncio.ensure_future(ask(cached))
    async with asyncio.timeout(DEADLINE_S):
        while len(cached.context.watch) < 2:
            await asyncio.sleep(0.01)
    go_on.set()
    assert ((await first)[0], (await second)[0]) == (400, 200)
    assert len(service.seen) == 2


async def test_calls_from_inside_are_never_answered_from_memory(cached: Rig, services: Start) -> None:
    from tidemill.relay.contracts import Call  # noqa: PLC0415 - one test's own

    service = await services()
    await cached.channel(service)
    for _ in range(2):
        await cached.context.relay.complete(Call(user_id=1, model="m", messages=[{"role": "user", "content": "hi"}]))
    assert len(service.seen) == 2, "a row that is generated twice is to be another row"
