"""Errors in the envelope that OpenAI's SDKs understand, plain and inside a stream."""

import re
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from tidemill.wire.sse import event_of

_TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_SERVER_ERROR = "server_error"
_MAX_MESSAGE = 500
_CLIENT_FAULT = range(400, 500)

# What must never leave in a forwarded message: keys, bearer tokens, passwords in addresses.
_SECRETS = re.compile(r"(?i)(?:sk|pk|key|token)-[\w-]{6,}|bearer\s+[\w.~+/=-]{6,}|(?<=://)[^\s/@]+@")


class ErrorBody(Struct, frozen=True):
    """The inner object of the envelope."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class _Envelope(Struct, frozen=True):
    error: ErrorBody


def error_type(status: int) -> str:
    """Return OpenAI's ``type`` for a status."""
    return _TYPE_OF_STATUS.get(status, _SERVER_ERROR if status not in _CLIENT_FAULT else "invalid_request_error")


def envelope(status: int, message: str, *, code: str | None = None, param: str | None = None) -> bytes:
    """Return the JSON body for an error of ``status``."""
    return msgspec.json.encode(_Envelope(ErrorBody(message, error_type(status), param, code)))


def stream_event(status: int, message: str, *, code: str | None = None) -> bytes:
    """Return the event that ends a broken stream; no ``[DONE]`` follows it."""
    return event_of(envelope(status, message, code=code))


class UpstreamComplaint(Struct, frozen=True):
    """What an upstream said was wrong: the status it implies (None = it did not say) and a message safe to show."""

    message: str
    status: int | None = None
    code: str | None = None
    param: str | None = None


def read_complaint(data: bytes | Raw) -> UpstreamComplaint:
    """Read an error body in any of the usual dialects; never fails.

    Knows ``{"error": {message, code, type}}``, ``{"error": "text"}``, vLLM's flat ``{"object": "error", message,
    code}``, FastAPI's ``{"detail": …}``; anything else gives an empty message.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return UpstreamComplaint("")
    if isinstance(value, str):
        return UpstreamComplaint(redact(value))
    if not isinstance(value, dict):
        return UpstreamComplaint("")
    fields = cast("dict[str, Any]", value)
    inner: Any = fields.get("error", fields)
    if isinstance(inner, str):
        return UpstreamComplaint(redact(inner))
    if not isinstance(inner, dict):
        return UpstreamComplaint("")
    error = cast("dict[str, Any]", inner)
    said = error.get("message") or error.get("detail") or error.get("msg") or ""
    message = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    code, param = error.get("code"), error.get("param")
    return UpstreamComplaint(
        redact(message),
        _status_of(code, error.get("type")),
        str(code) if isinstance(code, str | int) and code != "" else None,
        param if isinstance(param, str) else None,
    )


def _status_of(code: Any, kind: Any) -> int | None:
    for status in (code, kind):
        if isinstance(status, int | str) and str(status).isdigit() and 400 <= int(status) < 600:  # noqa: PLR2004 - statuses
            return int(status)
    words = f"{code} {kind}".lower()
    for mark, status in (("rate_limit", 429), ("overloaded", 503), ("invalid_request", 400), ("badrequest", 400)):
        if mark in words:
            return status
    return None


def redact(message: str) -> str:
    """Cut a forwarded message to a length and take out what looks like a credential."""
    return _SECRETS.sub("***", message.strip())[:_MAX_MESSAGE]
