"""Embeddings as Gemini writes them: one content, or a batch of such requests."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical_embeddings import EmbeddingAnswer, EmbeddingRequest
from tidemill.wire.canonical_fault import WireError, bad_answer, bad_request
from tidemill.wire.canonical_json import encode, read_answer, read_request, told
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Encoded
from tidemill.wire.gemini.codec import model_path
from tidemill.wire.gemini.errors import read_fault
from tidemill.wire.gemini.names import camel_body
from tidemill.wire.gemini.usage import read_usage, write_usage
from tidemill.wire.openai.shapes import ABSENT


class _TextIn(Struct, frozen=True):
    text: str | None = None


class _ContentIn(Struct, frozen=True):
    parts: list[_TextIn] | None = None


class _OneIn(Struct, frozen=True, rename="camel"):
    content: _ContentIn | None = None
    model: str | None = None
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _RequestIn(_OneIn, frozen=True, rename="camel"):
    requests: list[_OneIn] | None = None


class _VectorIn(Struct, frozen=True):
    values: list[float] | None = None


class _AnswerIn(Struct, frozen=True, rename="camel"):
    embedding: _VectorIn | None = None
    embeddings: list[_VectorIn] | None = None
    usage_metadata: Raw = ABSENT
    error: Any = None


_requests = msgspec.json.Decoder(_RequestIn, strict=False)
_bodies = msgspec.json.Decoder(dict[str, Raw])
_answers = msgspec.json.Decoder(_AnswerIn)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(_RequestIn))


class GeminiEmbeddings:
    """The codec; it has no state. An upstream is always asked for a batch, of one if need be."""

    dialect = Dialect.GEMINI

    def path(self, model: str) -> str:
        """Return the path below an upstream's root."""
        return f"{model_path(model)}:batchEmbedContents"

    def decode_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest:
        """Read a client's request, of one content or of a batch."""
        body = camel_body(body)
        came = read_request(_requests.decode, body)
        single = came.requests is None
        each: Sequence[_OneIn] = [came] if came.requests is None else came.requests
        if not each:
            raise bad_request("requests: at least one is needed", "requests")
        first = each[0]
        for index, one in enumerate(each):
            if (one.task_type, one.title, one.output_dimensionality) != _settings(first):
                raise bad_request(f"requests[{index}]: all of one batch need the same settings", f"requests[{index}]")
        named = model or came.model or first.model or ""
        return EmbeddingRequest(
            model=named.removeprefix("models/"),
            dialect=Dialect.GEMINI,
            inputs=tuple(
                _text(one, "content" if single else f"requests[{place}].content") for place, one in enumerate(each)
            ),
            dimensions=told(first.output_dimensionality),
            task=told(first.task_type),
            title=told(first.title),
            single=single,
            extras={name: raw for name, raw in _bodies.decode(body).items() if name not in _KNOWN},
        )

    def encode_request(self, request: EmbeddingRequest, model: str) -> Encoded:
        """Write a batch for an upstream."""
        named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        settings = {"taskType": request.task, "title": request.title, "outputDimensionality": request.dimensions}
        told_settings = {name: value for name, value in settings.items() if value is not UNSET}
        batch: list[dict[str, Any]] = []
        for text in request.inputs:
            if not isinstance(text, str):
                raise bad_request("input: this model takes texts, not tokens", "input")
            batch.append({"model": named, "content": {"parts": [{"text": text}]}, **told_settings})
        dropped = [] if request.user is UNSET else ["user"]
        return Encoded(encode({"requests": batch}), (*dropped, *request.extras))

    def decode_answer(self, body: bytes) -> EmbeddingAnswer:
        """Read an upstream's answer."""
        came = read_answer(_answers.decode, body)
        if came.error:
            raise WireError(read_fault(body))
        vectors = came.embeddings or ([] if came.embedding is None else [came.embedding])
        if not vectors:
            raise bad_answer("the upstream's answer has no embeddings")
        return EmbeddingAnswer(
            model="", vectors=tuple(vector.values or [] for vector in vectors), usage=read_usage(came.usage_metadata)
        )

    def encode_answer(self, answer: EmbeddingAnswer, request: EmbeddingRequest) -> bytes:
        """Write the answer to a client's ``request``."""
        written = [{"values": vector} for vector in answer.vectors]
        fields: dict[str, Any] = (
            {"embedding": written[0] if written else {}} if request.single else {"embeddings": written}
        )
        if answer.usage is not UNSET:
            fields["usageMetadata"] = write_usage(answer.usage)
        return encode(fields)


def _settings(one: _OneIn) -> tuple[str | None, str | None, int | None]:
    return one.task_type, one.title, one.output_dimensionality


def _text(one: _OneIn, where: str) -> str:
    texts = [part.text for part in (one.content.parts or () if one.content is not None else ()) if part.text]
    if not texts:
        raise bad_request(f"{where}: a text is needed", where)
    return "\n".join(texts)
