"""Whatever bytes come for the Responses or Gemini, a codec answers with its own error, never with another's."""

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import canon
from tests.wire.canon import REPLY, TARGET
from tests.wire.test_four_dialects import CODECS, OURS
from tests.wire.test_garbage import ODD, outcome
from tidemill.wire.canonical_events import Failed, Finished
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.codec import Codec
from tidemill.wire.gemini.counts import decode_count, decode_count_request
from tidemill.wire.gemini.embeddings import GeminiEmbeddings
from tidemill.wire.gemini.models import decode_list
from tidemill.wire.openai_embeddings import OpenAIEmbeddings

each_of_ours = pytest.mark.parametrize("codec", OURS, ids=lambda codec: str(codec.dialect))

WORDS = """
    type text content role model input output item items call_id name arguments id message function_call reasoning
    summary encrypted_content custom_tool_call function_call_output response output_index content_index delta part
    response.created response.output_item.added response.output_item.done response.content_part.added
    response.output_text.delta response.output_text.done response.completed response.incomplete response.failed
    response.function_call_arguments.delta response.reasoning_text.delta response.reasoning_summary_text.delta
    response.output_text.annotation.added response.refusal.delta annotation status completed incomplete failed error
    code usage tools tool_choice format input_image image_url input_file file_data refusal output_text input_text
    candidates parts functionCall functionResponse args inlineData mimeType data fileData fileUri thought
    thoughtSignature finishReason STOP usageMetadata promptTokenCount candidatesTokenCount contents systemInstruction
    generationConfig responseSchema functionDeclarations parameters properties items anyOf toolConfig
    functionCallingConfig promptFeedback blockReason groundingMetadata citationMetadata partialArgs jsonPath
    willContinue stringValue logprobsResult index user assistant requests embeddings values embedding totalTokens
"""
KEYS = st.sampled_from(WORDS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
SHAPES = st.recursive(
    LEAVES | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)
BYTES = st.binary(max_size=200) | SHAPES.map(lambda value: json.dumps(value).encode()) | st.sampled_from(ODD)


def check_request(codec: Codec, body: bytes) -> None:
    request = outcome(codec.decode_request, body)
    if isinstance(request, Fault):
        assert request.message
        return
    for other in CODECS:
        written = outcome(other.encode_request, request, TARGET)
        assert written.message if isinstance(written, Fault) else json.loads(written.body)


@each_of_ours
@given(body=BYTES)
def test_no_request_breaks_the_reader(codec: Codec, body: bytes) -> None:
    check_request(codec, body)


ITEMS = st.sampled_from(
    ["message", "function_call", "function_call_output", "reasoning", "custom_tool_call", "item_reference", "x"]
)


def typed(kind: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {**rest, "type": kind}


@given(items=st.lists(st.builds(typed, ITEMS, st.dictionaries(KEYS, SHAPES, max_size=5)), min_size=1, max_size=3))
def test_no_item_breaks_the_reader(items: list[Any]) -> None:
    check_request(OURS[0], json.dumps({"model": "m", "input": items}).encode())


@given(data=st.data())
def test_no_part_breaks_the_reader(data: st.DataObject) -> None:
    parts = st.lists(st.dictionaries(KEYS, SHAPES, max_size=4), max_size=3)
    contents = [{"role": "model", "parts": data.draw(parts)}, {"parts": data.draw(parts)}]
    config = data.draw(st.dictionaries(KEYS, SHAPES, max_size=3))
    tools = data.draw(st.lists(st.dictionaries(KEYS, SHAPES, max_size=3), max_size=2))
    body = {"contents": contents, "generationConfig": config, "tools": tools}
    check_request(OURS[1], json.dumps(body).encode())


SCHEMA_WORDS = "type properties items anyOf oneOf allOf $ref #/a # enum const required format prefixItems a nullable"
TYPES = "string number integer boolean array object null default date-time exclusiveMinimum minimum"
SCHEMA_KEYS = st.sampled_from([*SCHEMA_WORDS.split(), *TYPES.split()])
SCHEMAS = st.recursive(
    LEAVES | SCHEMA_KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCHEMA_KEYS, inner, max_size=4),
    max_leaves=25,
)


@given(schema=SCHEMAS)
def test_no_schema_breaks_the_writer(schema: Any) -> None:
    tool = {"type": "function", "name": "f", "parameters": schema}
    check_request(OURS[0], json.dumps({"model": "m", "input": "x", "tools": [tool]}).encode())


@each_of_ours
@given(body=BYTES, status=st.sampled_from([400, 401, 404, 413, 418, 429, 500, 529]))
def test_no_answer_or_error_breaks_the_reader(codec: Codec, body: bytes, status: int) -> None:
    answer = outcome(codec.decode_answer, body)
    if isinstance(answer, Fault):
        assert answer.message
    else:
        for other in CODECS:
            written = outcome(other.encode_answer, answer, REPLY)
            assert written.message if isinstance(written, Fault) else json.loads(written)
    fault = codec.decode_error(status, {}, body)
    for other in CODECS:
        answered, text = other.encode_error(fault)
        assert 400 <= answered < 600
        assert json.loads(text)["error"]["message"]


@each_of_ours
@given(values=st.lists(SHAPES | st.binary(max_size=30), max_size=8), data=st.data(), listed=st.booleans())
def test_no_stream_breaks_the_reader_nor_a_client(
    codec: Codec,
    values: list[Any],
    data: st.DataObject,
    listed: bool,  # noqa: FBT001 - drawn
) -> None:
    frames = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    whole = b"[" + b",".join(frames) if listed else b"".join(b"data: " + frame + b"\n\n" for frame in frames)
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


@given(body=BYTES)
def test_no_small_exchange_breaks_its_reader(body: bytes) -> None:
    for codec in (OpenAIEmbeddings(), GeminiEmbeddings()):
        asked = outcome(codec.decode_request, body)
        if not isinstance(asked, Fault):
            outcome(OpenAIEmbeddings().encode_request, asked, "up")
            outcome(GeminiEmbeddings().encode_request, asked, "up")
        outcome(codec.decode_answer, body)
    outcome(decode_list, body)
    outcome(decode_count, body)
    outcome(partial(decode_count_request, model="m"), body)


WRONG: list[tuple[Codec, Any, str]] = [
    (OURS[0], {"model": "m"}, "input"),
    (OURS[0], {"model": "m", "input": 5}, "input"),
    (OURS[0], {"model": "m", "input": [{"role": "boss", "content": "x"}]}, "input[0].role"),
    (OURS[0], {"model": "m", "input": [{"role": "user", "content": 5}]}, "input[0]"),
    (OURS[0], {"model": "m", "input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0]"),
    (OURS[0], {"model": "m", "input": [{"type": "function_call", "name": "f"}]}, "input[0]"),
    (OURS[0], {"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
    (OURS[0], {"model": "m", "input": "x", "tool_choice": "maybe"}, "tool_choice"),
    (OURS[0], {"model": "m", "input": "x", "text": {"format": {"type": "odd"}}}, "text.format"),
    (OURS[1], {"contents": []}, "contents"),
    (OURS[1], {"contents": [{"role": "boss", "parts": [{"text": "x"}]}]}, "contents[0].role"),
    (OURS[1], {"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0]"),
    (OURS[1], {"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
    (OURS[1], {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"topP": "x"}}, "generationConfig"),
]


@pytest.mark.parametrize(("codec", "body", "param"), WRONG)
def test_a_client_learns_which_field_is_wrong(codec: Codec, body: Any, param: str) -> None:
    fault = outcome(codec.decode_request, json.dumps(body).encode())
    assert isinstance(fault, Fault)
    assert fault.param == param
    assert fault.message
