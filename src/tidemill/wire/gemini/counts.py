"""How many tokens a request has (``countTokens``), without an answer to it."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_fault import WireError, bad_answer
from tidemill.wire.canonical_json import encode, raw_of, read_answer, read_request
from tidemill.wire.codec import Target
from tidemill.wire.gemini.codec import model_path
from tidemill.wire.gemini.errors import read_fault
from tidemill.wire.gemini.names import camel_body
from tidemill.wire.gemini.request_in import decode_request
from tidemill.wire.gemini.request_out import encode_request

_WHOLE = "generateContentRequest"

_bodies = msgspec.json.Decoder(dict[str, Raw])


class _CountIn(Struct, frozen=True, rename="camel"):
    total_tokens: int | None = None
    error: Any = None


class _CountOut(Struct, frozen=True, rename="camel"):
    total_tokens: int
    cached_content_token_count: int | UnsetType = UNSET


_counts = msgspec.json.Decoder(_CountIn, strict=False)


def count_path(model: str) -> str:
    """Return the path below an upstream's root."""
    return f"{model_path(model)}:countTokens"


def decode_count_request(body: bytes, *, model: str) -> Request:
    """Return the request that shall be counted: contents alone, or a whole request within; raises WireError."""
    fields = read_request(_bodies.decode, camel_body(body))
    return decode_request(encode(fields.get(_WHOLE, fields)), model=model)


def encode_count_request(request: Request, target: Target) -> bytes:
    """Write the question of how many tokens ``request`` has for an upstream; raises WireError as a request does."""
    written = _bodies.decode(encode_request(request, target).body)
    named = {"model": raw_of(model_path(target.model).removeprefix("/"))}
    return encode({_WHOLE: {**named, **written}})


def decode_count(body: bytes) -> int:
    """Return an upstream's answer in tokens; raises WireError."""
    came = read_answer(_counts.decode, body)
    if came.error:
        raise WireError(read_fault(body))
    if came.total_tokens is None:
        raise bad_answer("the upstream's answer has no count")
    return came.total_tokens


def encode_count(tokens: int, cached: int | UnsetType = UNSET) -> bytes:
    """Write the answer for a client."""
    return encode(_CountOut(tokens, cached))
