"""Errors in Google's envelope: which status and word each kind of failure has, and what an upstream's mean."""

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.canonical_fault import Fault, Kind, kind_of_status, retry_after_s
from tidemill.wire.canonical_json import MALFORMED, fields_of
from tidemill.wire.openai.errors import fault_of
from tidemill.wire.openai_errors import read_complaint
from tidemill.wire.sse import event_of

_TYPES = "type.googleapis.com/google.rpc."
_WORDS: Mapping[Kind, tuple[int, str]] = MappingProxyType(
    {
        Kind.BAD_REQUEST: (400, "INVALID_ARGUMENT"),
        Kind.CONTEXT_LENGTH: (400, "INVALID_ARGUMENT"),
        Kind.KEY: (401, "UNAUTHENTICATED"),
        Kind.NO_MONEY: (402, "RESOURCE_EXHAUSTED"),
        Kind.FORBIDDEN: (403, "PERMISSION_DENIED"),
        Kind.NOT_FOUND: (404, "NOT_FOUND"),
        Kind.TOO_LARGE: (413, "INVALID_ARGUMENT"),
        Kind.RATE: (429, "RESOURCE_EXHAUSTED"),
        Kind.UPSTREAM: (500, "INTERNAL"),
        Kind.OVERLOADED: (503, "UNAVAILABLE"),
        Kind.TIMEOUT: (504, "DEADLINE_EXCEEDED"),
    }
)
_KIND_OF_WORD: Mapping[str, Kind] = MappingProxyType(
    {
        "INVALID_ARGUMENT": Kind.BAD_REQUEST,
        "FAILED_PRECONDITION": Kind.BAD_REQUEST,
        "OUT_OF_RANGE": Kind.BAD_REQUEST,
        "UNAUTHENTICATED": Kind.KEY,
        "PERMISSION_DENIED": Kind.FORBIDDEN,
        "NOT_FOUND": Kind.NOT_FOUND,
        "RESOURCE_EXHAUSTED": Kind.RATE,
        "INTERNAL": Kind.UPSTREAM,
        "UNKNOWN": Kind.UPSTREAM,
        "UNAVAILABLE": Kind.OVERLOADED,
        "DEADLINE_EXCEEDED": Kind.TIMEOUT,
    }
)
_BAD_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED"})
_TOO_LONG = "exceeds the maximum number of tokens"
_NO_CREDIT = ("credits are depleted", "billing to be enabled", "billing account", "insufficient funds")
_KEY = re.compile(r"AIza[\w-]{10,}")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


class _ErrorOut(Struct, frozen=True, omit_defaults=True):
    code: int
    message: str
    status: str
    details: Sequence[Mapping[str, Any]] = ()


class _EnvelopeOut(Struct, frozen=True):
    error: _ErrorOut


def read_fault(body: bytes, status: int | None = None) -> Fault:
    """Return what an error object means, in a body or in a stream (``status`` None); never fails.

    A stream that is no event stream tells its error in a list of one.
    """
    text = body.strip()
    if text.startswith(b"[") and text.endswith(b"]"):
        text = text[1:-1]
    fault = fault_of(read_complaint(text), status)
    try:
        error = fields_of(fields_of(msgspec.json.decode(text)).get("error"))
    except MALFORMED:
        error = {}
    message = _KEY.sub("***", fault.message)
    kind = _kind(error, fault.kind, message)
    return msgspec.structs.replace(
        fault,
        kind=kind,
        message=message,
        status=fault.status if status is None else status,
        code=next(iter(sorted(_reasons(error))), UNSET),  # the status said in words is the kind already
        retry_after_s=_retry_delay_s(error),
    )


def _kind(error: dict[str, Any], kind: Kind, message: str) -> Kind:
    said = message.lower()
    if _reasons(error) & _BAD_KEY:
        return Kind.KEY
    if _TOO_LONG in said:
        return Kind.CONTEXT_LENGTH
    if any(mark in said for mark in _NO_CREDIT):
        return Kind.NO_MONEY
    if kind in {Kind.CONTEXT_LENGTH, Kind.NO_MONEY, Kind.TOO_LARGE}:
        return kind
    word = error.get("status")
    return _KIND_OF_WORD.get(word, kind) if isinstance(word, str) else kind


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [fields_of(detail) for detail in details] if isinstance(details, list) else []  # pyright: ignore[reportUnknownVariableType]


def _reasons(error: dict[str, Any]) -> set[str]:
    found = (detail.get("reason") for detail in _details(error))
    return {reason for reason in found if isinstance(reason, str)}


def _retry_delay_s(error: dict[str, Any]) -> float | UnsetType:
    for detail in _details(error):
        delay = detail.get("retryDelay")
        found = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
        if found is not None:
            return float(found.group(1))
    return UNSET


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Read an error answer; never fails."""
    fault = read_fault(body, status)
    told = retry_after_s(headers)
    return fault if told is UNSET else msgspec.structs.replace(fault, retry_after_s=told)


def encode_error(fault: Fault, *, request_id: str = "") -> tuple[int, bytes]:
    """Return the status and the body for a client; the body says the status again."""
    status = _WORDS[fault.kind][0]
    told = fault.status
    if told is not UNSET and kind_of_status(told) == fault.kind != Kind.NO_MONEY:
        status = told
    return status, error_body(fault, status, request_id)


def error_body(fault: Fault, status: int | None = None, request_id: str = "") -> bytes:
    """Return the error as JSON, for a body or a stream."""
    code, word = _WORDS[fault.kind]
    details: list[Mapping[str, Any]] = []
    if fault.kind is Kind.KEY:
        details.append({"@type": f"{_TYPES}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"})
    if fault.param is not UNSET:
        violation = {"field": fault.param, "description": fault.message}
        details.append({"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]})
    if fault.retry_after_s is not UNSET:
        details.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": f"{math.ceil(fault.retry_after_s)}s"})
    if request_id:
        details.append({"@type": f"{_TYPES}RequestInfo", "requestId": request_id})
    error = _ErrorOut(code if status is None else status, fault.message, word, details or ())
    return msgspec.json.encode(_EnvelopeOut(error))


def error_frame(fault: Fault) -> bytes:
    """Return the event that ends a broken stream."""
    return event_of(error_body(fault))
