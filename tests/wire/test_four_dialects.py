"""What all four dialects have words for survives any two of them, one after the other."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import canon
from tests.wire.canon import REPLY
from tidemill.wire.canonical import Answer, Request, Stop
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_events import Event
from tidemill.wire.canonical_media import with_sources
from tidemill.wire.canonical_parts import Dialect, Inline
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Codec, Target
from tidemill.wire.codecs import codec_of, spoken

CODECS = [codec_of(dialect) for dialect in spoken()]
TARGET = Target(model="up", history="reasoning_details")
PAIRS = list(itertools.permutations(CODECS, 2))
ASKED = {"role": "user", "content": "x"}
OURS = [codec_of(Dialect.OPENAI_RESPONSES), codec_of(Dialect.GEMINI)]

each_pair = pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda codec: str(codec.dialect))
each_of_ours = pytest.mark.parametrize("codec", OURS, ids=lambda codec: str(codec.dialect))
each = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: str(codec.dialect))


def sent_along(request: Request) -> Request:
    """Return the request with the bytes of its pictures, as a relay sends it to who fetches nothing."""
    return with_sources(request, lambda _: Inline("image/png", "AAAA"))


def common(request: Request) -> dict[str, Any]:
    """Return what every dialect has words for: not who asks, nor names of files, nor one call at a time."""
    told = canon.meaning(request)
    for name in ("user", "serial", "stop", "stream"):
        del told[name]
    told["max_tokens"] = max(told["max_tokens"], 16)
    told["tools"] = [(tool["name"], tool["description"]) for tool in told["tools"]]
    told["output"] = told["output"] is not None and told["output"].get("type")
    told["talk"] = [
        (role, said if role == "assistant" else [plain(part) for part in said]) for role, said in told["talk"]
    ]
    return told


def plain(part: Any) -> Any:
    if isinstance(part, canon.Image):
        return part.source
    return part.source if isinstance(part, canon.File) else part


def passed(codec: Codec, request: Request) -> Request:
    return codec.decode_request(codec.encode_request(request, TARGET).body, model="up")


@each_of_ours
@given(request=canon.requests())
def test_a_request_survives(codec: Codec, request: Request) -> None:
    request = sent_along(request)
    assert common(passed(codec, request)) == common(request)


@each_pair
@settings(max_examples=15)
@given(request=canon.requests())
def test_a_request_survives_two_dialects(first: Codec, second: Codec, request: Request) -> None:
    request = sent_along(request)
    assert common(passed(first, passed(second, passed(first, request)))) == common(request)


def told(answer: Answer) -> dict[str, Any]:
    choice = answer.choices[0]
    usage = answer.usage or Usage()
    said = canon.said(choice.parts)
    said["calls"].sort(key=json.dumps)  # Gemini tells a call when it is whole
    fresh = (usage.fresh or 0) + (usage.cache_write or 0)  # Gemini does not say what it wrote to a cache
    return {**said, "stop": choice.stop, "usage": (fresh, usage.cache_read, usage.text_out, usage.reasoning_out)}


@each_of_ours
@given(answer=canon.answers())
def test_an_answer_survives(codec: Codec, answer: Answer) -> None:
    assert told(codec.decode_answer(codec.encode_answer(answer, REPLY))) == told(answer)


@each_pair
@settings(max_examples=15)
@given(answer=canon.answers())
def test_an_answer_survives_two_dialects(first: Codec, second: Codec, answer: Answer) -> None:
    there = first.decode_answer(first.encode_answer(answer, REPLY))
    assert told(second.decode_answer(second.encode_answer(there, REPLY))) == told(answer)


@each_of_ours
@pytest.mark.parametrize("sse", [True, False])
@given(stream=canon.streams(), data=st.data())
def test_a_stream_cut_anywhere_tells_the_same_answer(
    codec: Codec,
    sse: bool,  # noqa: FBT001 - a case
    stream: tuple[Answer, list[Event]],
    data: st.DataObject,
) -> None:
    answer, events = stream
    encoder = codec.stream_encoder(msgspec.structs.replace(REPLY, sse=sse))
    decoder, collector = codec.stream_decoder(), Collector()
    written = b"".join(encoder.encode([event]) for event in events)
    for piece in canon.cut(data, written):
        collector.take(decoder.feed(piece))
    collector.take(decoder.close())
    assert collector.fault is None
    assert collector.finished
    assert told(collector.answer()) == told(answer)


@each_of_ours
@given(answer=canon.answers())
def test_a_whole_answer_in_place_of_a_stream_is_read(codec: Codec, answer: Answer) -> None:
    decoder, collector = codec.stream_decoder(), Collector()
    collector.take(decoder.feed(codec.encode_answer(answer, REPLY)))
    collector.take(decoder.close())
    assert collector.finished
    assert told(collector.answer()) == told(answer)


@each_of_ours
@given(stream=canon.streams(), data=st.data())
def test_a_stream_that_breaks_off_is_a_failure(
    codec: Codec, stream: tuple[Answer, list[Event]], data: st.DataObject
) -> None:
    _, events = stream
    encoder, decoder, collector = codec.stream_encoder(REPLY), codec.stream_decoder(), Collector()
    kept = data.draw(st.integers(0, len(events) - 3))
    collector.take(decoder.feed(encoder.encode(events[:kept])))
    collector.take(decoder.close())
    assert collector.fault is not None
    assert not collector.finished


@each_of_ours
@given(stream=canon.streams())
def test_a_model_that_calls_tools_unreadably_is_a_failure_to_the_client(
    codec: Codec, stream: tuple[Answer, list[Event]]
) -> None:
    answer, _ = stream
    bad = msgspec.structs.replace(answer, choices=(msgspec.structs.replace(answer.choices[0], stop=Stop.BAD_TOOL),))
    encoder, decoder, collector = codec.stream_encoder(REPLY), codec.stream_decoder(), Collector()
    collector.take(decoder.feed(encoder.encode(canon.events_of(bad))))
    assert collector.fault is not None


@each
def test_signed_thinking_comes_back_to_who_signed_it(codec: Codec) -> None:
    """A client of any dialect gets another provider's signed thinking, sends it back, and the provider knows it."""
    parts = (
        canon.Reasoning("Hm.", "c2ln", "anthropic"),
        canon.Redacted("c2VhbA==", "anthropic"),
        canon.ToolCall("c1", "f", "{}", signature="Z29v", issuer="google"),
    )
    answer = Answer(id="1", model="m", choices=(canon.Choice(parts=parts, stop=Stop.TOOLS),))
    shown = json.loads(codec.encode_answer(answer, REPLY))
    request = codec.decode_request(json.dumps(continued(codec.dialect, shown)).encode(), model="m")
    said = next(turn for turn in request.turns if turn.role == "assistant").parts
    assert [(part.signature, part.issuer) for part in said if isinstance(part, canon.Reasoning)] == [
        ("c2ln", "anthropic")
    ]
    assert [(part.data, part.issuer) for part in said if isinstance(part, canon.Redacted)] == [
        ("c2VhbA==", "anthropic")
    ]
    assert [(part.signature, part.issuer) for part in said if isinstance(part, canon.ToolCall)] == [("Z29v", "google")]
    # Each provider gets its own back, and nobody gets another's.
    written = {str(other.dialect): other.encode_request(request, Target(model="up")).body for other in CODECS}
    assert b"c2ln" in written["anthropic"]
    assert b"c2VhbA==" in written["anthropic"]
    assert b"Z29v" in written["gemini"]
    assert all(b"c2ln" not in written[name] for name in ("gemini", "openai_chat", "openai_responses"))
    assert all(b"Z29v" not in written[name] for name in ("anthropic", "openai_responses"))


def continued(dialect: Dialect, shown: Any) -> dict[str, Any]:
    """Return the request of a client that sends an answer back as it came, with the result of its call."""
    match dialect:
        case Dialect.OPENAI_CHAT:
            result = {"role": "tool", "tool_call_id": "c1", "content": "y"}
            return {"model": "m", "messages": [ASKED, shown["choices"][0]["message"], result]}
        case Dialect.OPENAI_RESPONSES:
            result = {"type": "function_call_output", "call_id": "c1", "output": "y"}
            return {"model": "m", "input": [ASKED, *shown["output"], result]}
        case Dialect.ANTHROPIC:
            result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "y"}]}
            said = {"role": "assistant", "content": shown["content"]}
            return {"model": "m", "max_tokens": 5, "messages": [ASKED, said, result]}
        case Dialect.GEMINI:
            asked = {"role": "user", "parts": [{"text": "x"}]}
            response = {"name": "f", "response": {"output": "y"}}
            result = {"role": "user", "parts": [{"functionResponse": response}]}
            return {"contents": [asked, shown["candidates"][0]["content"], result]}


def test_openais_sealed_thinking_passes_through_every_client() -> None:
    parts = (canon.Reasoning("Sum.", summary=True, sealed="gAAAA", issuer="openai", item_id="rs_1"), canon.Text("Hi"))
    answer = Answer(id="1", model="m", choices=(canon.Choice(parts=parts, stop=Stop.END),))
    responses = codec_of(Dialect.OPENAI_RESPONSES)
    for codec in CODECS:
        shown = json.loads(codec.encode_answer(answer, REPLY))
        request = codec.decode_request(json.dumps(continued(codec.dialect, shown)).encode(), model="m")
        items = json.loads(responses.encode_request(request, Target(model="up")).body)["input"]
        sealed = next(item for item in items if item.get("type") == "reasoning")
        assert sealed["encrypted_content"] == "gAAAA"
        assert sealed["summary"] == [{"type": "summary_text", "text": "Sum."}]
