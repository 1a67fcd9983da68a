"""What a failure means: for the caller, for the channel, and whether another try is safe. Pure.

A client's fault never counts against a channel: one caller's bad requests must not take a model away from others.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from msgspec import UNSET

from tidemill.kernel import clock
from tidemill.relay.errors import (
    FailureKind,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimedOut,
)
from tidemill.wire.canonical_fault import Fault, Kind
from tidemill.wire.openai_errors import UpstreamComplaint

# A longer pause asked for by an upstream is kept, but not believed beyond this.
MAX_RETRY_AFTER_S = 600.0

_AUTH = frozenset({401, 402, 403, 407})
_TIMEOUTS = frozenset({408, 504, 524})
_BUSY = 429
_CLIENT = range(400, 500)
_BROKE_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "credit_balance_exhausted"})

_UNAUTHORISED, _UNAVAILABLE = 401, 503
# The code by which OpenAI's clients know that the talk must be shortened.
TOO_LONG = "context_length_exceeded"
_STATUS_OF_KIND: Mapping[Kind, int] = {
    Kind.BAD_REQUEST: 400,
    Kind.CONTEXT_LENGTH: 400,
    Kind.NOT_FOUND: 404,
    Kind.TOO_LARGE: 413,
}

_SAFE_TO_RETRY: frozenset[FailureKind] = frozenset({"transport", "timeout", "server", "rate", "auth"})
_COUNTED: frozenset[FailureKind] = frozenset({"transport", "timeout", "server", "auth"})


def kind_of(status: int, code: str | None = None) -> FailureKind:
    """Return what a status other than 2xx means; ``code`` is the error body's own."""
    if status in _AUTH or (status == _BUSY and code in _BROKE_CODES):
        return "auth"
    if status == _BUSY:
        return "rate"
    if status in _TIMEOUTS:
        return "timeout"
    if status in _CLIENT:
        return "client"
    return "server"


def failure_of(status: int, complaint: UpstreamComplaint, headers: Mapping[str, str]) -> UpstreamFailed:
    """Turn an upstream's error answer into ours."""
    kind = kind_of(status, complaint.code)
    wait_s = retry_after_s(headers)
    detail = complaint.message or f"HTTP {status}"
    match kind:
        case "client":
            return UpstreamRefused(detail, upstream_status=status, upstream_code=complaint.code, param=complaint.param)
        case "rate":
            return UpstreamBusy(detail, upstream_status=status, retry_after_s=wait_s)
        case "timeout":
            return UpstreamTimedOut(detail, upstream_status=status, retry_after_s=wait_s)
        case "auth":
            # Never as a 401: the caller would think its own key is wrong.
            return UpstreamFailed(
                "the channel's own key was not accepted", kind=kind, upstream_status=status, upstream_code="channel_key"
            )
        case _:
            return UpstreamFailed(detail, kind=kind, upstream_status=status, retry_after_s=wait_s)


def failure_of_fault(fault: Fault, status: int | None = None) -> UpstreamFailed:
    """Turn what a codec read of an upstream's error into ours; ``status`` None: it came behind a 200."""
    said = status if status is not None else fault.status or None
    wait_s = None if fault.retry_after_s is UNSET else _bounded(fault.retry_after_s)
    match fault.kind:
        case Kind.KEY | Kind.FORBIDDEN | Kind.NO_MONEY:
            return failure_of(_UNAUTHORISED, UpstreamComplaint(""), {})
        case Kind.RATE:
            return UpstreamBusy(fault.message, upstream_status=said, retry_after_s=wait_s)
        case Kind.TIMEOUT:
            return UpstreamTimedOut(fault.message, upstream_status=said, retry_after_s=wait_s)
        case Kind.OVERLOADED:
            return UpstreamFailed(fault.message, upstream_status=said or _UNAVAILABLE, retry_after_s=wait_s)
        case Kind.UPSTREAM:
            return UpstreamFailed(fault.message, upstream_status=said, retry_after_s=wait_s)
        case _:
            return UpstreamRefused(
                fault.message,
                upstream_status=said if said is not None and said in _CLIENT else _STATUS_OF_KIND[fault.kind],
                upstream_code=TOO_LONG if fault.kind is Kind.CONTEXT_LENGTH else fault.code or None,
                param=fault.param or None,
            )


def is_safe_to_retry(failure: UpstreamFailed) -> bool:
    """Tell whether another channel may be tried; nothing of the answer may have gone out yet."""
    return failure.kind in _SAFE_TO_RETRY


def counts_against_channel(failure: UpstreamFailed) -> bool:
    """Tell whether a failure brings the channel's breaker nearer to opening."""
    return failure.counts and failure.kind in _COUNTED


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` or ``retry-after`` (seconds or a date, RFC 9110 §10.2.3); None when absent or absurd."""
    in_ms = headers.get("retry-after-ms")
    if in_ms is not None:
        seconds = _number(in_ms)
        return None if seconds is None else _bounded(seconds / 1000)
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return _bounded(seconds)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return _bounded((moment - clock.now()).total_seconds())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _bounded(seconds: float) -> float | None:
    if not seconds >= 0:  # negative, or not a number
        return 0.0 if seconds < 0 else None
    return min(seconds, MAX_RETRY_AFTER_S)
