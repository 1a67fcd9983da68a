"""Anthropic's errors and headers, and how it words a request that breaks its rules."""

import hashlib
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tidemill.kernel import clock
from tidemill.simulator.checks import Problem
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.face import Refusal, Refused
from tidemill.simulator.streams import named_event

# Word of the fault: status, type, message.
_ERRORS: Mapping[str, tuple[int, str, str]] = {
    "400": (400, "invalid_request_error", "The request was refused."),
    "401": (401, "authentication_error", "invalid x-api-key"),
    "402": (402, "billing_error", "Your credit balance is too low to access the Anthropic API."),
    "403": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "404": (404, "not_found_error", "The requested resource could not be found."),
    "408": (408, "timeout_error", "Request timed out."),
    "409": (409, "conflict_error", "The resource was changed by another request."),
    "413": (413, "request_too_large", "Request exceeds the maximum size"),
    "422": (422, "invalid_request_error", "The request cannot be processed."),
    "429": (429, "rate_limit_error", "This request would exceed your organization's rate limit. Try again later."),
    "500": (500, "api_error", "Internal server error"),
    "502": (502, "api_error", "Bad gateway"),
    "503": (503, "api_error", "Service unavailable"),
    "504": (504, "timeout_error", "The request took too long."),
    "529": (529, "overloaded_error", "Overloaded"),
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "balance": (402, "billing_error", "Your credit balance is too low to access the Anthropic API."),
    "context": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}
NEWEST = "2026-10-21"
"""The version that dropped the sampling parameters; newer SDKs send it."""

VERSIONS = frozenset({"2023-01-01", "2023-06-01", NEWEST})
_LATER = frozenset({429, 503, 529})
_LIMITS = {"requests": 4000, "tokens": 480_000, "input-tokens": 400_000, "output-tokens": 80_000}
_VALID = {
    "a string": "a valid string",
    "an integer": "a valid integer",
    "a number": "a valid number",
    "a boolean": "a valid boolean",
    "an array": "a valid list",
    "an object": "a valid dictionary",
}
_ERROR_REQUEST = "req_simulated0000000000"


def error(kind: str, message: str, request_id: str = _ERROR_REQUEST) -> dict[str, Any]:
    """Return the error envelope."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def refusal(word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
    """Return the error of a status or of a kind of fault; ``retry_after_s`` becomes a header where one applies."""
    status, kind, usual = _ERRORS.get(word, _ERRORS["500"])
    headers = {"request-id": _ERROR_REQUEST}
    if status in _LATER and retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(retry_after_s))
        headers["retry-after-ms"] = str(round(retry_after_s * 1000))
        headers["x-should-retry"] = "true"
    if status == 429:  # noqa: PLR2004 - too many requests
        headers |= _limits(left=0)
    return Refusal(status, error(kind, message or usual), headers)


def failure(word: str) -> bytes:
    """Return the error as an event of a stream."""
    return named_event("error", refusal(word).value)


def bad(message: str) -> Refused:
    """Return the refusal of a request that is wrong in itself."""
    return Refused(refusal("400", message))


def broken_rule(problem: Problem) -> Refused:
    """Word a broken rule as Anthropic does."""
    match problem.reason:
        case "unknown":
            sentence = "Extra inputs are not permitted"
        case "missing":
            sentence = "Field required"
        case "type":
            sentence = f"Input should be {_VALID.get(problem.detail, problem.detail)}"
        case _:
            sentence = f"Input should be {problem.detail}"
    return bad(f"{problem.dotted()}: {sentence}" if problem.path else sentence)


def check_headers(exchange: Exchange) -> None:
    """Raise Refused without a key or a version, as Anthropic does."""
    if not exchange.key:
        raise Refused(refusal("401", "x-api-key header is required"))
    version = exchange.header(b"anthropic-version")
    if not version:
        raise bad("anthropic-version: header is required")
    if version not in VERSIONS:
        raise bad(f'anthropic-version: "{version}" is not a valid version')


def usual_headers(data: bytes) -> dict[str, str]:
    """Return the headers that come with every answer."""
    name = hashlib.blake2b(data, digest_size=10).hexdigest()
    return {"request-id": f"req_{name}", "anthropic-organization-id": "org_simulated", **_limits(left=None)}


def _limits(left: int | None) -> dict[str, str]:
    reset = (clock.now() + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers: dict[str, str] = {}
    for name, limit in _LIMITS.items():
        prefix = f"anthropic-ratelimit-{name}"
        headers[f"{prefix}-limit"] = str(limit)
        headers[f"{prefix}-remaining"] = str(limit - 1 if left is None else left)
        headers[f"{prefix}-reset"] = reset
    return headers
