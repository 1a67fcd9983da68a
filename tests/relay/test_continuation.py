"""A stream that breaks goes on from another service in the same words: each of them once, in one stream."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.upstream import ROLE, Request, Script, Upstream, Wire, answers, chunk, drops, refuses
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database
from tidemill.relay.contracts import RuleWish
from tidemill.relay.pipeline.continuation import Strand, Thread
from tidemill.relay.pipeline.joint import Joint, given_of
from tidemill.relay.pipeline.prefill import told_to_go_on
from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_events import Closed, Event, Finished, Metered, Opened, Started, Stopped, TextDelta
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply
from tidemill.wire.codecs import codec_of

GOES_ON = {"x-gateway-continue": "on"}
STREAM = {**ASK, "stream": True}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text(" ab\n", max_size=80)


def pieces(text: str, sizes: list[int]) -> list[str]:
    cut: list[str] = []
    for size in sizes:
        cut.append(text[:size])
        text = text[size:]
    return [*cut, text]


# ---- pure ------------------------------------------------------------------------------------------------------------


@given(texts, st.lists(st.integers(0, 80), max_size=2), st.lists(st.integers(1, 9), max_size=20))
@example("a" * 64, [32, 16], [])
@example("one \n two", [5], [1, 1, 1])
def test_a_service_that_continues_from_a_beginning_gives_the_whole_text_once(
    text: str, cuts: list[int], sizes: list[int]
) -> None:
    """Whatever the text, wherever it is cut, however it comes: so many services, one text."""
    thread = Thread()
    shown: list[Event] = []
    for number, cut in enumerate([*cuts, None]):
        rest = text[len(given_of(thread.text)) :] if number else text
        said = rest if cut is None else rest[:cut]
        strand = Strand(thread)
        came: list[Event] = [Started("id", "m"), Opened(0, "text")]
        came += [TextDelta(0, piece) for piece in pieces(said, sizes)]
        if cut is None:
            came += [Closed(0), Stopped(Stop.END), Finished()]
        shown += strand.take(came)
        thread.breaks += 1
    assert "".join(event.text for event in shown if isinstance(event, TextDelta)) == text
    assert thread.text == text
    kinds = [type(event) for event in shown]
    assert [kinds.count(kind) for kind in (Started, Opened, Closed, Stopped, Finished)] == [1] * 5
    assert {event.part for event in shown if isinstance(event, Opened | TextDelta | Closed)} == {0}


dialects = st.sampled_from(list(Dialect))


def frames_of(dialect: Dialect, text: str, sizes: list[int]) -> bytes:
    """Write a whole stream of ``text`` in pieces of ``sizes``."""
    encoder = codec_of(dialect).stream_encoder(Reply(id="up", model="x", created=1, keeps_usage=True))
    events: list[Event] = [Started("up", "x"), Opened(0, "text")]
    events += [TextDelta(0, piece) for piece in pieces(text, sizes) if piece]
    return encoder.encode([*events, Closed(0), Stopped(Stop.END), Metered(Usage(fresh=9, text_out=2)), Finished()])


@settings(deadline=None)  # the first example loads the codecs
@given(texts.filter(bool), dialects, dialects, dialects, st.data())
def test_a_stream_cut_at_any_byte_is_read_whole_by_any_client(
    text: str, first: Dialect, second: Dialect, client: Dialect, data: st.DataObject
) -> None:
    """Two services and a client of whatever protocols; the first one's bytes stop anywhere."""
    sizes = data.draw(st.lists(st.integers(1, 9), max_size=12))
    whole = frames_of(first, text, sizes)
    cut = data.draw(st.integers(0, len(whole)))
    thread = Thread()
    encoder = codec_of(client).stream_encoder(Reply(id="ours", model="m", created=1, keeps_usage=True))
    sent = encoder.encode(Strand(thread).take(codec_of(first).stream_decoder().feed(whole[:cut])))
    if not thread.may_go_on():
        assert thread.text == text, "only after its last word is there nothing left to go on with"
        return
    thread.breaks = 1
    rest = text[len(given_of(thread.text)) :]
    assume(rest)  # a service says something
    decoder = codec_of(second).stream_decoder()
    came = [*decoder.feed(frames_of(second, rest, sizes)), *decoder.close()]
    sent += encoder.encode(Strand(thread).take(came))
    events = read(client, sent)
    assert thread.text == text
    assert text_of(events) == text
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Opened) for event in events) == 1


SENTENCE = "The quick brown fox jumps over the lazy dog."


@given(st.lists(st.integers(1, 9), max_size=30), st.sampled_from(["", " \n"]))
def test_a_service_that_begins_anew_with_the_same_words_is_heard_once(sizes: list[int], blanks: str) -> None:
    so_far = SENTENCE + blanks
    joint = Joint(so_far, given_of(so_far))
    new = "".join(map(joint.feed, pieces(so_far + "And runs.", sizes))) + joint.rest()
    assert new == "And runs."


@pytest.mark.parametrize(
    ("so_far", "new", "restates", "shown"),
    [
        ("ab", "abc", False, "abc"),  # too short to tell
        ("ab", "abc", True, "c"),
        ("ab " * 20, "ab ab", False, "ab ab"),  # too regular to tell
        (SENTENCE, SENTENCE[:20], False, SENTENCE[:20]),  # only a beginning of it, and then no more
        ("one ", " two", False, "two"),
        ("one\n\n", "\ntwo", False, "two"),
        ("one ", "\ntwo", False, "\ntwo"),
        ("", "two", False, "two"),
    ],
)
def test_what_is_new_is_told_from_what_was_there(so_far: str, new: str, *, restates: bool, shown: str) -> None:
    joint = Joint(so_far, given_of(so_far), restates=restates)
    assert joint.feed(new) + joint.rest() == shown


@pytest.mark.parametrize(
    ("provider", "root", "last", "fields"),
    [
        ("openai", "https://x/v1", {}, {}),
        ("mistral", "https://x/v1", {"prefix": True}, {}),
        ("qwen", "https://x/v1", {"partial": True}, {}),
        ("moonshot", "https://x/v1", {"partial": True}, {}),
        ("deepseek", "https://x/v1", {}, {}),
        ("deepseek", "https://x/beta", {"prefix": True}, {}),
        ("vllm", "http://x/v1", {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_each_service_is_told_in_its_own_words(
    provider: str, root: str, last: dict[str, Any], fields: dict[str, Any]
) -> None:
    message = {"role": "assistant", "content": "x"}
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}, message]}
    told = json.loads(told_to_go_on(json.dumps(body).encode(), provider, root))
    assert told == {**body, "messages": [body["messages"][0], {**message, **last}], **fields}


# ---- over sockets ----------------------------------------------------------------------------------------------------

TEXT = "One, two, buckle my shoe; three, four, open the door."


def prefix_in(body: Mapping[str, Any]) -> str:
    """Return the beginning of the answer that a request gives, in any protocol; empty when it gives none."""
    turns: Any = body.get("messages") or body.get("contents") or body.get("input") or []
    last = cast("list[dict[str, Any]]", turns)[-1] if isinstance(turns, list) and turns else {"role": "user"}
    if last.get("role") not in {"assistant", "model"}:
        return ""
    inner: Any = last.get("content", last.get("parts"))
    return inner if isinstance(inner, str) else "".join(part["text"] for part in inner)


def frames(dialect: Dialect, text: str, *, ends: bool) -> bytes:
    """Write a stream of ``text``, the last frames left out unless it ``ends``."""
    encoder = codec_of(dialect).stream_encoder(Reply(id="up", model="x", created=1, keeps_usage=True))
    events: list[Event] = [Started("up", "x"), Opened(0, "text")]
    events += [TextDelta(0, text[at : at + 5]) for at in range(0, len(text), 5)]
    out = encoder.encode(events)
    if ends:
        usage = Usage(fresh=10, text_out=4)
        out += encoder.encode([Closed(0), Stopped(Stop.END), Metered(usage), Finished()])
    return out


def speaks(dialect: Dialect, *cuts: int | None) -> Script:
    """Be a service that goes on with ``TEXT`` from whatever beginning it gets; cuts its streams after so much."""
    left = list(cuts)

    async def script(request: Request, wire: Wire) -> None:
        rest = TEXT[len(prefix_in(request.body)) :]
        cut = left.pop(0) if left else None
        await wire.begin_stream()
        await wire.piece(frames(dialect, rest if cut is None else rest[:cut], ends=cut is None))
        if cut is None:
            await wire.raw(b"0\r\n\r\n")
        else:
            wire.drop()

    return script


CLIENTS: Mapping[Dialect, tuple[str, dict[str, Any]]] = {
    Dialect.OPENAI_CHAT: ("/v1/chat/completions", {**STREAM, "stream_options": {"include_usage": True}}),
    Dialect.OPENAI_RESPONSES: ("/v1/responses", {"model": "m", "input": "hi", "stream": True}),
    Dialect.ANTHROPIC: ("/v1/messages", {**STREAM, "max_tokens": 500}),
    Dialect.GEMINI: (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}
PROVIDERS = {
    Dialect.OPENAI_CHAT: "openai",
    Dialect.OPENAI_RESPONSES: "openai-responses",
    Dialect.ANTHROPIC: "anthropic",
    Dialect.GEMINI: "gemini",
}


def read(dialect: Dialect, data: bytes) -> list[Event]:
    decoder = codec_of(dialect).stream_decoder()
    return [*decoder.feed(data), *decoder.close()]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def ask(rig: Rig, dialect: Dialect, headers: Mapping[str, str] = GOES_ON, **fields: Any) -> bytes:
    path, body = CLIENTS[dialect]
    async with rig.post({**body, **fields}, path=path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def two(
    rig: Rig, services: Start, first: Script, second: Script, one: str = "openai", other: str = "openai"
) -> Upstream:
    """Put a service that breaks before one that does not; returns the second."""
    await rig.channel(await services(first), "one", provider=one, priority=9)
    service = await services(second)
    await rig.channel(service, "two", provider=other)
    return service


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("first", PROVIDERS)
@pytest.mark.parametrize("second", [Dialect.OPENAI_CHAT, Dialect.ANTHROPIC, Dialect.GEMINI])
async def test_any_client_reads_one_stream_of_two_services(
    rig: Rig, services: Start, client: Dialect, first: Dialect, second: Dialect
) -> None:
    other = await two(rig, services, speaks(first, 23), speaks(second), PROVIDERS[first], PROVIDERS[second])
    data = await ask(rig, client)
    events = read(client, data)
    assert text_of(events) == TEXT
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Started) for event in events) == 1
    assert sum(isinstance(event, Opened) for event in events) == 1
    assert prefix_in(other.seen[0].body) == TEXT[:23].rstrip()
    (event,) = await rig.ledger.wait_for(1)
    assert (event.status, event.channel, event.retries) == (CallStatus.OK, "two", 1)
    assert event.metadata["continued"] == "1"
    assert event.tokens.estimated, "what the broken one took is an estimate"
    assert event.tokens.response >= 4 + 5
    check_frames(client, data)


def check_frames(client: Dialect, data: bytes) -> None:
    """Look for what a second start would leave: two ids, two roles, numbers that run twice."""
    bodies = [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: {")]
    match client:
        case Dialect.OPENAI_CHAT:
            assert len({(body["id"], body["created"], body["model"]) for body in bodies}) == 1
            roles = [
                choice["delta"]["role"] for body in bodies for choice in body["choices"] if "role" in choice["delta"]
            ]
            assert roles == ["assistant"]
        case Dialect.ANTHROPIC:
            kinds = [body["type"] for body in bodies if body["type"] != "ping"]
            assert [kinds.count(kind) for kind in ("message_start", "content_block_start", "message_stop")] == [1, 1, 1]
            assert {body["index"] for body in bodies if "index" in body} == {0}
        case Dialect.OPENAI_RESPONSES:
            numbers = [body["sequence_number"] for body in bodies]
            assert numbers == sorted(set(numbers))
            assert bodies[-1]["response"]["output"][0]["content"][0]["text"] == TEXT
        case Dialect.GEMINI:
            assert len({body["responseId"] for body in bodies}) == 1


@pytest.fixture
async def once(memory_database: Database) -> AsyncIterator[Rig]:
    async with relay_rig(memory_database, idle_timeout_s=0.2) as rig:
        yield rig


async def test_the_same_service_may_go_on_and_break_again(rig: Rig, services: Start) -> None:
    service = await services(speaks(Dialect.OPENAI_CHAT, 7, 9))
    await rig.channel(service)
    assert text_of(read(Dialect.OPENAI_CHAT, await ask(rig, Dialect.OPENAI_CHAT))) == TEXT
    assert [prefix_in(request.body) for request in service.seen] == ["", TEXT[:7].rstrip(), TEXT[:16].rstrip()]
    (event,) = await rig.ledger.wait_for(1)
    assert (event.retries, event.metadata["continued"]) == (2, "2")


async def test_a_third_break_is_an_end(rig: Rig, services: Start) -> None:
    service = await services(speaks(Dialect.OPENAI_CHAT, 7, 9, 11, 13))
    await rig.channel(service)
    data = await ask(rig, Dialect.OPENAI_CHAT)
    assert json.loads(data.split(b"data: ")[-1])["error"]["code"] == "upstream_failed"
    assert data.count(b"[DONE]") == 0
    assert len(service.seen) == 3
    (event,) = await rig.ledger.wait_for(1)
    assert event.status is CallStatus.UPSTREAM_ERROR
    assert event.tokens.response > 0


@pytest.mark.parametrize("client", CLIENTS)
async def test_where_nobody_can_go_on_the_clients_own_error_ends_it(rig: Rig, services: Start, client: Dialect) -> None:
    service = await services(refuses(400, "no beginnings here"))
    service.scripts.append(speaks(Dialect.OPENAI_CHAT, 23))
    await rig.channel(service)
    data = await ask(rig, client)
    assert len(service.seen) > 1
    events = read(client, data)
    assert text_of(events) == TEXT[:23]
    assert type(events[-1]).__name__ == "Failed"
    assert b"no beginnings" not in data, "what we asked for is not the client's fault"
    (event,) = await rig.ledger.wait_for(1)
    assert event.status is CallStatus.UPSTREAM_ERROR
    assert event.tokens.response > 0


async def test_a_stall_goes_on_too(once: Rig, services: Start) -> None:
    async def stalls(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.piece(frames(Dialect.OPENAI_CHAT, TEXT[:10], ends=False))
        await wire.caller_hangs_up()

    await two(once, services, stalls, speaks(Dialect.OPENAI_CHAT))
    assert text_of(read(Dialect.OPENAI_CHAT, await ask(once, Dialect.OPENAI_CHAT))) == TEXT


async def test_an_error_in_the_stream_goes_on_with_what_came_before_it(rig: Rig, services: Start) -> None:
    async def fails(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        error = b'data: {"error": {"message": "boom", "code": 500}}\n\n'
        await wire.piece(frames(Dialect.OPENAI_CHAT, TEXT[:10], ends=False) + error)
        await wire.end_stream()

    await two(rig, services, fails, speaks(Dialect.OPENAI_CHAT))
    assert text_of(read(Dialect.OPENAI_CHAT, await ask(rig, Dialect.OPENAI_CHAT))) == TEXT


async def test_a_service_that_fails_before_any_content_leaves_no_trace(rig: Rig, services: Start) -> None:
    async def begins(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        await wire.event(ROLE)
        wire.drop()

    other = await two(rig, services, begins, speaks(Dialect.OPENAI_CHAT))
    data = await ask(rig, Dialect.ANTHROPIC)
    assert text_of(read(Dialect.ANTHROPIC, data)) == TEXT
    check_frames(Dialect.ANTHROPIC, data)
    assert prefix_in(other.seen[0].body) == ""
    (event,) = await rig.ledger.wait_for(1)
    assert "continued" not in event.metadata
    assert not event.tokens.estimated


async def test_usage_is_the_sum_for_the_client_and_for_the_record(rig: Rig, services: Start) -> None:
    await two(rig, services, speaks(Dialect.OPENAI_CHAT, 23), speaks(Dialect.OPENAI_CHAT))
    data = await ask(rig, Dialect.OPENAI_CHAT)
    told = next(json.loads(line[6:])["usage"] for line in data.decode().split("\n") if '"usage":{' in line)
    (event,) = await rig.ledger.wait_for(1)
    assert (told["prompt_tokens"], told["completion_tokens"]) == (event.tokens.request, event.tokens.response)
    assert event.tokens.response == 4 + 6  # 23 bytes of text are estimated as 6


async def test_the_room_left_is_what_the_next_service_gets(rig: Rig, services: Start) -> None:
    other = await two(rig, services, speaks(Dialect.OPENAI_CHAT, 23), speaks(Dialect.OPENAI_CHAT))
    await ask(rig, Dialect.OPENAI_CHAT, max_tokens=100)
    assert other.seen[0].body["max_tokens"] == 100 - 6


TOOL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}


@pytest.mark.parametrize(
    ("events", "fields"),
    [
        ([chunk("x") | {"choices": [{"index": 0, "delta": {"tool_calls": [TOOL]}, "finish_reason": None}]}], {}),
        ([chunk("x"), chunk() | {"choices": [{"index": 1, "delta": {"content": "y"}}]}], {"n": 2}),
        ([chunk("x")], {"logprobs": True}),
    ],
)
async def test_what_is_more_than_text_does_not_go_on(rig: Rig, services: Start, events: Any, fields: Any) -> None:
    async def cut(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        for event in events:
            await wire.event(event)
        wire.drop()

    other = await two(rig, services, cut, answers)
    data = await ask(rig, Dialect.OPENAI_CHAT, **fields)
    assert json.loads(data.split(b"data: ")[-1])["error"]["code"] == "upstream_failed"
    assert other.seen == []


async def test_nothing_goes_on_unless_it_is_wanted(memory_database: Database, services: Start) -> None:
    for setting, headers, goes_on in (
        (False, {}, False),
        (True, {}, True),
        (True, {"x-gateway-continue": "off"}, False),
    ):
        async with relay_rig(memory_database, continue_streams=setting) as rig:
            service = await services(speaks(Dialect.OPENAI_CHAT, 23))
            view = await rig.channel(service, f"one {setting} {goes_on}")
            text = text_of(read(Dialect.OPENAI_CHAT, await ask(rig, Dialect.OPENAI_CHAT, headers)))
            assert text == (TEXT if goes_on else TEXT[:23])
            await rig.context.channels.delete(ADMIN, view.id, None)


async def test_a_rule_lets_streams_go_on_and_the_call_has_the_last_word(rig: Rig, services: Start) -> None:
    async def goes_on(headers: dict[str, str]) -> bool:
        view = await rig.channel(await services(speaks(Dialect.OPENAI_CHAT, 23)), "one")
        text = text_of(read(Dialect.OPENAI_CHAT, await ask(rig, Dialect.OPENAI_CHAT, headers)))
        await rig.context.channels.delete(ADMIN, view.id, None)
        assert text in {TEXT, TEXT[:23]}
        return text == TEXT

    await rig.context.rules.create(ADMIN, RuleWish(kind="global", continues=False), None)
    ruled = await rig.context.rules.create(ADMIN, RuleWish(kind="model", name="m", continues=True), None)
    assert [await goes_on({}), await goes_on({"x-gateway-continue": "off"})] == [True, False]
    await rig.context.rules.delete(ADMIN, ruled.id, None)
    assert [await goes_on({}), await goes_on(GOES_ON)] == [False, True]


async def test_when_the_next_cannot_be_reached_the_third_goes_on(rig: Rig, services: Start) -> None:
    await two(rig, services, speaks(Dialect.OPENAI_CHAT, 23), drops)
    await rig.channel(await services(speaks(Dialect.OPENAI_CHAT)), "three", priority=-1)
    assert text_of(read(Dialect.ANTHROPIC, await ask(rig, Dialect.ANTHROPIC))) == TEXT
    (event,) = await rig.ledger.wait_for(1)
    assert (event.channel, event.retries) == ("three", 2)
