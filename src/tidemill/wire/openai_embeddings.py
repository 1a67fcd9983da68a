"""Embeddings as OpenAI writes them."""

import base64
import binascii
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from tidemill.wire.canonical_embeddings import EmbeddingAnswer, EmbeddingRequest, Tokens
from tidemill.wire.canonical_fault import WireError, bad_answer, bad_request
from tidemill.wire.canonical_json import encode, read_answer, read_request, told
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Encoded
from tidemill.wire.openai.errors import fault_of
from tidemill.wire.openai.usage import read_usage
from tidemill.wire.openai_errors import read_complaint

_FLOAT = 4  # bytes of a 32-bit float


class _RequestIn(Struct, frozen=True):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


class _VectorIn(Struct, frozen=True):
    embedding: list[float] | str
    index: int | None = None


class _AnswerIn(Struct, frozen=True):
    data: list[_VectorIn] | None = None
    model: str | None = None
    usage: Any = None
    error: Any = None


_requests = msgspec.json.Decoder(_RequestIn)
_bodies = msgspec.json.Decoder(dict[str, msgspec.Raw])
_answers = msgspec.json.Decoder(_AnswerIn)
_KNOWN = frozenset(field.name for field in msgspec.structs.fields(_RequestIn))


class OpenAIEmbeddings:
    """The codec; it has no state."""

    dialect = Dialect.OPENAI_CHAT

    def path(self, model: str) -> str:
        """Return the path below an upstream's root."""
        del model
        return "/embeddings"

    def decode_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest:
        """Read a client's request."""
        came = read_request(_requests.decode, body)
        if came.encoding_format not in {None, "float", "base64"}:
            raise bad_request("encoding_format: float or base64", "encoding_format")
        extras = {name: raw for name, raw in _bodies.decode(body).items() if name not in _KNOWN}
        return EmbeddingRequest(
            model=model or came.model,
            dialect=Dialect.OPENAI_CHAT,
            inputs=_inputs(came.input),
            dimensions=told(came.dimensions),
            user=told(came.user),
            base64=came.encoding_format == "base64",
            extras=extras,
        )

    def encode_request(self, request: EmbeddingRequest, model: str) -> Encoded:
        """Write a request for an upstream."""
        told_fields = (("dimensions", request.dimensions), ("user", request.user))
        fields: dict[str, Any] = {name: value for name, value in told_fields if value is not UNSET}
        fields |= {"model": model, "input": request.inputs}
        dropped = [name for name in ("task", "title") if getattr(request, name) is not UNSET]
        if request.dialect == Dialect.OPENAI_CHAT:
            fields = {**request.extras, **fields}
        else:
            dropped += request.extras
        return Encoded(encode(fields), tuple(dropped))

    def decode_answer(self, body: bytes) -> EmbeddingAnswer:
        """Read an upstream's answer."""
        came = read_answer(_answers.decode, body)
        if came.error:
            raise WireError(fault_of(read_complaint(body)))
        if came.data is None:
            raise bad_answer("the upstream's answer has no embeddings")
        places = [place if item.index is None else item.index for place, item in enumerate(came.data)]
        ordered = sorted(zip(places, came.data, strict=True), key=lambda pair: pair[0])
        return EmbeddingAnswer(
            model=came.model or "",
            vectors=tuple(_vector(item.embedding) for _, item in ordered),
            usage=read_usage(came.usage),
        )

    def encode_answer(self, answer: EmbeddingAnswer, request: EmbeddingRequest) -> bytes:
        """Write the answer to a client's ``request``."""
        data = [
            {"object": "embedding", "index": index, "embedding": packed(vector) if request.base64 else vector}
            for index, vector in enumerate(answer.vectors)
        ]
        used = 0 if answer.usage is UNSET else answer.usage.prompt or 0
        usage = {"prompt_tokens": used, "total_tokens": used}
        return encode({"object": "list", "data": data, "model": request.model, "usage": usage})


def _inputs(came: str | list[str | int | list[int]]) -> tuple[str | Tokens, ...]:
    if isinstance(came, str):
        return (came,)
    numbers = [item for item in came if isinstance(item, int)]
    if numbers and len(numbers) == len(came):
        return (tuple(numbers),)
    if numbers or not came:
        raise bad_request("input: a text, its tokens, or a list of one of both is needed", "input")
    return tuple(item if isinstance(item, str) else tuple(item) for item in came if not isinstance(item, int))


def _vector(came: list[float] | str) -> Sequence[float]:
    if isinstance(came, list):
        return came
    try:
        data = base64.b64decode(came, validate=True)
    except (binascii.Error, ValueError):
        data = b"?"
    if len(data) % _FLOAT:
        raise bad_answer("the upstream's answer has an embedding that cannot be read")
    return array("f", data).tolist()


def packed(vector: Sequence[float]) -> str:
    """Return a vector as base64 of 32-bit floats, as OpenAI's SDKs read them."""
    return base64.b64encode(array("f", vector).tobytes()).decode()
