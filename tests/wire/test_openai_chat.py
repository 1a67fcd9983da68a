"""What is read of OpenAI's exchanges, and what is never counted twice."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidemill.wire.openai_chat import (
    Usage,
    estimate_request,
    read_answer,
    read_body,
    read_chunk,
    read_usage,
    wants_usage,
    with_usage,
)
from tidemill.wire.openai_errors import envelope, read_complaint, redact
from tidemill.wire.openai_stream import ChatStream
from tidemill.wire.sse import event_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
COUNTS = st.none() | st.integers(0, 10_000)


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=6))
def test_a_body_opened_and_closed_means_the_same(body: dict[str, Any]) -> None:
    assert json.loads(msgspec.json.encode(read_body(json.dumps(body).encode()))) == body


@pytest.mark.parametrize("data", [b'{"model":"\xff"}', b'{"choices":[{"delta":{"content":"\xff"}}]}', b"[" * 100_000])
def test_what_is_no_utf8_or_nested_without_end_is_no_json(data: bytes) -> None:
    for read in (read_chunk, read_answer):
        with contextlib.suppress(msgspec.DecodeError):
            read(data)
    with contextlib.suppress(msgspec.DecodeError):
        read_body(data)
    assert read_complaint(data).message == ""
    stream = ChatStream(keeps_usage=False)
    assert stream.take(event_of(data)) in {True, False}


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_token_is_counted_twice(
    prompt: int | None,
    completion: int | None,
    cached: int | None,
    written: int | None,
    audio: int | None,
    thought: int | None,
) -> None:
    raw = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": None,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": audio},
    }
    counts = msgspec.convert(raw, Usage).counts()
    assert counts.request == (prompt or 0)
    assert counts.response == (completion or 0)
    columns = [counts.fresh, counts.cache_read, counts.cache_write, counts.audio_in, counts.output, counts.reasoning]
    assert min(*columns, counts.audio_out) >= 0


def test_dialects_of_usage() -> None:
    deepseek = Usage(prompt_tokens=10, completion_tokens=2, prompt_cache_hit_tokens=4).counts()
    assert (deepseek.fresh, deepseek.cache_read) == (6, 4)
    xai = msgspec.convert(
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 17,
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        Usage,
    ).counts()
    assert (xai.output, xai.reasoning, xai.total) == (2, 5, 17)


@pytest.mark.parametrize("raw", [b"", b"null", b"{}", b'"x"', b'{"prompt_tokens":"many"}', b'{"other":1}'])
def test_usage_that_says_nothing_is_none(raw: bytes) -> None:
    assert read_usage(Raw(raw)) is None


def test_zero_usage_is_usage() -> None:
    counts = read_usage(Raw(b'{"prompt_tokens":0,"completion_tokens":0}'))
    assert counts is not None
    assert counts.total == 0


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (None, False),
        ("null", False),
        ("{}", False),
        ('{"include_usage":false}', False),
        ('{"include_usage":true}', True),
        ('"x"', False),
    ],
)
def test_who_asked_for_usage(options: str | None, wanted: bool) -> None:  # noqa: FBT001 - a column of the table
    body = {} if options is None else {"stream_options": Raw(options.encode())}
    assert wants_usage(body) is wanted
    asked = bytes(memoryview(with_usage(body)))
    assert asked == b'"x"' if options == '"x"' else json.loads(asked)["include_usage"] is True


@pytest.mark.parametrize(
    ("delta", "carries"),
    [
        ({"role": "assistant"}, False),
        ({"role": "assistant", "content": ""}, False),
        ({"role": "assistant", "content": None, "tool_calls": []}, False),
        ({"content": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"reasoning": "a"}, True),
        ({"refusal": "a"}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        ({"function_call": {"name": "f"}}, True),
    ],
)
def test_what_counts_as_content(delta: dict[str, Any], carries: bool) -> None:  # noqa: FBT001 - a column of the table
    stream = ChatStream(keeps_usage=False)
    assert stream.take(event_of(json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()))
    assert stream.has_content is carries


def test_a_shape_we_do_not_know_goes_on_as_content() -> None:
    stream = ChatStream(keeps_usage=False)
    assert stream.take(b'data: {"choices": {"odd": 1}}\n\n')
    assert stream.has_content
    assert read_chunk(b"[]") is None
    assert read_answer(b'{"choices": 5}') is None


def test_garbage_is_dropped_and_comments_pass() -> None:
    stream = ChatStream(keeps_usage=False)
    assert not stream.take(b"data: {oops\n\n")
    assert stream.garbage == 1
    assert stream.take(b": processing\n\n")
    assert not stream.has_content
    assert not stream.ended_well


def test_text_is_estimated_by_what_it_holds() -> None:
    latin = estimate_request(Raw(json.dumps([{"role": "user", "content": "word " * 100}]).encode()))
    chinese = estimate_request(Raw(json.dumps([{"role": "user", "content": "中文" * 100}]).encode()))
    parts = estimate_request(
        Raw(json.dumps([{"role": "user", "content": [{"type": "text", "text": "word " * 100}]}]).encode())
    )
    image = estimate_request(
        Raw(json.dumps([{"role": "user", "content": [{"image_url": {"url": "data:" + "x" * 9999}}]}]).encode())
    )
    assert latin == parts
    assert 100 <= latin <= 200
    assert 100 <= chinese <= 250
    assert image < 20
    assert estimate_request(Raw(b'"some input"')) == 3
    assert estimate_request(Raw(b"{broken")) == 0


@pytest.mark.parametrize(
    ("body", "message", "status"),
    [
        (b'{"error":{"message":"m","code":429}}', "m", 429),
        (b'{"error":{"message":"m","type":"invalid_request_error"}}', "m", 400),
        (b'{"error":"m"}', "m", None),
        (b'{"object":"error","message":"m","code":400}', "m", 400),
        (b'{"detail":"m"}', "m", None),
        (b'{"detail":[{"loc":["x"]}]}', '[{"loc":["x"]}]', None),
        (b'{"error":{"message":"m","code":"rate_limit_exceeded"}}', "m", 429),
        (b"<html>", "", None),
        (b"[]", "", None),
        (b'"m"', "m", None),
    ],
)
def test_complaints_in_every_dialect(body: bytes, message: str, status: int | None) -> None:
    complaint = read_complaint(body)
    assert (complaint.message, complaint.status) == (message, status)


@given(JSON)
def test_no_error_body_breaks_the_reader(body: Any) -> None:
    assert isinstance(read_complaint(json.dumps(body).encode()).message, str)


def test_secrets_are_taken_out_of_messages() -> None:
    said = redact("Incorrect key sk-abcdef123456 at https://user:pass@host/v1, Bearer abcdef.ghijk " + "x" * 900)
    assert "abcdef" not in said
    assert "pass@" not in said
    assert len(said) <= 500


def test_the_envelope_has_what_the_sdk_reads() -> None:
    error = json.loads(envelope(429, "slow", code="rate_limit_exceeded"))["error"]
    assert error == {"message": "slow", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
