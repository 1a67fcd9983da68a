"""Streams of the Responses that leave out what OpenAI's own never do, and signatures that pass through two relays."""

from typing import Any

import pytest
from msgspec import UNSET

from tests.wire import canon
from tests.wire.canon import REPLY
from tests.wire.frames import message_stream
from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_collect import Collector, events_of
from tidemill.wire.canonical_events import Event, Ping, Signed
from tidemill.wire.canonical_parts import Reasoning, Refusal, Text, ToolCall
from tidemill.wire.gemini.codec import Gemini
from tidemill.wire.openai_responses.codec import OpenAIResponses

CODEC = OpenAIResponses()
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
}
REFUSAL: dict[str, Any] = {"id": "msg_2", "type": "message", "content": [{"type": "refusal", "refusal": "no"}]}
CALL: dict[str, Any] = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
THOUGHT: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "So."}]}
CREATED: dict[str, Any] = {
    "type": "response.created",
    "response": {"id": "resp_1", "model": "up", "status": "in_progress"},
}


def read(*events: dict[str, Any]) -> Collector:
    decoder, collector = CODEC.stream_decoder(), Collector()
    collector.take(decoder.feed(message_stream(events)))
    collector.take(decoder.close())
    return collector


def completed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": list(items)}}


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


@pytest.mark.parametrize("told_last", [True, False])
def test_items_told_only_whole(told_last: bool) -> None:  # noqa: FBT001 - a case
    items = [THOUGHT, MESSAGE, REFUSAL, CALL]
    ended = [] if told_last else [done(index, item) for index, item in enumerate(items)]
    answer = read(CREATED, *ended, completed(*items)).answer()
    thought, text, refusal, call = answer.choices[0].parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.summary, thought.item_id) == ("So.", True, "rs_1")
    assert isinstance(text, Text)
    assert isinstance(refusal, Refusal)
    assert isinstance(call, ToolCall)
    assert (text.text, refusal.text, call.id, call.arguments) == ("Hi", "no", "c1", "{}")
    assert answer.choices[0].stop is Stop.TOOLS


def test_texts_that_were_never_announced() -> None:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", **place, "delta": "H"}
    more = {"type": "response.output_text.delta", **place, "delta": "i"}
    assert canon.said(read(delta, more, completed()).answer().choices[0].parts)["text"] == "Hi"
    whole = {"type": "response.output_text.done", **place, "text": "Hi"}
    assert canon.said(read(CREATED, whole, completed(MESSAGE)).answer().choices[0].parts)["text"] == "Hi"


def test_arguments_told_only_at_their_end() -> None:
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**CALL, "arguments": ""}}
    ended = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"a":1}'}
    parts = (
        read(CREATED, added, ended, done(0, {**CALL, "arguments": '{"a":1}'}), completed()).answer().choices[0].parts
    )
    assert canon.said(parts)["calls"] == [("c1", "f", {"a": 1})]


def test_what_no_sdk_names_is_passed_over() -> None:
    odd = {"type": "response.something.new", "delta": "x"}
    collector = read(CREATED, {"type": "keepalive"}, odd, {"type": "mystery"}, completed(MESSAGE))
    assert collector.finished
    assert Ping() in CODEC.stream_decoder().feed(message_stream([{"type": "keepalive"}]))


def test_a_stream_without_its_last_event_is_broken() -> None:
    assert read(CREATED, done(0, MESSAGE)).fault is not None
    empty = read().fault
    assert empty is not None
    assert empty.code == "empty_stream"


def test_a_calls_signature_passes_through_two_relays() -> None:
    """Gemini's signature travels in an item after its call; whoever reads that puts it back before the call ends."""
    call = ToolCall("c1", "f", "{}", signature="Z29v", issuer="google")
    parts = (call, ToolCall("c2", "g", "{}"), Text("Hi"))
    answer = Answer(id="1", model="m", choices=(Choice(parts=parts, stop=Stop.TOOLS),))
    relayed = CODEC.stream_decoder().feed(CODEC.stream_encoder(REPLY).encode(events_of(answer)))
    assert Signed(0, "Z29v", "google") in relayed
    assert signed_calls(relayed) == {"c1": "Z29v"}
    shown = Gemini().stream_decoder()
    told = shown.feed(Gemini().stream_encoder(REPLY).encode(relayed)) + shown.close()
    assert signed_calls(told) == {"c1": "Z29v"}
    whole = CODEC.decode_answer(CODEC.encode_answer(answer, REPLY))
    assert [part.signature for part in whole.choices[0].parts if isinstance(part, ToolCall)] == ["Z29v", UNSET]


def signed_calls(events: list[Event]) -> dict[str, Any]:
    collector = Collector()
    collector.take(events)
    made = [part for part in collector.answer().choices[0].parts if isinstance(part, ToolCall)]
    return {part.id: part.signature for part in made if part.signature}
