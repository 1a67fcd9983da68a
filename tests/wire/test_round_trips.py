"""What a dialect has words for survives it: requests, whole answers, and streams cut anywhere."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tests.wire import canon
from tests.wire.canon import CODECS, REPLY, TARGET, each_codec
from tidemill.wire.anthropic.codec import AnthropicMessages
from tidemill.wire.canonical import Answer, Request, Stop
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_events import Event
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Codec, Target
from tidemill.wire.openai.codec import OpenAIChat


@each_codec
@given(request=canon.requests())
def test_a_request_survives(codec: Codec, request: Request) -> None:
    written = codec.encode_request(request, TARGET)
    assert written.dropped == ()
    read = codec.decode_request(written.body)
    assert read.model == "up"
    assert canon.meaning(read) == canon.meaning(request)


@given(request=canon.requests())
def test_a_request_survives_both_dialects_one_after_the_other(request: Request) -> None:
    first, second = CODECS
    there = second.decode_request(second.encode_request(request, TARGET).body)
    back = first.decode_request(first.encode_request(there, TARGET).body)
    assert canon.meaning(back) == canon.meaning(request)


def told(answer: Answer) -> dict[str, Any]:
    choice = answer.choices[0]
    usage = answer.usage or Usage()
    counts = (usage.fresh, usage.cache_read, usage.cache_write, usage.text_out, usage.reasoning_out)
    return {**canon.said(choice.parts), "stop": choice.stop, "usage": counts}


@each_codec
@given(answer=canon.answers())
def test_an_answer_survives(codec: Codec, answer: Answer) -> None:
    assert told(codec.decode_answer(codec.encode_answer(answer, REPLY))) == told(answer)


@each_codec
@given(stream=canon.streams(), data=st.data())
def test_a_stream_cut_anywhere_tells_the_same_answer(
    codec: Codec, stream: tuple[Answer, list[Event]], data: st.DataObject
) -> None:
    answer, events = stream
    encoder, decoder, collector = codec.stream_encoder(REPLY), codec.stream_decoder(), Collector()
    written = b"".join(encoder.encode([event]) for event in events)
    for piece in canon.cut(data, written):
        collector.take(decoder.feed(piece))
    collector.take(decoder.close())
    assert collector.fault is None
    assert collector.finished
    assert told(collector.answer()) == told(answer)


@given(stream=canon.streams())
def test_a_stream_says_the_same_as_the_answer_in_whole(stream: tuple[Answer, list[Event]]) -> None:
    answer, events = stream
    collector = Collector()
    collector.take(events)
    assert told(collector.answer()) == told(answer)


@given(marked=canon.talks(cache=True))
def test_cache_marks_survive_where_the_dialect_has_them(marked: Any) -> None:
    request = Request(model="m", dialect=CODECS[1].dialect, turns=marked, max_tokens=5)
    codec = AnthropicMessages()
    read = codec.decode_request(codec.encode_request(request, TARGET).body)
    assert [part.cache for part in _texts(read)] == [part.cache for part in _texts(request)]
    plain = OpenAIChat().encode_request(request, Target(model="up"))
    assert ("cache_control" in plain.dropped) == any(part.cache is not UNSET for part in _texts(request))


def _texts(request: Request) -> list[canon.Text]:
    return [
        part for turn in request.turns for part in turn.parts if isinstance(part, canon.Text) and turn.role == "user"
    ]


@given(stream=canon.streams())
def test_a_model_that_calls_tools_unreadably_is_a_failure_to_the_client(stream: tuple[Answer, list[Event]]) -> None:
    answer, _ = stream
    choice = msgspec.structs.replace(answer.choices[0], stop=Stop.BAD_TOOL)
    bad = msgspec.structs.replace(answer, choices=(choice,))
    for codec in CODECS:
        encoder, decoder, collector = codec.stream_encoder(REPLY), codec.stream_decoder(), Collector()
        collector.take(decoder.feed(encoder.encode(canon.events_of(bad))))
        assert collector.fault is not None
