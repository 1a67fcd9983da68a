"""The log of calls and the figures of channels, as they are asked for and answered."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from tidemill.metering.contracts import UsageGroup, UsageHour, UsageTotals

# ``failed``: whatever is not ``ok``.
StatusFilter = Literal["ok", "client_error", "refused", "upstream_error", "timeout", "client_gone", "failed"]


class CallFilter(Struct, frozen=True, kw_only=True):
    """Which calls; what is None narrows nothing. ``q`` looks in model, channel, request id and error code."""

    since: datetime | None = None
    until: datetime | None = None
    user_id: int | None = None
    key_id: str | None = None
    model: str | None = None
    channel_id: int | None = None
    provider: str | None = None
    status: str | None = None
    error_code: str | None = None
    surface: str | None = None
    stream: bool | None = None
    cached: bool | None = None
    min_latency_ms: float | None = None
    request_id: str | None = None
    q: str | None = None


class CallEntry(Struct, frozen=True, kw_only=True):
    """One call in a list. ``cost_nano``: 1e-9 credits; times in ms; ``user_id`` None once the account was erased."""

    id: str
    created_at: datetime
    request_id: str
    user_id: int | None
    key_id: str | None
    surface: str
    kind: str
    channel_id: int | None
    channel: str | None
    provider: str | None
    model: str
    upstream_model: str | None
    stream: bool
    cached: bool
    request_tokens: int
    response_tokens: int
    total_tokens: int
    estimated: bool
    cost_nano: int
    latency_ms: float
    first_token_ms: float | None
    status: str
    http_status: int
    error_code: str | None
    retries: int


class CallDetail(CallEntry, frozen=True, kw_only=True):
    """One call with all that is known of it; ``usage_raw`` is the service's own usage object."""

    fresh_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    audio_in_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_out_tokens: int
    usage_raw: str | None
    metadata: dict[str, Any] | None


class CallPage(Struct, frozen=True):
    """Calls, newest first. ``next`` leads to older ones, ``previous`` to newer ones; None where there are none.

    There is never a total: it would have to count the whole table.
    """

    items: list[CallEntry]
    next: str | None = None
    previous: str | None = None


class ChannelHour(Struct, frozen=True):
    """What a channel did in one hour (UTC)."""

    hour: datetime
    requests: int
    errors: int
    latency_ms_avg: float | None


class ChannelFigures(Struct, frozen=True, kw_only=True):
    """What a channel did between two moments. ``error_rate``: share of its calls that failed, 0 to 1."""

    channel_id: int
    requests: int
    errors: int
    error_rate: float
    request_tokens: int
    response_tokens: int
    total_tokens: int
    cost_nano: int
    cost_today_nano: int
    latency_ms_avg: float | None
    latency_ms_max: float | None
    hours: list[ChannelHour]


class ChannelsFigures(Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """The figures of every channel that was called between two moments, busiest first; ``today`` began at ``day``."""

    since: datetime
    until: datetime
    day: datetime
    channels: list[ChannelFigures]


class Outcome(Struct, frozen=True):
    """How many calls ended in one way."""

    status: str
    error_code: str | None
    requests: int


class ChannelReport(Struct, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """One channel between two moments: in all, by the hour, by model, and by how its calls ended."""

    channel_id: int
    since: datetime
    until: datetime
    totals: UsageTotals
    cost_nano: int
    series: list[UsageHour]
    models: list[UsageGroup]
    outcomes: list[Outcome]
