"""Errors in OpenAI's envelope: which status and words each kind of failure has, and what an upstream's mean."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import UNSET, Struct

from tidemill.wire.canonical_fault import Fault, Kind, kind_of_status, retry_after_s
from tidemill.wire.openai_errors import ErrorBody, UpstreamComplaint, read_complaint
from tidemill.wire.sse import event_of


class _Words(Struct, frozen=True):
    status: int
    type: str
    code: str | None = None


_WORDS: Mapping[Kind, _Words] = MappingProxyType(
    {
        Kind.BAD_REQUEST: _Words(400, "invalid_request_error"),
        Kind.CONTEXT_LENGTH: _Words(400, "invalid_request_error", "context_length_exceeded"),
        Kind.KEY: _Words(401, "authentication_error", "invalid_api_key"),
        Kind.NO_MONEY: _Words(429, "insufficient_quota", "insufficient_quota"),
        Kind.FORBIDDEN: _Words(403, "permission_error"),
        Kind.NOT_FOUND: _Words(404, "invalid_request_error", "model_not_found"),
        Kind.TOO_LARGE: _Words(413, "invalid_request_error"),
        Kind.RATE: _Words(429, "rate_limit_error", "rate_limit_exceeded"),
        Kind.UPSTREAM: _Words(502, "server_error"),
        Kind.OVERLOADED: _Words(503, "server_error"),
        Kind.TIMEOUT: _Words(504, "server_error", "timeout"),
    }
)
# Codes and types of upstreams that say more than their status.
_KIND_OF_CODE: Mapping[str, Kind] = MappingProxyType(
    {
        "context_length_exceeded": Kind.CONTEXT_LENGTH,
        "insufficient_quota": Kind.NO_MONEY,
        "billing_hard_limit_reached": Kind.NO_MONEY,
        "credit_balance_exhausted": Kind.NO_MONEY,
        "model_not_found": Kind.NOT_FOUND,
        "invalid_api_key": Kind.KEY,
        "rate_limit_exceeded": Kind.RATE,
        "server_overloaded": Kind.OVERLOADED,
        "timeout": Kind.TIMEOUT,
    }
)
_TOO_LONG = ("maximum context length", "context_length", "exceeds the available context size", "prompt is too long")
# The dialects that share this envelope read it here.
read_error = read_complaint

_DEFAULT = "the upstream gave no reason"


def fault_of(complaint: UpstreamComplaint, status: int | None = None) -> Fault:
    """Return what an upstream's complaint means; ``status`` is the answer's, None inside a stream."""
    said = complaint.status if status is None else status
    kind = Kind.UPSTREAM if said is None else kind_of_status(said)
    kind = _KIND_OF_CODE.get(complaint.code or "", kind)
    message = complaint.message or (_DEFAULT if said is None else f"HTTP {said}")
    if kind in {Kind.BAD_REQUEST, Kind.UPSTREAM} and any(mark in message.lower() for mark in _TOO_LONG):
        kind = Kind.CONTEXT_LENGTH
    return Fault(
        kind=kind,
        message=message,
        status=UNSET if said is None else said,
        code=UNSET if complaint.code is None else complaint.code,
        param=UNSET if complaint.param is None else complaint.param,
    )


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an error answer in any of the usual dialects; never fails."""
    fault = fault_of(read_complaint(body), status)
    request_id = headers.get("x-request-id")
    return msgspec.structs.replace(
        fault, retry_after_s=retry_after_s(headers), request_id=UNSET if request_id is None else request_id
    )


class _Envelope(Struct, frozen=True):
    error: ErrorBody


def encode_error(fault: Fault, *, request_id: str = "") -> tuple[int, bytes]:
    """Return the status and body for a client. The id of the request travels in a header here."""
    del request_id
    words = _WORDS[fault.kind]
    status = words.status
    if fault.status is not UNSET and kind_of_status(fault.status) == fault.kind != Kind.NO_MONEY:
        status = fault.status
    return status, _body(fault)


def _body(fault: Fault) -> bytes:
    words = _WORDS[fault.kind]
    code = words.code if words.code is not None or fault.code is UNSET else fault.code
    param = None if fault.param is UNSET else fault.param
    return msgspec.json.encode(_Envelope(ErrorBody(fault.message, words.type, param, code)))


def error_frame(fault: Fault) -> bytes:
    """Return the event that ends a broken stream; no ``[DONE]`` follows it."""
    return event_of(_body(fault))
