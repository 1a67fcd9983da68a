"""How many tokens a request has (``/responses/input_tokens``), without an answer to it."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_fault import WireError, bad_answer
from tidemill.wire.canonical_json import encode, read_answer
from tidemill.wire.codec import Target
from tidemill.wire.openai_responses.errors import read_fault
from tidemill.wire.openai_responses.request_out import encode_request

COUNT_PATH = "/responses/input_tokens"

# The question has the fields of a request that make its prompt, and no others.
_COUNTED = (
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "previous_response_id",
    "conversation",
    "truncation",
)

_bodies = msgspec.json.Decoder(dict[str, Raw])


class _CountIn(Struct, frozen=True):
    input_tokens: int | None = None
    error: Any = None


class _CountOut(Struct, frozen=True):
    input_tokens: int
    object: str = "response.input_tokens"


_counts = msgspec.json.Decoder(_CountIn)


def encode_count_request(request: Request, target: Target) -> bytes:
    """Write the question of how many tokens ``request`` has for an upstream; raises WireError as a request does."""
    written = _bodies.decode(encode_request(request, target).body)
    return encode({name: written[name] for name in _COUNTED if name in written})


def decode_count(body: bytes) -> int:
    """Return an upstream's answer in tokens; raises WireError."""
    came = read_answer(_counts.decode, body)
    if came.error:
        raise WireError(read_fault(body))
    if came.input_tokens is None:
        raise bad_answer("the upstream's answer has no count")
    return came.input_tokens


def encode_count(tokens: int) -> bytes:
    """Write the answer for a client."""
    return encode(_CountOut(tokens))
