"""What others may say to, and hear from, the relay."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

from tidemill.kernel.actor import Actor

BreakerState = Literal["closed", "open", "half_open"]
ChannelStatus = Literal["enabled", "disabled", "auto_disabled", "draining"]
KeyStatus = Literal["active", "disabled"]
Models = dict[str, str] | list[str]
# How one of several equal channels is chosen; see ``relay.strategies``.
Strategy = Literal[
    "random",
    "round_robin",
    "weighted",
    "least_errors",
    "lowest_latency",
    "least_in_flight",
    "lowest_price",
    "consistent_hash",
]
RuleKind = Literal["global", "group", "user", "model"]
Surface = str  # who asks: "relay" (/v1), "model-call", "local-chat", "datagen", …


class Call(Struct, frozen=True, kw_only=True):
    """One chat call made from inside the process.

    ``channel_id`` pins it to one channel: no other is tried, and retrying is the caller's business. ``timeout_s``
    bounds the whole call (never longer than the channel's own). ``wait_s`` bounds the wait for a slot; None: the
    setting ``gateway.max_wait_s``. ``group``: the user's, for channels that serve some groups only.
    ``asker``: who asks at this moment, held to the limits of the key and of the user; None: work in the background,
    which has its own pace.
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
    group: str = "default"
    asker: Actor | None = None


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
    """A channel's key as it may be shown. ``reason``: why it is disabled."""

    last4: str
    status: KeyStatus
    id: str = ""
    reason: str | None = None
    changed_at: datetime | None = None


class Denied(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom and what a channel must not serve: user ids, groups of users, public names of models."""

    users: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """What a million tokens cost on a channel, in one currency for all channels; only compared, never charged."""

    input: float = 0.0
    output: float = 0.0


class LaneView(Struct, frozen=True, kw_only=True):
    """One key of a channel used for one model, where its breaker is not closed or a pause was asked for.

    ``key_last4`` and ``model`` None: the channel as a whole. ``retry_in_s``: seconds until a call is let through.
    """

    key_last4: str | None
    model: str | None
    breaker: BreakerState
    retry_in_s: float
    reason: str | None


class ChannelView(Struct, frozen=True, kw_only=True):
    """A channel for administrators. ``read_only``: a local model (their ids are negative), or of the file of channels.

    ``limit`` and what follows are this process's figures since it started; ``requests`` counts what ended,
    ``error_rate`` is the share of failures (0 to 1) of late, ``lanes`` what a breaker or a pause keeps calls from.
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
    groups: list[str] = []
    region: str | None = None
    tpm: int | None = None
    denied: Denied = Denied()
    prices: dict[str, Price] = {}
    header_overrides: dict[str, str] = {}
    param_overrides: dict[str, Any] = {}
    probe_model: str | None = None
    balance: str | None = None
    balance_currency: str | None = None
    balance_floor: str | None = None
    balance_at: datetime | None = None
    config_id: int | None = None
    read_only: bool = False
    limit: int | None = None
    in_flight: int = 0
    breaker: BreakerState = "closed"
    lanes: list[LaneView] = []
    requests: int = 0
    errors: int = 0
    error_rate: float | None = None
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

    ``weight`` 0 takes no traffic; a higher ``priority`` is asked first; ``max_concurrent`` absent: the setting's
    default; ``rpm`` and ``tpm`` (calls and tokens a minute) absent: no limit. ``defaults``: request fields used where a
    client sets none; ``param_overrides``: fields that replace the client's (null takes one away);
    ``header_overrides``: headers sent to the service. ``groups``: whose calls it serves (none: everybody's);
    ``region``: where it stands. ``prices`` by public name, ``*`` for the rest. ``probe_model``: the model that the
    health probe calls for one token (absent: its list of models is asked for, which costs nothing).
    ``balance_floor``: decimal text; a balance under it raises an alert.
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
    groups: list[str] = []
    region: str | None = None
    tpm: int | None = None
    denied: Denied = Denied()
    prices: dict[str, Price] = {}
    header_overrides: dict[str, str] = {}
    param_overrides: dict[str, Any] = {}
    probe_model: str | None = None
    balance_floor: str | None = None


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
    groups: list[str] | UnsetType = UNSET
    region: str | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET
    denied: Denied | UnsetType = UNSET
    prices: dict[str, Price] | UnsetType = UNSET
    header_overrides: dict[str, str] | UnsetType = UNSET
    param_overrides: dict[str, Any] | UnsetType = UNSET
    probe_model: str | UnsetType | None = UNSET
    balance_floor: str | UnsetType | None = UNSET


class RuleWish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall hold for everybody (``global``, no name), a ``group``, a ``user`` (name: the id) or a ``model``.

    ``strategy`` absent: the next wider rule's (model before user before group before global), at last ``weighted``.
    ``region``: calls go only to channels there, or to channels of no region. ``rpm``, ``tpm``, ``max_concurrent``:
    of a model for all callers together; of the others for each user by itself. ``continues``: whether a stream that
    breaks goes on from another channel where the call does not say; absent everywhere: ``gateway.continue_streams``.
    """

    kind: RuleKind
    name: str = ""
    strategy: Strategy | None = None
    region: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    max_concurrent: int | None = None
    continues: bool | None = None


class RuleView(RuleWish, frozen=True, kw_only=True):
    """A rule as it stands."""

    id: int
    created_at: datetime
    updated_at: datetime


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who would serve this call? ``user_id`` and ``group`` absent: whoever asks; ``exclude``: ids of channels.

    ``affinity``: what a consistent hash would be made of; absent: the user.
    """

    model: str
    scene: str = "chat"
    user_id: int | None = None
    group: str | None = None
    region: str | None = None
    exclude: list[int] = []
    affinity: str | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """One channel's part in the answer. ``rank``: when it would be asked, from 1; None: not at all.

    ``verdict`` is a stable word, ``why`` a sentence; ``tier`` counts from 1, the highest priority.
    """

    channel_id: int
    channel: str
    tier: int | None
    rank: int | None
    verdict: str
    why: str
    score: float | None = None


class Forecast(Struct, frozen=True, kw_only=True):
    """Who would serve a call now, and why; nothing was called or counted."""

    model: str
    strategy: Strategy
    strategy_from: str
    region: str | None
    would_serve: int | None
    candidates: list[Candidate]
