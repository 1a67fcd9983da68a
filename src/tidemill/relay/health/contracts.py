"""The words of channels' health."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from tidemill.relay.contracts import BreakerState, ChannelStatus

EventKind = Literal["opened", "closed", "key_refused", "key_broke", "key_back", "balance_low", "balance_ok"]


class HealthPoint(Struct, frozen=True, kw_only=True):
    """The probes of one interval that begins at ``at``.

    ``p50_ms`` and ``max_ms`` are of those that went well (null: none did); ``error_rate`` is the share of failed live
    calls, 0 to 1 (null: there were none).
    """

    at: datetime
    probes: int
    failures: int
    p50_ms: float | None
    max_ms: float | None
    error_rate: float | None


class ChannelHealth(Struct, frozen=True, kw_only=True):
    """A channel's health over a time, in intervals of ``width_s`` seconds; those without a probe are left out."""

    channel_id: int
    since: datetime
    until: datetime
    width_s: int
    uptime: float | None
    points: list[HealthPoint]


class ChannelEvent(Struct, frozen=True, kw_only=True):
    """Something that befell a channel: a breaker opened or closed, a key went or came back, a balance fell or rose."""

    id: str
    at: datetime
    kind: EventKind
    model: str | None
    key_last4: str | None
    reason: str | None


class ProbeView(Struct, frozen=True, kw_only=True):
    """One probe. ``ok``: the service answered; ``reason`` may still say that it refused a key."""

    at: datetime
    ok: bool
    latency_ms: float | None
    reason: str | None


class ChannelStrip(Struct, frozen=True, kw_only=True):
    """One channel's line on a dashboard; ``up`` null: nothing is known of late.

    ``probes`` are the last ones, oldest first, ``uptime`` their share that went well; ``p50_ms`` is the median of live
    calls in this process, ``probe_p50_ms`` that of the probes shown.
    """

    channel_id: int
    channel: str
    provider: str
    status: ChannelStatus
    up: bool | None
    breaker: BreakerState
    uptime: float | None
    p50_ms: float | None
    probe_p50_ms: float | None
    active_keys: int
    disabled_keys: int
    balance: str | None
    balance_currency: str | None
    probes: list[ProbeView]
