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

_UNAUTHORISED, _NO_MONEY, _FORBIDDEN, _NOT_FOUND, _BUSY, _UNAVAILABLE = 401, 402, 403, 404, 429, 503
_KIND_OF_STATUS: Mapping[int, FailureKind] = {
    _UNAUTHORISED: "auth",
    _NO_MONEY: "balance",
    _FORBIDDEN: "auth",
    407: "auth",
    _BUSY: "rate",
    408: "timeout",
    504: "timeout",
    524: "timeout",
}
_CLIENT = range(400, 500)
_BROKE_CODES = frozenset(
    {
        "insufficient_quota",
        "insufficient_balance",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
    }
)
# A 403 that is about what was asked, not about the key.
_POLICY_CODES = frozenset({"content_policy_violation", "content_filter", "moderation_blocked", "moderation"})

# The code by which OpenAI's clients know that the talk must be shortened.
TOO_LONG = "context_length_exceeded"
_STATUS_OF_KIND: Mapping[Kind, int] = {
    Kind.BAD_REQUEST: 400,
    Kind.CONTEXT_LENGTH: 400,
    Kind.NOT_FOUND: 404,
    Kind.TOO_LARGE: 413,
}

_STATUS_OF_KEY: Mapping[Kind, int] = {
    Kind.KEY: _UNAUTHORISED,
    Kind.NO_MONEY: _NO_MONEY,
    Kind.FORBIDDEN: _FORBIDDEN,
}
_OF_THE_KEY: Mapping[FailureKind, str] = {
    "auth": "the channel's own key was not accepted",
    "balance": "the balance of the channel's own key is used up",
}
_SAFE_TO_RETRY: frozenset[FailureKind] = frozenset({"transport", "timeout", "server", "rate", "auth", "balance"})
_COUNTED: frozenset[FailureKind] = frozenset({"transport", "timeout", "server", "auth", "balance"})
# The same channel may be asked once more: another connection or another moment may do.
_WORTH_REPEATING: frozenset[FailureKind] = frozenset({"transport", "server"})
# Longer than this nobody is kept waiting for a repetition at a service that asked for a pause.
_REPEAT_WITHIN_S = 2.0


def kind_of(status: int, code: str | None = None) -> FailureKind:
    """Return what a status other than 2xx means; ``code`` is the error body's own."""
    if status in {_BUSY, _FORBIDDEN} and code in _BROKE_CODES:
        return "balance"
    if status == _FORBIDDEN and code in _POLICY_CODES:
        return "client"
    return _KIND_OF_STATUS.get(status) or ("client" if status in _CLIENT else "server")


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
        case "auth" | "balance":
            # Never as a 401 or 402: the caller would think its own key is wrong, or its own credit gone.
            detail = _OF_THE_KEY[kind]
            return UpstreamFailed(detail, kind=kind, upstream_status=status, upstream_code="channel_key")
        case _:
            return UpstreamFailed(detail, kind=kind, upstream_status=status, retry_after_s=wait_s)


def failure_of_fault(fault: Fault, status: int | None = None) -> UpstreamFailed:
    """Turn what a codec read of an upstream's error into ours; ``status`` None: it came behind a 200."""
    said = status if status is not None else fault.status or None
    wait_s = None if fault.retry_after_s is UNSET else _bounded(fault.retry_after_s)
    match fault.kind:
        case Kind.KEY | Kind.NO_MONEY | Kind.FORBIDDEN:
            complaint = UpstreamComplaint(fault.message, code=fault.code or None)
            return failure_of(_STATUS_OF_KEY[fault.kind], complaint, {})
        case Kind.RATE:
            return UpstreamBusy(fault.message, upstream_status=said, retry_after_s=wait_s)
        case Kind.TIMEOUT:
            return UpstreamTimedOut(fault.message, upstream_status=said, retry_after_s=wait_s)
        case Kind.OVERLOADED | Kind.UPSTREAM:
            status = said or (_UNAVAILABLE if fault.kind is Kind.OVERLOADED else None)
            return UpstreamFailed(fault.message, upstream_status=status, retry_after_s=wait_s)
        case _:
            return UpstreamRefused(
                fault.message,
                upstream_status=said if said is not None and said in _CLIENT else _STATUS_OF_KIND[fault.kind],
                upstream_code=TOO_LONG if fault.kind is Kind.CONTEXT_LENGTH else fault.code or None,
                param=fault.param or None,
            )


def is_safe_to_retry(failure: UpstreamFailed) -> bool:
    """Tell whether another channel may be tried; nothing of the answer may have gone out yet.

    A 404 speaks of a model or an address that the channel was given, which the client knows nothing of.
    """
    return failure.kind in _SAFE_TO_RETRY or failure.upstream_status == _NOT_FOUND


def is_worth_repeating(failure: UpstreamFailed) -> bool:
    """Tell whether, for want of another channel, the same one may be asked once more."""
    if failure.kind == "rate":
        return failure.retry_after_s is not None and failure.retry_after_s <= _REPEAT_WITHIN_S
    return failure.kind in _WORTH_REPEATING and (failure.retry_after_s or 0.0) <= _REPEAT_WITHIN_S


def is_of_the_key(failure: UpstreamFailed) -> bool:
    """Tell whether another key of the same channel may do better at once."""
    return failure.kind in {"auth", "balance", "rate"}


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
