"""Whatever the events, a client of the Responses gets items in order, each announced, filled and ended once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tests.wire.canon import REPLY
from tests.wire.sdks import openai_events, openai_final, unhurried
from tests.wire.test_anthropic_order import EVENTS
from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    Closed,
    Event,
    Failed,
    Finished,
    Opened,
    ReasoningDelta,
    Signed,
    Started,
    Stopped,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_fault import Fault, Kind
from tidemill.wire.canonical_parts import Dialect, Image, Inline, Opaque
from tidemill.wire.codec import Reply
from tidemill.wire.openai_responses.codec import OpenAIResponses

CODEC = OpenAIResponses()
SEARCH = Opaque(
    Dialect.OPENAI_RESPONSES, Raw(b'{"id":"tsc","type":"compaction","encrypted_content":"x"}'), "compaction"
)
MORE = EVENTS | st.sampled_from(
    [
        Whole(9, Image(Inline("image/png", "AAAA"))),
        Whole(8, SEARCH),
        Opened(4, "reasoning", 0, True, "rs_a"),  # noqa: FBT003 - a summary
        Opened(5, "reasoning", 0, False, "rs_a"),  # noqa: FBT003 - a text
        ReasoningDelta(4, "s"),
        ReasoningDelta(5, "t"),
        Closed(4),
        Closed(5),
    ]
)


def check(events: list[Any]) -> None:
    """Follow every item and part from its announcement to its end."""
    items: dict[int, dict[str, Any]] = {}
    done: set[int] = set()
    parts: dict[tuple[int, str, int], str] = {}
    ended: set[tuple[int, str, int]] = set()
    for event in events:
        kind = event["type"].removeprefix("response.")
        if kind == "output_item.added":
            assert event["output_index"] == len(items)
            items[event["output_index"]] = event["item"]
        elif kind == "output_item.done":
            index = event["output_index"]
            assert index in items
            assert index not in done
            assert event["item"]["id"] == items[index]["id"]
            assert not [place for place in parts if place[0] == index and place not in ended]
            done.add(index)
        elif "item_id" in event:
            index = event["output_index"]
            assert index not in done
            assert event["item_id"] == items[index]["id"]
            place = (
                index,
                "s" if "summary_index" in event else "c",
                event.get("summary_index", event.get("content_index", 0)),
            )
            if kind.endswith("part.added"):
                assert place[2] == len([known for known in parts if known[:2] == place[:2]])
                parts[place] = ""
            elif kind.endswith("delta"):
                assert place not in ended
                parts[place] = parts.get(place, "") + event["delta"]
            elif kind.endswith((".text.done", "text.done", "refusal.done")):
                assert event.get("text", event.get("refusal")) == parts[place]
            elif kind.endswith("part.done"):
                ended.add(place)
            elif kind in {"function_call_arguments.done", "custom_tool_call_input.done"}:
                whole = event.get("arguments", event.get("input"))
                assert parts.get(place, "") in {whole, ""}
                ended.add(place)
    assert done == set(items)


@unhurried
@given(events=st.lists(MORE, max_size=30))
def test_items_are_announced_filled_and_ended(events: list[Event]) -> None:
    encoder = CODEC.stream_encoder(REPLY)
    searched = events.index(Whole(8, SEARCH)) if Whole(8, SEARCH) in events else -1
    events = [event for at, event in enumerate(events) if at == searched or event != Whole(8, SEARCH)]
    out = b"".join(encoder.encode([event]) for event in events) + encoder.encode([Finished()])
    shown = openai_events(out)
    assert [event["type"] for event in shown[:2]] == ["response.created", "response.in_progress"]
    assert shown[-1]["type"] in {"response.completed", "response.incomplete"}
    assert sum(event["type"] == shown[-1]["type"] for event in shown) == 1
    assert [event["sequence_number"] for event in shown] == list(range(len(shown)))
    check(shown)
    ends = {event["output_index"]: event["item"] for event in shown if event["type"].endswith("item.done")}
    assert shown[-1]["response"]["output"] == [ends[index] for index in sorted(ends)]
    assert encoder.encode([TextDelta(0, "late")]) == b""
    if shown[-1]["type"] == "response.completed":
        openai_final(out)


@unhurried
@given(events=st.lists(MORE, max_size=10))
def test_a_broken_stream_ends_in_an_error_and_a_failed_response(events: list[Event]) -> None:
    encoder = CODEC.stream_encoder(REPLY)
    shown = openai_events(encoder.encode([*events, Failed(Fault(kind=Kind.RATE, message="busy"))]))
    assert [event["type"] for event in shown[-2:]] == ["error", "response.failed"]
    assert shown[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "busy"}
    assert [event["sequence_number"] for event in shown] == list(range(len(shown)))


def types(events: list[Event], reply: Reply = REPLY) -> list[str]:
    encoder = CODEC.stream_encoder(reply)
    out = b"".join(encoder.encode([event]) for event in events)
    return [event["type"].removeprefix("response.") for event in openai_events(out)]


def test_the_order_of_a_text() -> None:
    events: list[Event] = [
        Started("resp_1", "up"),
        Opened(0, "text"),
        TextDelta(0, "Hi"),
        TextDelta(0, "!"),
        Closed(0),
        Stopped(Stop.END),
        Finished(),
    ]
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_thinking_in_summaries_and_calls_side_by_side() -> None:
    events: list[Event] = [
        Started("resp_1", "up"),
        Opened(0, "reasoning", 0, True, "rs_1"),  # noqa: FBT003 - a summary
        ReasoningDelta(0, "One"),
        Closed(0),
        Opened(1, "reasoning", 0, True, "rs_1"),  # noqa: FBT003 - a summary
        ReasoningDelta(1, "Two"),
        Signed(1, "gAAAA", "openai", sealed=True),
        Closed(1),
        ToolOpened(2, "c2", "f"),
        ToolOpened(3, "c3", "g"),
        ArgumentsDelta(3, "{"),
        ArgumentsDelta(2, "{}"),
        Closed(2),
        ArgumentsDelta(3, "}"),
        Closed(3),
        Stopped(Stop.TOOLS),
        Finished(),
    ]
    encoder = CODEC.stream_encoder(REPLY)
    shown = openai_events(encoder.encode(events))
    check(shown)
    reasoning, first, second = shown[-1]["response"]["output"]
    assert [part["text"] for part in reasoning["summary"]] == ["One", "Two"]
    assert reasoning["encrypted_content"] == "gAAAA"
    assert (first["arguments"], second["arguments"]) == ("{}", "{}")


def test_a_free_text_tool_called_as_a_function_reaches_its_client_as_free_text() -> None:
    reply = Reply(id="1", model="m", created=7, custom_tools=frozenset({"patch"}))
    events: list[Event] = [
        ToolOpened(0, "c", "patch"),
        ArgumentsDelta(0, '{"input":"*** Be'),
        ArgumentsDelta(0, 'gin"}'),
        Closed(0),
        Stopped(Stop.TOOLS),
        Finished(),
    ]
    encoder = CODEC.stream_encoder(reply)
    shown = openai_events(encoder.encode(events))
    check(shown)
    assert shown[-1]["response"]["output"][0]["input"] == "*** Begin"


def test_only_the_first_choice_is_told() -> None:
    events: list[Event] = [Opened(0, "text", 1), TextDelta(0, "no"), Closed(0), Stopped(Stop.LENGTH, 1), Finished()]
    assert types(events) == ["created", "in_progress", "completed"]


def test_a_cut_answer_is_incomplete() -> None:
    events: list[Event] = [Opened(0, "text"), TextDelta(0, "On"), Stopped(Stop.LENGTH), Finished()]
    encoder = CODEC.stream_encoder(REPLY)
    last = openai_events(encoder.encode(events))[-1]["response"]
    assert (last["status"], last["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert last["output"][0]["status"] == "incomplete"


def test_a_refusal_in_words_is_a_complete_answer() -> None:
    events: list[Event] = [
        Opened(0, "refusal"),
        TextDelta(0, "no"),
        Closed(0),
        Stopped(Stop.FILTERED, 0, UNSET, "policy"),
        Finished(),
    ]
    assert types(events)[-1] == "completed"
    assert "refusal.delta" in types(events)
