"""Streamed calls of tools as OpenAI's look-alikes really send them."""

import json
from typing import Any

import pytest

from tests.wire.frames import call, chat_stream, delta
from tidemill.wire.canonical import Answer, Stop
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_parts import Text, ToolCall
from tidemill.wire.openai.codec import OpenAIChat

CODEC = OpenAIChat()


def collected(chunks: list[Any], *, done: bool = True) -> Collector:
    decoder, collector = CODEC.stream_decoder(), Collector()
    collector.take(decoder.feed(chat_stream(chunks, done=done)))
    collector.take(decoder.close())
    return collector


def answer_of(chunks: list[Any]) -> Answer:
    collector = collected(chunks)
    assert collector.finished
    return collector.answer()


def calls_of(chunks: list[Any]) -> list[tuple[str, str, Any]]:
    choice = answer_of([*chunks, delta(finish="tool_calls")]).choices[0]
    assert choice.stop is Stop.TOOLS
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    return [(part.id, part.name, json.loads(part.arguments or "{}")) for part in calls]


AB: list[tuple[str, str, Any]] = [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [call(0, "", "f", "a"), call(0, '{"x":'), call(0, "1}"), call(1, "", "g", "b"), call(1, '{"y":2}')],
            id="as OpenAI does",
        ),
        pytest.param([call(0, '{"x":1}', "f", "a"), call(1, '{"y":2}', "g", "b")], id="whole in one piece"),
        pytest.param([call(0, {"x": 1}, "f", "a"), call(1, {"y": 2}, "g", "b")], id="arguments as an object"),
        pytest.param([call(None, '{"x":1}', "f", "a"), call(None, '{"y":2}', "g", "b")], id="no index"),
        pytest.param(
            [call(None, "", "f", "a"), call(None, '{"x":'), call(None, "1}"), call(None, '{"y":2}', "g", "b")],
            id="no index, in pieces",
        ),
        pytest.param([call(0, '{"x":1}', "f", "a"), call(0, '{"y":2}', "g", "b")], id="index used again"),
        pytest.param(
            [
                call(0, '{"x"', "f", "a"),
                call(0, '{"x":', "f", "a"),
                call(0, '{"x":1}', "f", "a"),
                call(0, '{"x":1}', "f", "a"),
                call(1, '{"y":2}', "g", "b"),
            ],
            id="each piece repeats all before it",
        ),
        pytest.param(
            [call(0, "", "f", "a"), call(1, "", "g", "b"), call(1, '{"y"'), call(0, '{"x":1}'), call(1, ":2}")],
            id="side by side",
        ),
        pytest.param(
            [
                delta(
                    tool_calls=[
                        call(0, '{"x":1}', "f", "a")["choices"][0]["delta"]["tool_calls"][0],
                        call(1, '{"y":2}', "g", "b")["choices"][0]["delta"]["tool_calls"][0],
                    ]
                )
            ],
            id="both in one event",
        ),
        pytest.param(
            [call(0, "", "f", "a"), call(0, '{"x":', "", "a"), call(0, "1}", None, "zz"), call(1, '{"y":2}', "g", "b")],
            id="name and id repeated or changed in later pieces",
        ),
        pytest.param(
            [call(0, '{"x":', None, "a"), call(0, "1}", "f"), call(1, '{"y":2}', "g", "b")],
            id="name after the first arguments",
        ),
    ],
)
def test_two_calls_in_every_form(chunks: list[Any]) -> None:
    assert calls_of(chunks) == AB


def test_a_call_without_an_id_gets_one() -> None:
    (first, second) = calls_of([call(0, "{}", "f"), call(1, "{}", "g")])
    assert first[0].startswith("call_")
    assert second[0].startswith("call_")
    assert first[0] != second[0]


def test_the_call_from_before_tools() -> None:
    chunks = [
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": '{"x":1}'}),
        delta(finish="function_call"),
    ]
    choice = answer_of(chunks).choices[0]
    assert choice.stop is Stop.TOOLS
    assert [(part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)] == [("f", '{"x":1}')]


def test_stop_after_calls_means_tools() -> None:
    assert answer_of([call(0, "{}", "f", "a"), delta(finish="stop")]).choices[0].stop is Stop.TOOLS


def test_nested_keys_are_not_taken_for_repetition() -> None:
    pieces = ['{"a":', '{"a":1}', "}"]
    chunks = [call(0, "", "f", "a"), *(call(0, piece) for piece in ['{"', *[pieces[0][2:], *pieces[1:]]])]
    assert calls_of(chunks) == [("a", "f", {"a": {"a": 1}})]


def test_words_after_a_call_are_a_text_of_their_own() -> None:
    parts = (
        answer_of([delta(content="one"), call(0, '{"x":1}', "f", "a"), delta(content="two"), delta(finish="stop")])
        .choices[0]
        .parts
    )
    assert [part.text if isinstance(part, Text) else "call" for part in parts] == ["one", "call", "two"]


# ---- ends ------------------------------------------------------------------------------------------------------------


def test_an_end_without_done_is_good_after_a_finish_reason() -> None:
    collector = collected([delta(content="x"), delta(finish="length")], done=False)
    assert collector.finished
    assert collector.answer().choices[0].stop is Stop.LENGTH


def test_an_end_before_the_finish_reason_is_a_failure() -> None:
    collector = collected([delta(content="x")], done=False)
    assert not collector.finished
    assert collector.fault is not None
    assert collector.fault.code == "stream_broken"


def test_an_empty_stream_is_a_failure() -> None:
    for collector in (collected([]), collected([], done=False)):
        assert collector.fault is not None
        assert collector.fault.code == "empty_stream"


def test_an_error_inside_the_stream() -> None:
    collector = collected([delta(content="x"), {"error": {"message": "too many", "code": 429}}, delta(content="y")])
    assert collector.fault is not None
    assert (collector.fault.kind, collector.fault.message) == ("rate", "too many")


def test_a_whole_answer_in_place_of_a_stream() -> None:
    body: dict[str, Any] = {
        "id": "1",
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {},
    }
    decoder, collector = CODEC.stream_decoder(), Collector()
    collector.take(decoder.feed(json.dumps(body).encode()))
    collector.take(decoder.close())
    assert collector.finished
    assert collector.answer().choices[0].parts == (Text("hi"),)


def test_the_last_usage_counts_not_the_sum() -> None:
    chunks = [
        {**delta(content="x"), "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        {**delta(finish="stop"), "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
    ]
    usage = answer_of(chunks).usage
    assert usage
    assert (usage.prompt, usage.completion) == (5, 2)
