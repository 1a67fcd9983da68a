"""What an answer cost is never nothing only because nobody said it."""

from msgspec import UNSET, Raw

from tests.wire.frames import call, chat_stream, delta
from tidemill.wire.canonical import Request, Tool
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_estimate import answer_bytes, event_bytes, prompt_tokens, usage_of
from tidemill.wire.canonical_parts import Dialect, Image, Inline, Text, ToolResult, Turn
from tidemill.wire.openai.codec import OpenAIChat


def request(*turns: Turn, **fields: object) -> Request:
    return Request(model="m", dialect=Dialect.OPENAI_CHAT, turns=turns, **fields)  # pyright: ignore[reportArgumentType]


def test_a_longer_talk_costs_more_and_a_picture_is_not_counted_as_text() -> None:
    short = prompt_tokens(request(Turn("user", (Text("word " * 10),))))
    picture = prompt_tokens(request(Turn("user", (Text("word " * 10), Image(Inline("image/png", "A" * 9999))))))
    result = prompt_tokens(request(Turn("user", (ToolResult("c", (Text("word " * 10),)),))))
    longer = prompt_tokens(request(Turn("user", (Text("word " * 100),))))
    tools = prompt_tokens(request(Turn("user", (Text("x"),)), tools=(Tool("f", "word " * 100, Raw(b"{}")),)))
    assert short == picture == result
    assert 10 <= short < longer < 200
    assert tools > 100


def test_a_stream_that_tells_no_usage_is_estimated_like_its_answer() -> None:
    chunks = [delta(reasoning_content="hm"), delta(content="你好"), call(0, '{"x":1}', "f", "a"), delta(finish="stop")]
    events = OpenAIChat().stream_decoder().feed(chat_stream(chunks))
    collector = Collector()
    collector.take(events)
    assert collector.answer().usage is UNSET
    generated = sum(event_bytes(event) for event in events)
    assert generated == answer_bytes(collector.answer()) == 2 + 6 + 1 + 7
    usage = usage_of(9, generated)
    assert (usage.prompt, usage.completion) == (9, 4)
