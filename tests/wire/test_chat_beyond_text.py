"""OpenAI chat beyond words and calls: several choices, sound, pictures, probabilities, thinking in every field."""

import json
from typing import Any

import pytest
from msgspec import UNSET
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.wire.canon import REPLY
from tests.wire.frames import chat_stream, delta, payloads
from tidemill.wire.canonical import Answer, Request
from tidemill.wire.canonical_collect import Collector, events_of
from tidemill.wire.canonical_media import data_url, read_data_url, remote_sources, with_sources
from tidemill.wire.canonical_parts import Audio, Image, Inline, Reasoning, Redacted, Remote, Text
from tidemill.wire.codec import Target
from tidemill.wire.openai.codec import OpenAIChat

CODEC = OpenAIChat()


def decoded(body: dict[str, Any]) -> Request:
    return CODEC.decode_request(json.dumps({"model": "m", **body}).encode())


def through(chunks: list[Any]) -> Answer:
    """Read a stream, write it, check what was written against the SDK's types, and read it again."""
    events = CODEC.stream_decoder().feed(chat_stream(chunks))
    written = CODEC.stream_encoder(REPLY).encode(events)
    for chunk in payloads(written)[:-1]:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    collector = Collector()
    collector.take(CODEC.stream_decoder().feed(written))
    assert collector.finished
    first = Collector()
    first.take(events)
    assert collector.answer().choices == first.answer().choices
    whole = CODEC.encode_answer(collector.answer(), REPLY)
    ChatCompletion.model_validate_json(whole)
    assert CODEC.decode_answer(whole).choices == collector.answer().choices
    return collector.answer()


def test_several_choices_side_by_side() -> None:
    chunks = [
        delta(0, role="assistant", content="a"),
        delta(1, role="assistant", content="b"),
        delta(0, content="A"),
        delta(1, content="B"),
        delta(1, "length"),
        delta(0, "stop"),
    ]
    answer = through(chunks)
    told = [(choice.index, choice.parts, choice.stop) for choice in answer.choices]
    assert told == [(0, (Text("aA"),), "end"), (1, (Text("bB"),), "length")]


def test_sound_in_pieces() -> None:
    chunks = [
        delta(audio={"id": "audio_1", "transcript": "Hel"}),
        delta(audio={"data": "AAAA"}),
        delta(audio={"transcript": "lo", "data": "BBBB", "expires_at": 9}),
        delta(finish="stop"),
    ]
    (part,) = through(chunks).choices[0].parts
    assert part == Audio(Inline("", "AAAABBBB"), "audio_1", "Hello", 9)


def test_pictures_a_model_made() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    (part,) = through([delta(images=[image]), delta(finish="stop")]).choices[0].parts
    assert part == Image(Inline("image/png", "AAAA"))


def test_probabilities_of_tokens() -> None:
    token = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    chunks = [delta(content="x"), delta(content="x"), delta(finish="stop")]
    for chunk in chunks[:2]:
        chunk["choices"][0]["logprobs"] = {"content": [token]}
    logprobs = through(chunks).choices[0].logprobs
    assert logprobs
    assert json.loads(bytes(memoryview(logprobs))) == {"content": [token, token]}


@pytest.mark.parametrize(
    ("wish", "show", "summary"),
    [
        ({"summary": "auto"}, True, "auto"),
        ({"summary": "auto", "exclude": True}, False, "auto"),
        ({"exclude": False}, True, UNSET),
        ({"max_tokens": 2000}, UNSET, UNSET),
    ],
)
def test_a_chat_can_ask_to_be_told_the_reasoning(wish: Any, show: object, summary: object) -> None:
    talk = [{"role": "user", "content": "x"}]
    thinking = decoded({"messages": talk, "reasoning_effort": "low", "reasoning": wish}).thinking
    assert thinking is not UNSET
    assert (thinking.effort, thinking.show, thinking.summary) == ("low", show, summary)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_in_its_plain_fields(field: str) -> None:
    parts = (
        through(
            [
                delta(0, None, **{field: "th"}),
                delta(0, None, **{field: "ink"}),
                delta(content="x"),
                delta(finish="stop"),
            ]
        )
        .choices[0]
        .parts
    )
    assert parts[0] == Reasoning("think")


def test_thinking_told_twice_counts_once() -> None:
    chunks = [
        delta(reasoning="th", reasoning_details=[{"type": "reasoning.text", "text": "th", "index": 0}]),
        delta(reasoning="ink", reasoning_details=[{"type": "reasoning.text", "text": "ink", "index": 0}]),
        delta(reasoning_details=[{"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1"}]),
        delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "d", "format": "openai-responses-v1"}]),
        delta(content="x"),
        delta(finish="stop"),
    ]
    parts = through(chunks).choices[0].parts
    assert parts[:2] == (Reasoning("think", "s", "anthropic"), Redacted("d", "openai"))


def test_a_whole_answer_told_as_a_stream_is_the_same_answer() -> None:
    body = {
        "id": "chatcmpl-1",
        "model": "m",
        "created": 7,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "x",
                    "reasoning_content": "t",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
                        }
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    answer = CODEC.decode_answer(json.dumps(body).encode())
    collector = Collector()
    collector.take(CODEC.stream_decoder().feed(CODEC.stream_encoder(REPLY).encode(events_of(answer))))
    assert collector.answer() == answer


# ---- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "fields"),
    [
        ("none", {}),
        ("reasoning_content", {"reasoning_content": "t"}),
        ("reasoning", {"reasoning": "t"}),
        ("reasoning_details", {"reasoning_details": [{"type": "reasoning.text", "text": "t", "index": 0}]}),
    ],
)
def test_earlier_thinking_goes_back_as_the_upstream_wants_it(history: Any, fields: dict[str, Any]) -> None:
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "reasoning_content": "t"}]
    written = CODEC.encode_request(decoded({"messages": talk}), Target(model="up", history=history))
    assert json.loads(written.body)["messages"][1] == {"role": "assistant", "content": "a", **fields}


def test_texts_become_one_for_upstreams_that_take_only_one() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = decoded({"messages": [{"role": "user", "content": content}]})
    flat = json.loads(CODEC.encode_request(request, Target(model="up", flat_text=True)).body)
    assert flat["messages"][0]["content"] == "a\n\nb"
    kept = json.loads(CODEC.encode_request(request, Target(model="up")).body)
    assert kept["messages"][0]["content"] == content


def test_openais_own_cache_marks() -> None:
    part = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
    request = decoded({"messages": [{"role": "user", "content": [part]}]})
    written = CODEC.encode_request(request, Target(model="up", cache_marks="prompt_cache_breakpoint"))
    assert json.loads(written.body)["messages"][0]["content"] == [part]


def test_what_the_client_alone_knows_goes_on_to_its_own_dialect() -> None:
    request = decoded({"messages": [{"role": "user", "content": "q"}], "min_p": 0.1, "store": None, "seed": 5})
    body = json.loads(CODEC.encode_request(request, Target(model="up", extensions=frozenset({"top_k"}))).body)
    assert (body["min_p"], body["store"], body["seed"], body["model"]) == (0.1, None, 5, "up")


@pytest.mark.parametrize(
    ("url", "inline"),
    [
        ("data:image/png;base64,AAAA", Inline("image/png", "AAAA")),
        ("DATA:image/PNG;charset=x;BASE64,AAAA", Inline("image/png", "AAAA")),
        ("data:,hello%20you", Inline("text/plain", "aGVsbG8geW91")),
        ("https://x.test/data:", None),
        ("data:broken", None),
    ],
)
def test_data_urls(url: str, inline: Inline | None) -> None:
    assert read_data_url(url) == inline
    if inline is not None:
        assert read_data_url(data_url(inline)) == inline


def test_addresses_can_be_replaced_by_what_was_fetched() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    request = decoded({"messages": [{"role": "user", "content": [image, {"type": "text", "text": "?"}]}]})
    assert list(remote_sources(request)) == [Remote("https://x.test/a.png")]
    fetched = with_sources(request, lambda _: Inline("image/png", "AAAA"))
    assert list(remote_sources(fetched)) == []
    assert fetched.turns[0].parts[0] == Image(Inline("image/png", "AAAA"))
