"""Whatever the events, an Anthropic client gets blocks one after the other, numbered without a gap, and one end."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tests.wire.canon import REPLY
from tests.wire.frames import payloads
from tidemill.wire.anthropic.codec import AnthropicMessages
from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    AudioDelta,
    Cited,
    Closed,
    Event,
    Failed,
    Finished,
    Metered,
    Opened,
    Ping,
    ReasoningDelta,
    Signed,
    Started,
    Stopped,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_fault import Fault, Kind
from tidemill.wire.canonical_parts import Citation, Dialect, Redacted
from tidemill.wire.canonical_usage import Usage

CODEC = AnthropicMessages()
PARTS = st.integers(0, 3)
CHOICES = st.sampled_from([0, 0, 0, 1])
PIECES = st.sampled_from(["", "a", '{"x":', "1}", "é"])
KINDS = st.sampled_from(["text", "reasoning", "refusal", "audio"])
ISSUERS = st.sampled_from([UNSET, "anthropic", "google"])
CITATION = Citation(Dialect.OPENAI_CHAT, Raw(b"{}"), "https://x.test", "t")
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Started("msg_1", "up")),
    st.builds(Opened, PARTS, KINDS, CHOICES),
    st.builds(ToolOpened, PARTS, st.just("c1"), st.just("f"), CHOICES, st.booleans()),
    st.builds(TextDelta, PARTS, PIECES),
    st.builds(ReasoningDelta, PARTS, PIECES),
    st.builds(ArgumentsDelta, PARTS, PIECES),
    st.builds(AudioDelta, PARTS, st.just("AA=="), PIECES),
    st.builds(Signed, PARTS, st.just("sig"), ISSUERS, st.booleans()),
    st.builds(Cited, PARTS, st.just(CITATION)),
    st.builds(Closed, PARTS),
    st.builds(Whole, PARTS, st.just(Redacted("d", "anthropic")), CHOICES),
    st.builds(Metered, st.builds(Usage, fresh=st.integers(0, 9), text_out=st.integers(0, 9))),
    st.builds(Stopped, st.sampled_from([Stop.END, Stop.TOOLS]), CHOICES),
    st.just(Ping()),
)


def check(events: list[Any], *, whole: bool) -> None:
    open_block: tuple[int, str] | None = None
    signed = False
    next_index = 0
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    if whole:
        assert kinds[0] == "message_start"
        assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_start") <= 1
    allowed = {
        "text_delta": "text",
        "citations_delta": "text",
        "thinking_delta": "thinking",
        "signature_delta": "thinking",
        "input_json_delta": "tool_use",
    }
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert open_block is None
                assert event["index"] == next_index
                open_block, signed = (next_index, event["content_block"]["type"]), False
                next_index += 1
            case "content_block_delta":
                assert open_block is not None
                assert event["index"] == open_block[0]
                assert allowed[event["delta"]["type"]] == open_block[1]
                signed = event["delta"]["type"] == "signature_delta"
            case "content_block_stop":
                assert open_block is not None
                assert event["index"] == open_block[0]
                assert signed or open_block[1] != "thinking"
                open_block = None
            case "message_delta":
                assert open_block is None
                assert event["delta"]["stop_reason"]
                assert event["usage"]["output_tokens"] >= 0
            case _:
                pass


@given(events=st.lists(EVENTS, max_size=30))
def test_blocks_never_overlap_and_the_message_ends_once(events: list[Event]) -> None:
    encoder = CODEC.stream_encoder(REPLY)
    written = b"".join(encoder.encode([event]) for event in events)
    check(payloads(written), whole=False)
    written += encoder.encode([Finished()])
    check(payloads(written), whole=True)
    assert encoder.encode([TextDelta(0, "late")]) == b""


def test_a_signature_is_the_last_of_its_block_whatever_grows_after_it() -> None:
    encoder = CODEC.stream_encoder(REPLY)
    events: list[Event] = [Opened(1, "reasoning"), Signed(1, "sig"), ReasoningDelta(1, "late"), Closed(1), Finished()]
    written = payloads(encoder.encode(events))
    deltas = [event["delta"] for event in written if event["type"] == "content_block_delta"]
    assert [delta["type"] for delta in deltas] == ["thinking_delta", "signature_delta"]


@given(events=st.lists(EVENTS, max_size=10))
def test_a_broken_stream_ends_in_an_error_event(events: list[Event]) -> None:
    encoder = CODEC.stream_encoder(REPLY)
    fault = Fault(kind=Kind.OVERLOADED, message="busy")
    written = payloads(encoder.encode([*events, Failed(fault)]))
    assert written[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    assert "message_stop" not in [event["type"] for event in written]


def test_calls_that_grow_side_by_side_come_one_after_the_other() -> None:
    encoder = CODEC.stream_encoder(REPLY)
    events: list[Event] = [
        ToolOpened(0, "c0", "f"),
        ToolOpened(1, "c1", "g"),
        ArgumentsDelta(1, '{"b":'),
        ArgumentsDelta(0, '{"a":1}'),
        ArgumentsDelta(1, "2}"),
        Closed(1),
        Closed(0),
        ToolOpened(2, "c2", "h"),
        Stopped(Stop.TOOLS),
        Finished(),
    ]
    written = payloads(b"".join(encoder.encode([event]) for event in events))
    told = [
        event["content_block"]["id"] if event["type"] == "content_block_start" else event["delta"]["partial_json"]
        for event in written
        if event["type"] in {"content_block_start", "content_block_delta"}
    ]
    assert told == ["c0", '{"a":1}', "c1", '{"b":', "2}", "c2", "{}"]


def test_an_open_call_is_told_while_it_grows() -> None:
    encoder = CODEC.stream_encoder(REPLY)
    encoder.encode([Started("msg_1", "up"), ToolOpened(0, "c0", "f"), ToolOpened(1, "c1", "g")])
    assert payloads(encoder.encode([ArgumentsDelta(0, "{")]))[0]["delta"]["partial_json"] == "{"
    assert encoder.encode([ArgumentsDelta(1, "{")]) == b""
