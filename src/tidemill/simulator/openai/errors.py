"""OpenAI's errors: the envelope, the headers, and how it words a request that breaks its rules."""

import math
from collections.abc import Mapping
from typing import Any

from tidemill.simulator.checks import Problem
from tidemill.simulator.exchange import keep_encoded
from tidemill.simulator.face import Refusal, Refused
from tidemill.simulator.streams import event

_LIMITS: Mapping[str, str] = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999000",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "30ms",
}
_USUAL = keep_encoded({"openai-processing-ms": "5", "openai-version": "2020-10-01", **_LIMITS})

# Word of the fault: status, message, type, code.
_ERRORS: Mapping[str, tuple[int, str, str, str | None]] = {
    "400": (400, "The request was refused.", "invalid_request_error", None),
    "401": (401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    "402": (402, "Insufficient balance.", "insufficient_quota", "insufficient_quota"),
    "403": (403, "You are not allowed to do this.", "permission_error", None),
    "404": (404, "The model does not exist.", "invalid_request_error", "model_not_found"),
    "408": (408, "The request timed out.", "server_error", "timeout"),
    "409": (409, "The resource was changed by another request.", "invalid_request_error", None),
    "413": (413, "The request is too large.", "invalid_request_error", None),
    "422": (422, "The request cannot be processed.", "invalid_request_error", None),
    "429": (429, "Rate limit reached. Try again later.", "requests", "rate_limit_exceeded"),
    "500": (500, "The server had an error while processing the request.", "server_error", None),
    "502": (502, "Bad gateway.", "server_error", None),
    "503": (503, "The engine is overloaded. Try again later.", "server_error", None),
    "504": (504, "The request timed out.", "server_error", "timeout"),
    "529": (529, "The engine is overloaded. Try again later.", "server_error", None),
    "auth": (401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    "forbidden": (403, "You are not allowed to do this.", "permission_error", None),
    "balance": (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "context": (
        400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens.",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    "overloaded": (503, "The engine is overloaded. Try again later.", "server_error", None),
}
_LATER = frozenset({429, 503, 529})


def envelope(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Return the error envelope."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal(word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
    """Return the error of a status or of a kind of fault; ``retry_after_s`` becomes headers where one applies."""
    status, usual, kind, code = _ERRORS.get(word, _ERRORS["500"])
    headers: dict[str, str] = {}
    if status in _LATER and retry_after_s is not None and word != "balance":
        headers["retry-after"] = str(math.ceil(retry_after_s))
        headers["retry-after-ms"] = str(round(retry_after_s * 1000))
    if word == "429":
        headers |= {**_LIMITS, "x-ratelimit-remaining-requests": "0"}
    return Refusal(status, envelope(message or usual, kind, code), headers)


def failure(word: str) -> bytes:
    """Return the error as an event of a stream."""
    return event(refusal(word).value)


def bad(message: str, *, code: str | None = None, param: str | None = None, status: int = 400) -> Refused:
    """Return the refusal of a request that is wrong in itself."""
    return Refused(Refusal(status, envelope(message, "invalid_request_error", code, param)))


def unknown_model(name: str) -> Refused:
    """Return the refusal of a model that is not served."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return bad(message, code="model_not_found", param="model", status=404)


def broken_rule(problem: Problem) -> Refused:
    """Word a broken rule as OpenAI does."""
    param = problem.bracketed() or None
    match problem.reason:
        case "unknown":
            return bad(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)
        case "missing":
            return bad(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)
        case "type":
            return bad(f"Invalid type for '{param}': expected {problem.detail}.", code="invalid_type", param=param)
        case _:
            return bad(f"Invalid '{param}': expected {problem.detail}.", code="invalid_value", param=param)


def usual_headers(request_id: str) -> dict[str, str]:
    """Return the headers that come with every answer."""
    return {"x-request-id": request_id, **_USUAL}
