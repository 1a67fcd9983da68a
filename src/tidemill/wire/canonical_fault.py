"""What went wrong, in one taxonomy: each dialect writes it in its own envelope, with its own status and words."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from tidemill.kernel import clock


class Kind(StrEnum):
    """Whose fault it was and what helps."""

    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    KEY = "key"
    NO_MONEY = "no_money"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    RATE = "rate"
    UPSTREAM = "upstream"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"


class Fault(Struct, frozen=True, kw_only=True):
    """One failure. ``message`` is safe to show; ``status`` is the HTTP status it came with, absent inside a stream.

    ``code`` and ``param`` as the upstream said them. ``retry_after_s``: seconds after which another try makes sense.
    """

    kind: Kind
    message: str
    status: int | UnsetType = UNSET
    code: str | UnsetType = UNSET
    param: str | UnsetType = UNSET
    retry_after_s: float | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class WireError(Exception):
    """The one error of this package: bytes that cannot be read, or a request that a dialect cannot express."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def bad_request(message: str, param: str | UnsetType = UNSET) -> WireError:
    """Return the error for a client's mistake."""
    return WireError(Fault(kind=Kind.BAD_REQUEST, message=message, param=param))


def bad_answer(message: str) -> WireError:
    """Return the error for an upstream that answers nonsense."""
    return WireError(Fault(kind=Kind.UPSTREAM, message=message))


# What an answer with ``Stop.BAD_TOOL`` is to a client; another try may well succeed.
BAD_TOOL = Fault(kind=Kind.UPSTREAM, message="the model called a tool in a form that cannot be read", code="bad_tool")

_KIND_OF_STATUS: Mapping[int, Kind] = {
    401: Kind.KEY,
    402: Kind.NO_MONEY,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    408: Kind.TIMEOUT,
    413: Kind.TOO_LARGE,
    429: Kind.RATE,
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    524: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}
_CLIENT_FAULT = range(400, 500)


def kind_of_status(status: int) -> Kind:
    """Return what an HTTP status says when the body says no more."""
    return _KIND_OF_STATUS.get(status, Kind.BAD_REQUEST if status in _CLIENT_FAULT else Kind.UPSTREAM)


def retry_after_s(headers: Mapping[str, str]) -> float | UnsetType:
    """Read ``retry-after-ms`` or ``retry-after`` (seconds or a date, RFC 9110 §10.2.3); names in lower case."""
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not UNSET:
        return in_ms / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if text is None or seconds is not UNSET:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return UNSET
    if moment.tzinfo is None:
        return UNSET
    return max((moment - clock.now()).total_seconds(), 0.0)


def _number(text: str | None) -> float | UnsetType:
    try:
        value = float(text or "")
    except ValueError:
        return UNSET
    return value if 0 <= value < float("inf") else UNSET
