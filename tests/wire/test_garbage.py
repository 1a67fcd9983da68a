"""Whatever bytes come, a codec answers with its own error, and a stream with an event that says so."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import canon
from tests.wire.canon import CODECS, REPLY, TARGET, each_codec
from tidemill.wire.canonical_events import Failed, Finished
from tidemill.wire.canonical_fault import Fault, WireError
from tidemill.wire.codec import Codec

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = """
    type text content role messages model choices delta tool_calls function index id name arguments usage error message
    tools tool_choice input source thinking signature content_block stop_reason finish_reason system data image_url
    reasoning_details tool_use_id citations user assistant tool tool_use tool_result content_block_start document url
    content_block_delta message_start message_delta text_delta input_json_delta image
"""
KEYS = st.sampled_from(WORDS.split())
SHAPES = st.recursive(
    LEAVES | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
ODD = [b"", b"[" * 100_000, b'{"a":' * 20_000, b'"\\ud800"', b"\xff\xfe", b"null", b"{}", b"[]", b'{"messages":\xff}']
BYTES = st.binary(max_size=200) | SHAPES.map(lambda value: json.dumps(value).encode()) | st.sampled_from(ODD)


def outcome(what: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a codec gives, or the error of its own that it raises; anything else escapes."""
    try:
        return what(*arguments)
    except WireError as error:
        return error.fault


def check_request(codec: Codec, body: bytes) -> None:
    request = outcome(codec.decode_request, body)
    if isinstance(request, Fault):
        assert request.message
        return
    for other in CODECS:
        written = outcome(other.encode_request, request, TARGET)
        assert written.message if isinstance(written, Fault) else json.loads(written.body)


@each_codec
@given(body=BYTES)
def test_no_request_breaks_the_reader(codec: Codec, body: bytes) -> None:
    check_request(codec, body)


ROLES = st.sampled_from(["user", "assistant", "tool", "system", "developer"])
BLOCKS = st.sampled_from(
    ["text", "image", "image_url", "tool_use", "tool_result", "thinking", "document", "file", "input_audio", "x"]
)


def block(kind: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {**rest, "type": kind}


def a_message(role: str, content: Any, rest: dict[str, Any]) -> dict[str, Any]:
    return {**rest, "role": role, "content": content}


@each_codec
@given(data=st.data())
def test_no_message_breaks_the_reader(codec: Codec, data: st.DataObject) -> None:
    blocks = st.builds(block, BLOCKS, st.dictionaries(KEYS, SHAPES, max_size=4))
    contents = st.text(max_size=5) | st.lists(blocks, max_size=3)
    message = st.builds(a_message, ROLES, contents, st.dictionaries(KEYS, SHAPES, max_size=3))
    body: dict[str, Any] = {"model": "m", "messages": data.draw(st.lists(message, min_size=1, max_size=3))}
    check_request(codec, json.dumps(body).encode())


@each_codec
@given(body=BYTES, status=st.sampled_from([400, 401, 404, 413, 418, 429, 500, 529]))
def test_no_answer_or_error_breaks_the_reader(codec: Codec, body: bytes, status: int) -> None:
    answer = outcome(codec.decode_answer, body)
    if isinstance(answer, Fault):
        assert answer.message
    else:
        json.loads(codec.encode_answer(answer, REPLY))
    fault = codec.decode_error(status, {}, body)
    for other in CODECS:
        written, text = other.encode_error(fault)
        assert 400 <= written < 600
        assert json.loads(text)["error"]["message"]


@each_codec
@given(values=st.lists(SHAPES | st.binary(max_size=30), max_size=8), data=st.data())
def test_no_stream_breaks_the_reader_nor_a_client(codec: Codec, values: list[Any], data: st.DataObject) -> None:
    frames = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    whole = b"".join(b"data: " + frame + b"\n\n" for frame in frames)
    decoder = codec.stream_decoder()
    encoders = [other.stream_encoder(REPLY) for other in CODECS]
    events = [event for piece in canon.cut(data, whole) for event in decoder.feed(piece)]
    events += decoder.close()
    assert sum(isinstance(event, Failed | Finished) for event in events) == 1
    assert isinstance(events[-1], Failed | Finished)
    for encoder in encoders:
        encoder.encode(events)
    assert decoder.feed(b"data: {}\n\n") == []
    assert decoder.close() == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m", "messages": [{"role": 7}]}, "messages[0].role"),
        ({"messages": []}, None),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": "hi"}, "messages"),
        ({"model": "m", "messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
    ],
)
@each_codec
def test_a_client_learns_which_field_is_wrong(codec: Codec, body: Any, param: str | None) -> None:
    with pytest.raises(WireError) as caught:
        codec.decode_request(json.dumps(body).encode())
    assert (caught.value.fault.param or None) == param
