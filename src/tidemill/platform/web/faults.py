"""Turn whatever a route raised into the error shape of its surface.

``/api`` answers ``{code, message, detail, errors?}``; everything else answers RFC 9457 problem+json, whose ``type`` is
``urn:tidemill:<code>``. Unexpected failures are logged with their trace and say nothing of it outside.
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import UNSET, Struct, UnsetType

from tidemill.kernel.errors import (
    BadInput,
    FieldProblem,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    TidemillError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from tidemill.kernel.lang import Lang, from_accept_language
from tidemill.platform.telemetry import get_logger, request_id

log = get_logger(__name__)

_BY_STATUS: Mapping[int, type[TidemillError]] = {
    400: BadInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: TooLarge,
    429: TooMany,
    503: Unavailable,
}
_MESSAGES: Mapping[str, str] = {"data": "body"}


class EnvelopeError(Struct):
    """An error of ``/api``."""

    code: int
    message: str
    detail: str
    errors: list[FieldProblem] | UnsetType = UNSET


class Problem(Struct, omit_defaults=True):
    """An error of ``/api/v1`` (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[FieldProblem] | UnsetType = UNSET


def is_envelope(path: str) -> bool:
    """Tell whether ``path`` belongs to the envelope surface."""
    return path.startswith("/api/") and not path.startswith("/api/v1/") and path.rstrip("/") != "/api/v1"


def language(path: str, accept_language: str | None) -> Lang:
    """Choose the language of an answer: ``/api`` speaks Chinese unless asked otherwise, the rest English."""
    return from_accept_language(accept_language, "zh" if is_envelope(path) else "en")


def as_fault(error: Exception) -> TidemillError:
    """Give any exception a place in our tree."""
    if isinstance(error, TidemillError):
        return error
    if isinstance(error, ValidationException):
        return _from_validation(error)
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code)
        if kind is not None:
            return kind("" if kind in (NotFound, MethodNotAllowed) else error.detail)
        if 400 <= error.status_code < 500:  # noqa: PLR2004 - the class of client errors
            return BadInput(error.detail)
    return TidemillError()


def _from_validation(error: ValidationException) -> BadInput:
    extra = cast("list[dict[str, Any]]", error.extra or [])
    problems = [FieldProblem(_field(entry), str(entry.get("message", ""))) for entry in extra]
    detail = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
    return BadInput(detail or error.detail, fields=problems)


def _field(entry: Mapping[str, Any]) -> str:
    message, key = str(entry.get("message", "")), str(entry.get("key", ""))
    for marker in ("missing required field `", "contains unknown field `"):
        _, found, rest = message.partition(marker)
        if found:
            name = rest.partition("`")[0]
            return name if key in ("", "data") else f"{key}.{name}"
    return _MESSAGES.get(key, key) or "body"


def render(fault: TidemillError, path: str, lang: Lang) -> tuple[bytes, str]:
    """Return the body and media type of ``fault`` on the surface that ``path`` belongs to."""
    errors = list(fault.problems(lang)) or UNSET
    if is_envelope(path):
        code = fault.envelope_code or fault.status
        answer = EnvelopeError(code, fault.message(lang), fault.detail or fault.message(lang), errors)
        return msgspec.json.encode(answer), "application/json"
    problem = Problem(
        type=f"urn:tidemill:{fault.code}",
        title=fault.message(lang),
        status=fault.status,
        detail=fault.detail or fault.message(lang),
        request_id=request_id.get(),
        errors=errors,
    )
    return msgspec.json.encode(problem), "application/problem+json"


def headers_of(fault: TidemillError) -> dict[str, str]:
    """Return the headers that a fault asks for."""
    headers: dict[str, str] = {}
    if fault.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(fault.retry_after_s + 0.499)))
    if fault.status == Unauthenticated.status:
        headers["www-authenticate"] = "Bearer"
    return headers


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a request whose route raised."""
    fault = as_fault(error)
    if fault.status >= 500 and type(fault) is TidemillError:  # noqa: PLR2004 - the class of server errors
        log.error("http.failed", method=request.method, path=request.url.path, exc_info=error)
    path = request.scope["path"]
    body, media_type = render(fault, path, language(path, request.headers.get("accept-language")))
    return Response(body, status_code=fault.status, media_type=media_type, headers=headers_of(fault))
