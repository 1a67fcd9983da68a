"""What others may say to, and hear from, metering."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from tidemill.wire.tokens import NOTHING, TokenCounts


class CallStatus(StrEnum):
    """How a call ended, seen from the one who asked for it."""

    OK = "ok"
    CLIENT_ERROR = "client_error"  # the request was at fault
    REFUSED = "refused"  # a limit of ours, or no channel; nothing was called
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"


class UsageEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model call. ``id`` is ours and unique; ``request_id`` may be the client's and repeat.

    ``began_ms`` is Unix time in milliseconds; ``first_token_ms`` counts from there to the first content.
    ``usage_raw`` is the upstream's own usage object, so that counts can be made anew. ``cached``: answered from what is
    kept here, so no tokens are counted; ``usage_raw`` then says what the answer took when it was made.
    """

    id: str
    began_ms: int
    request_id: str
    user_id: int
    key_id: str | None = None
    surface: str = "relay"
    kind: str = "chat"
    model: str = ""
    upstream_model: str | None = None
    channel_id: int | None = None
    channel: str | None = None
    provider: str | None = None
    stream: bool = False
    status: CallStatus = CallStatus.OK
    http_status: int = 200
    error_code: str | None = None
    retries: int = 0
    latency_ms: float = 0.0
    first_token_ms: float | None = None
    tokens: TokenCounts = NOTHING
    usage_raw: str | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    cached: bool = False


class UsageTotals(Struct, frozen=True):
    """Sums over some calls; ``latency_ms_avg`` is None where there were none."""

    requests: int = 0
    errors: int = 0
    request_tokens: int = 0
    response_tokens: int = 0
    total_tokens: int = 0
    latency_ms_avg: float | None = None
    latency_ms_max: float | None = None


class UsageHour(Struct, frozen=True):
    """The calls that began within one hour (UTC)."""

    hour: datetime
    requests: int
    errors: int
    request_tokens: int
    response_tokens: int
    total_tokens: int
    latency_ms_avg: float | None
    latency_ms_max: float | None


class UsageGroup(Struct, frozen=True):
    """The calls that share a model, channel, surface, key or user."""

    key: str
    requests: int
    errors: int
    request_tokens: int
    response_tokens: int
    total_tokens: int
    latency_ms_avg: float | None
    latency_ms_max: float | None


class UsageSummary(Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Usage between two moments: in all, by the hour, and by what was asked for."""

    since: datetime
    until: datetime
    totals: UsageTotals
    series: list[UsageHour]
    groups: list[UsageGroup]
