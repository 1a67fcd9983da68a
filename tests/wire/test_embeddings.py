"""Embeddings between OpenAI's shape and Gemini's."""

import json
from typing import Any

import pytest
from google.genai import types as google
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from openai.types import CreateEmbeddingResponse

from tests.wire.sdks import unhurried
from tidemill.wire.canonical_embeddings import EmbeddingAnswer, EmbeddingRequest
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.gemini.embeddings import GeminiEmbeddings
from tidemill.wire.openai_embeddings import OpenAIEmbeddings

OPENAI, GEMINI = OpenAIEmbeddings(), GeminiEmbeddings()
FLOATS = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=5)


def asked(**fields: Any) -> EmbeddingRequest:
    return OPENAI.decode_request(json.dumps({"model": "m", "input": "x", **fields}).encode())


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [("x", ("x",)), (["x", "y"], ("x", "y")), ([1, 2], ((1, 2),)), ([[1], [2, 3]], ((1,), (2, 3)))],
)
def test_inputs(given_input: Any, inputs: Any) -> None:
    request = asked(input=given_input)
    assert request.inputs == inputs
    assert OPENAI.decode_request(OPENAI.encode_request(request, "up").body).inputs == inputs


@pytest.mark.parametrize("wrong", [{"input": []}, {"input": ["x", 1]}, {"input": None}, {"encoding_format": "hex"}])
def test_wrong_requests_are_refused(wrong: Any) -> None:
    with pytest.raises(WireError):
        asked(**wrong)


def test_a_batch_for_gemini_and_back() -> None:
    request = asked(input=["x", "y"], dimensions=3, user="u")
    encoded = GEMINI.encode_request(request, "up")
    assert encoded.dropped == ("user",)
    batch = json.loads(encoded.body)["requests"]
    assert [one["model"] for one in batch] == ["models/up"] * 2
    back = GEMINI.decode_request(encoded.body, model="m")
    assert (back.inputs, back.dimensions, back.single) == (("x", "y"), 3, False)
    assert GEMINI.path("up") == "/models/up:batchEmbedContents"


def test_one_content_of_a_gemini_client() -> None:
    body = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "task_type": "RETRIEVAL_QUERY", "title": "t"}
    request = GEMINI.decode_request(json.dumps(body).encode(), model="m")
    assert (request.inputs, request.task, request.single) == (("a\nb",), "RETRIEVAL_QUERY", True)
    assert OPENAI.encode_request(request, "up").dropped == ("task", "title")
    answer = EmbeddingAnswer(model="m", vectors=([0.5, 1.0],))
    assert json.loads(GEMINI.encode_answer(answer, request)) == {"embedding": {"values": [0.5, 1.0]}}


def test_tokens_are_for_openai_alone() -> None:
    with pytest.raises(WireError, match="texts"):
        GEMINI.encode_request(asked(input=[1, 2]), "up")


def test_a_batch_of_different_settings_is_refused() -> None:
    one = {"content": {"parts": [{"text": "a"}]}}
    body = {"requests": [one, {**one, "taskType": "RETRIEVAL_QUERY"}]}
    with pytest.raises(WireError, match=r"requests\[1\]"):
        GEMINI.decode_request(json.dumps(body).encode())


@unhurried
@given(vectors=st.lists(FLOATS, min_size=1, max_size=3), packed=st.booleans())
def test_vectors_survive_every_shape(vectors: list[list[float]], packed: bool) -> None:  # noqa: FBT001 - drawn
    request = asked(input=["x"] * len(vectors), encoding_format="base64" if packed else "float")
    answer = EmbeddingAnswer(model="up", vectors=tuple(vectors), usage=Usage(fresh=4))
    body = OPENAI.encode_answer(answer, request)
    shown = CreateEmbeddingResponse.model_validate_json(body) if not packed else None
    assert shown is None or [item.embedding for item in shown.data] == vectors
    back = OPENAI.decode_answer(body)
    assert [list(vector) for vector in back.vectors] == vectors
    assert back.usage == Usage(fresh=4, text_out=UNSET)
    google_body = json.loads(GEMINI.encode_answer(back, request))
    assert google.EmbedContentResponse.model_validate({"embeddings": google_body["embeddings"]}).embeddings
    assert [list(vector) for vector in GEMINI.decode_answer(json.dumps(google_body).encode()).vectors] == vectors


def test_vectors_come_in_the_order_of_their_inputs() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    assert OPENAI.decode_answer(json.dumps({"data": data}).encode()).vectors == ([1.0], [2.0])


@pytest.mark.parametrize(
    "body", [b"{}", b'{"error":{"message":"no"}}', b'{"data":[{"embedding":"AAA"}]}', b'{"embeddings":[]}']
)
def test_answers_without_vectors_are_failures(body: bytes) -> None:
    for codec in (OPENAI, GEMINI):
        with pytest.raises(WireError):
            codec.decode_answer(body)
    assert (OPENAI.dialect, GEMINI.dialect) == (Dialect.OPENAI_CHAT, Dialect.GEMINI)
