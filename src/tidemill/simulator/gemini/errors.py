"""Gemini's errors: the envelope with its details, and how it words a request that breaks its rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.simulator.face import Refusal, Refused

_TYPE = "type.googleapis.com/google.rpc"

# Word of the fault: code, status, message.
_ERRORS: Mapping[str, tuple[int, str, str]] = {
    "400": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "401": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "402": (402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    "403": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "404": (404, "NOT_FOUND", "Requested entity was not found."),
    "408": (408, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "409": (409, "ABORTED", "The operation was aborted."),
    "413": (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    "422": (422, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "429": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "500": (500, "INTERNAL", "An internal error has occurred. Please retry."),
    "502": (502, "UNAVAILABLE", "Bad gateway."),
    "503": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "504": (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "529": (529, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "forbidden": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "balance": (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "context": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_QUOTA = "generativelanguage.googleapis.com/generate_requests_per_model"


def error(code: int, status: str, message: str, details: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the error envelope."""
    return {"error": {"code": code, "message": message, "status": status, **({"details": details} if details else {})}}


def refusal(word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
    """Return the error of a status or of a kind of fault; ``retry_after_s`` becomes RetryInfo where one applies."""
    code, status, usual = _ERRORS.get(word, _ERRORS["500"])
    details: list[dict[str, Any]] = []
    if word == "auth":
        about = {"service": "generativelanguage.googleapis.com"}
        details.append(
            {"@type": f"{_TYPE}.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": about}
        )
    if status == "RESOURCE_EXHAUSTED":
        violation = {
            "quotaMetric": _QUOTA,
            "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
            "quotaValue": "10",
        }
        details.append({"@type": f"{_TYPE}.QuotaFailure", "violations": [violation]})
        if retry_after_s is not None and word != "balance":
            details.append({"@type": f"{_TYPE}.RetryInfo", "retryDelay": f"{retry_after_s:g}s"})
    return Refusal(code, error(code, status, message or usual, details))


def bad(message: str, field: str = "") -> Refused:
    """Return the refusal of a request that is wrong in itself; ``field`` becomes a violation of that field."""
    violation = {"field": field, "description": message}
    details = [{"@type": f"{_TYPE}.BadRequest", "fieldViolations": [violation]}] if field else []
    return Refused(Refusal(400, error(400, "INVALID_ARGUMENT", message, details)))


def not_found(model: str, method: str, version: str) -> Refused:
    """Return the refusal of a model that is not served."""
    message = (
        f"models/{model} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    return Refused(refusal("404", message))
