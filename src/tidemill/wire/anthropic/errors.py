"""Errors in Anthropic's envelope: which status and type each kind of failure has, and what an upstream's mean."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import UNSET, Struct

from tidemill.wire.canonical_fault import Fault, Kind, kind_of_status, retry_after_s
from tidemill.wire.openai.errors import fault_of
from tidemill.wire.openai_errors import read_complaint

_OVERLOADED = 529
_WORDS: Mapping[Kind, tuple[int, str]] = MappingProxyType(
    {
        Kind.BAD_REQUEST: (400, "invalid_request_error"),
        Kind.CONTEXT_LENGTH: (400, "invalid_request_error"),
        Kind.KEY: (401, "authentication_error"),
        Kind.NO_MONEY: (402, "billing_error"),
        Kind.FORBIDDEN: (403, "permission_error"),
        Kind.NOT_FOUND: (404, "not_found_error"),
        Kind.TOO_LARGE: (413, "request_too_large"),
        Kind.RATE: (429, "rate_limit_error"),
        Kind.UPSTREAM: (500, "api_error"),
        Kind.OVERLOADED: (_OVERLOADED, "overloaded_error"),
        Kind.TIMEOUT: (504, "timeout_error"),
    }
)
_KIND_OF_TYPE: Mapping[str, Kind] = MappingProxyType(
    {word: kind for kind, (_, word) in _WORDS.items()}
    | {
        "invalid_request_error": Kind.BAD_REQUEST,
        "api_error": Kind.UPSTREAM,
    }
)
# The client reads this to tell that it must shorten the talk.
_TOO_LONG = "prompt is too long"
_NO_CREDIT = "credit balance is too low"


class _ErrorIn(Struct, frozen=True):
    type: str | None = None
    message: str | None = None


class _EnvelopeIn(Struct, frozen=True):
    error: _ErrorIn | None = None
    request_id: str | None = None


class _ErrorOut(Struct, frozen=True):
    type: str
    message: str


class _EnvelopeOut(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    error: _ErrorOut
    request_id: str = ""


_envelopes = msgspec.json.Decoder(_EnvelopeIn)


def read_fault(body: bytes, status: int | None = None) -> Fault:
    """Return what an error object means, in a body or in a stream (``status`` None); never fails."""
    try:
        came = _envelopes.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        came = _EnvelopeIn()
    fault = fault_of(read_complaint(body), status)
    word = None if came.error is None else came.error.type
    kind = _KIND_OF_TYPE.get(word or "", fault.kind)
    if fault.kind is Kind.CONTEXT_LENGTH:
        kind = Kind.CONTEXT_LENGTH
    if _NO_CREDIT in fault.message.lower():
        kind = Kind.NO_MONEY
    return msgspec.structs.replace(
        fault, kind=kind, status=UNSET if status is None else status, request_id=came.request_id or UNSET
    )


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an error answer; never fails."""
    fault = read_fault(body, status)
    request_id = headers.get("request-id")
    return msgspec.structs.replace(
        fault,
        retry_after_s=retry_after_s(headers),
        request_id=fault.request_id if request_id is None else request_id,
    )


def encode_error(fault: Fault, *, request_id: str = "") -> tuple[int, bytes]:
    """Return the status and body for a client."""
    status = _WORDS[fault.kind][0]
    told = fault.status
    if told is not UNSET and kind_of_status(told) == fault.kind not in {Kind.OVERLOADED, Kind.NO_MONEY}:
        status = told
    return status, _body(fault, request_id)


def _body(fault: Fault, request_id: str) -> bytes:
    message = fault.message
    if fault.kind is Kind.CONTEXT_LENGTH and _TOO_LONG not in message.lower():
        message = f"{_TOO_LONG}: {message}"
    return msgspec.json.encode(_EnvelopeOut(_ErrorOut(_WORDS[fault.kind][1], message), request_id))


def error_frame(fault: Fault) -> bytes:
    """Return the event that ends a broken stream."""
    return b"event: error\ndata: " + _body(fault, "") + b"\n\n"
