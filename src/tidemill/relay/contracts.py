"""What others may say to, and hear from, the relay."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

BreakerState = Literal["closed", "open", "half_open"]
ChannelStatus = Literal["enabled", "disabled", "auto_disabled", "draining"]
Models = dict[str, str] | list[str]
Surface = str  # who asks: "relay" (/v1), "model-call", "local-chat", "datagen", …


class Call(Struct, frozen=True, kw_only=True):
    """One chat call made from inside the process.

    ``channel_id`` pins it to one channel: no other is tried, and retrying is the caller's business. ``timeout_s``
    bounds the whole call (never longer than the channel's own). ``wait_s`` bounds the wait for a slot; None: the
    setting ``gateway.max_wait_s``.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    user_id: int
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    response_format: Mapping[str, Any] | None = None
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])  # further fields of the request body
    surface: Surface = "internal"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    channel_id: int | None = None
    timeout_s: float | None = None
    wait_s: float | None = None
    key_id: str | None = None
    request_id: str | None = None


class TokenUsage(Struct, frozen=True):
    """Tokens as OpenAI counts them. ``estimated``: the upstream reported none."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool = False


class Completion(Struct, frozen=True, kw_only=True):
    """A finished plain call."""

    id: str
    model: str
    content: str
    reasoning: str | None
    finish_reason: str | None
    usage: TokenUsage
    channel_id: int
    channel: str
    latency_ms: float


class ServiceView(Struct, frozen=True, kw_only=True):
    """One channel as a service of a model. ``limit`` None: no bound. ``p95_ms`` None: nothing finished yet."""

    channel_id: int
    channel: str
    model: str
    upstream_model: str
    limit: int | None
    in_flight: int
    is_vllm: bool
    is_local: bool
    breaker: BreakerState
    done: int
    errors: int
    p95_ms: float | None


class ModelView(Struct, frozen=True, kw_only=True):
    """A model that may be called, without any address or key. Models without a configuration have negative ids."""

    id: int
    name: str
    description: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    is_local: bool = False
    is_active: bool = True


class ChannelKeyView(Struct, frozen=True):
    """A channel's key as it may be shown."""

    last4: str
    status: str


class ChannelView(Struct, frozen=True, kw_only=True):
    """A channel for administrators. Local models have negative ids and are ``read_only``.

    ``limit`` and what follows are this process's figures since it started; ``requests`` counts what ended.
    """

    id: int
    name: str
    provider: str
    base_url: str
    keys: list[ChannelKeyView]
    models: dict[str, str]
    priority: int
    weight: int
    max_concurrent: int | None
    rpm: int | None
    timeout_s: float
    defaults: dict[str, Any]
    forward_trace: bool
    status: ChannelStatus
    status_reason: str | None
    tags: list[str]
    config_id: int | None = None
    read_only: bool = False
    limit: int | None = None
    in_flight: int = 0
    breaker: BreakerState = "closed"
    requests: int = 0
    errors: int = 0
    last_error: str | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class ChannelTest(Struct, frozen=True):
    """How a channel's test call went. ``status`` is the upstream's HTTP status, 0 when none came."""

    ok: bool
    latency_ms: float
    status: int
    error: str | None = None
    model: str | None = None


class ChannelWish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel to be made. ``models``: public name → name at the service; a list means equal names.

    ``provider`` picks a preset (``relay.providers``); ``base_url`` may be left out where that has an address.

    ``weight`` 0 takes no traffic; a higher ``priority`` is asked first; ``max_concurrent`` and ``rpm`` absent: the
    setting's default and no limit. ``defaults``: request fields used where a client sets none.
    """

    name: str
    models: Models
    base_url: str = ""
    provider: str = "openai"
    keys: list[str] = []
    priority: int = 0
    weight: int = 1
    max_concurrent: int | None = None
    rpm: int | None = None
    timeout_s: float = 600.0
    defaults: dict[str, Any] = {}
    forward_trace: bool = True
    status: ChannelStatus = "enabled"
    tags: list[str] = []


class ChannelChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a channel; what is absent stays. ``keys`` replaces all keys."""

    name: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    models: Models | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    keys: list[str] | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    max_concurrent: int | UnsetType | None = UNSET
    rpm: int | UnsetType | None = UNSET
    timeout_s: float | UnsetType = UNSET
    defaults: dict[str, Any] | UnsetType = UNSET
    forward_trace: bool | UnsetType = UNSET
    status: ChannelStatus | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET


class ChannelImport(Struct, frozen=True):
    """What an import did, by channel name."""

    created: list[str]
    changed: list[str]
