"""What goes out to clients of the Responses and of Gemini is read by OpenAI's and Google's own SDKs."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import canon
from tests.wire.canon import REPLY
from tests.wire.sdks import google_answer, google_chunks, openai_events, openai_final, openai_response, unhurried
from tests.wire.test_golden import CODECS, bytes_of, golden, reply_of
from tidemill.wire.canonical import Answer
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_events import Event, Failed
from tidemill.wire.canonical_fault import Fault, Kind
from tidemill.wire.gemini.codec import Gemini
from tidemill.wire.openai_responses.codec import OpenAIResponses

RESPONSES, GEMINI = OpenAIResponses(), Gemini()


def written(case: Any, codec: Any) -> bytes:
    source = CODECS[case["from"]]
    decoder, encoder = source.stream_decoder(), codec.stream_encoder(reply_of(case))
    given_bytes = bytes_of(source.dialect, case["given"])
    return encoder.encode(decoder.feed(given_bytes)) + encoder.encode(decoder.close())


@golden("stream")
def test_golden_streams(case: Any) -> None:
    stream = written(case, RESPONSES)
    events = openai_events(stream)
    if events[-1]["type"] == "response.completed":
        assert openai_final(stream).status == "completed"
    assert google_chunks(written(case, GEMINI))


@golden("answer")
def test_golden_answers(case: Any) -> None:
    answer = CODECS[case["from"]].decode_answer(json.dumps(case["given"]).encode())
    assert openai_response(RESPONSES.encode_answer(answer, reply_of(case))).object == "response"
    assert google_answer(json.loads(GEMINI.encode_answer(answer, reply_of(case)))).candidates


@unhurried
@given(stream=canon.streams())
def test_openais_client_puts_the_same_answer_together(stream: tuple[Answer, list[Event]]) -> None:
    answer, events = stream
    encoder = RESPONSES.stream_encoder(REPLY)
    out = b"".join(encoder.encode([event]) for event in events)
    shown = openai_events(out)
    assert [event["sequence_number"] for event in shown] == list(range(len(shown)))
    final = shown[-1]["response"]
    collector = Collector()
    collector.take(events)
    whole = json.loads(RESPONSES.encode_answer(collector.answer(), REPLY))
    assert [plain(item) for item in final["output"]] == [plain(item) for item in whole["output"]]
    assert (final["status"], final["usage"]) == (whole["status"], whole["usage"])
    assert canon.said(RESPONSES.decode_answer(json.dumps(final).encode()).choices[0].parts) == canon.said(
        answer.choices[0].parts
    )


def plain(item: Any) -> Any:
    return {name: value for name, value in item.items() if name != "id"}


@unhurried
@given(answer=canon.answers())
def test_whole_answers(answer: Answer) -> None:
    openai_response(RESPONSES.encode_answer(answer, REPLY))
    google_answer(json.loads(GEMINI.encode_answer(answer, REPLY)))


@unhurried
@given(stream=canon.streams(), data=st.data())
def test_googles_client_reads_every_chunk(stream: tuple[Answer, list[Event]], data: st.DataObject) -> None:
    answer, events = stream
    encoder = GEMINI.stream_encoder(REPLY)
    # Pings anywhere: a comment would make Google's client raise.
    at = data.draw(st.integers(0, len(events)))
    pieces = [encoder.encode([event]) for event in events]
    chunks = google_chunks(b"".join([*pieces[:at], GEMINI.heartbeat, *pieces[at:]]))
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    said = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    assert said == canon.said(answer.choices[0].parts)["text"]
    assert ["finishReason" in chunk["candidates"][0] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@unhurried
@given(stream=canon.streams())
def test_geminis_list_says_what_its_events_say(stream: tuple[Answer, list[Event]]) -> None:
    _, events = stream
    listed = GEMINI.stream_encoder(msgspec.structs.replace(REPLY, sse=False))
    told = GEMINI.stream_encoder(REPLY)
    out = b"".join(listed.encode([event]) + GEMINI.heartbeat for event in events)
    assert json.loads(out) == google_chunks(told.encode(events))


@pytest.mark.parametrize("sse", [True, False])
def test_a_broken_gemini_stream_ends_in_an_error(sse: bool) -> None:  # noqa: FBT001 - a case
    encoder = GEMINI.stream_encoder(msgspec.structs.replace(REPLY, sse=sse))
    out = encoder.encode([Failed(Fault(kind=Kind.RATE, message="slow down", retry_after_s=2.1))])
    last = (google_chunks(out) if sse else json.loads(out))[-1]
    assert last["error"]["code"] == 429
    assert last["error"]["details"][0]["retryDelay"] == "3s"


def test_frames_that_end_a_stream_somebody_else_wrote() -> None:
    fault = Fault(kind=Kind.OVERLOADED, message="busy")
    assert openai_events(RESPONSES.error_frame(fault))[0]["message"] == "busy"
    assert google_chunks(GEMINI.error_frame(fault))[0]["error"]["status"] == "UNAVAILABLE"
