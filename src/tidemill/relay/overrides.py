"""What an administrator may lay over a channel's calls, and whom it must not serve: checks of what is sent."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tidemill.kernel.errors import BadInput
from tidemill.relay.contracts import Denied, Price

MAX_ENTRIES = 1000
MAX_OVERRIDES = 50
_MAX_HEADER = 2000
_MAX_BALANCE = 40
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# Keys are sealed in a place of their own, and framing is ours: neither may come from a plain column.
_KEPT = frozenset(
    {
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "proxy-authorization",
        "cookie",
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
    }
)
# Fields that decide where a call goes and how its answer is read.
_FIXED_FIELDS = frozenset({"model", "stream", "stream_options"})


def checked(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``columns`` that this module knows as the database keeps them; raises BadInput naming one."""
    found: dict[str, Any] = {}
    if "denied" in columns:
        found["denied"] = _denied(columns["denied"])
    if "prices" in columns:
        found["prices"] = _prices(columns["prices"])
    if "header_overrides" in columns:
        found["header_overrides"] = _headers(columns["header_overrides"])
    if "param_overrides" in columns:
        found["param_overrides"] = _params(columns["param_overrides"])
    if columns.get("balance_floor") is not None:
        found["balance_floor"] = _amount(columns["balance_floor"])
    return found


def _denied(denied: Denied) -> dict[str, Any]:
    lists = msgspec.to_builtins(denied)
    if any(len(entries) > MAX_ENTRIES for entries in lists.values()):
        raise BadInput.of("denied", f"may hold at most {MAX_ENTRIES} entries of a kind")
    return {name: entries for name, entries in lists.items() if entries}


def _prices(prices: Mapping[str, Price]) -> dict[str, Any]:
    if len(prices) > MAX_ENTRIES:
        raise BadInput.of("prices", f"may hold at most {MAX_ENTRIES} entries")
    if any(not (0 <= price.input < float("inf") and 0 <= price.output < float("inf")) for price in prices.values()):
        raise BadInput.of("prices", "must be 0 or more")
    return msgspec.to_builtins(prices)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    if len(headers) > MAX_OVERRIDES:
        raise BadInput.of("header_overrides", f"may hold at most {MAX_OVERRIDES} entries")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise BadInput.of("header_overrides", f"{name!r} is no name of a header")
        if name.lower() in _KEPT:
            raise BadInput.of("header_overrides", f"{name} cannot be set here; keys belong into `keys`")
        if len(value) > _MAX_HEADER or not value.isascii() or not (value.isprintable() or value == ""):
            raise BadInput.of("header_overrides", f"the value of {name} must be printable ASCII, at most {_MAX_HEADER}")
    return dict(headers)


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    if len(params) > MAX_OVERRIDES:
        raise BadInput.of("param_overrides", f"may hold at most {MAX_OVERRIDES} entries")
    fixed = sorted(_FIXED_FIELDS & params.keys())
    if fixed:
        raise BadInput.of("param_overrides", f"{fixed[0]} cannot be set here")
    return dict(params)


def _amount(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise BadInput.of("balance_floor", "must be a decimal number as text, such as 12.50") from None
    if not amount.is_finite() or amount < 0 or len(text.strip()) > _MAX_BALANCE:
        raise BadInput.of("balance_floor", "must be 0 or more")
    return text.strip()
