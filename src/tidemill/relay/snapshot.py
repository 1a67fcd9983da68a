"""The channels as the relay sees them: immutable, made whole, swapped whole."""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Raw, Struct, field

from tidemill.relay.contracts import Denied, ModelView, Price
from tidemill.relay.providers import OPENAI, Provider, Scene, provider_of
from tidemill.relay.rulebook import NO_RULES, Rulebook


class ChannelKey(Struct, frozen=True):
    """A key of a service, opened; ``id`` is its row's. Its text never shows in what is printed or logged."""

    id: str
    text: str
    last4: str = ""

    def __repr__(self) -> str:
        return f"ChannelKey({self.id!r}, …{self.last4})"


class Channel(Struct, frozen=True, kw_only=True):
    """One way to a model service.

    ``root`` is the address that the protocol's paths are appended to. ``models``: public name → name at the service.
    ``defaults`` are request fields used where a client set none, ``param_overrides`` replace the client's (null: taken
    away). ``max_concurrent``, ``rpm`` and ``tpm`` None: no bound. ``groups`` empty: everybody's.
    """

    id: int
    name: str
    provider: str
    root: str
    models: Mapping[str, str]
    keys: tuple[ChannelKey, ...] = ()
    priority: int = 0
    weight: int = 1
    max_concurrent: int | None = None
    rpm: int | None = None
    timeout_s: float = 600.0
    defaults: Mapping[str, Raw] = field(default_factory=dict[str, Raw])
    forward_trace: bool = True
    is_local: bool = False
    config_id: int | None = None
    groups: frozenset[str] = frozenset()
    region: str | None = None
    tpm: int | None = None
    denied: Denied = Denied()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    header_overrides: tuple[tuple[str, str], ...] = ()
    param_overrides: Mapping[str, Raw] = field(default_factory=dict[str, Raw])
    probe_model: str | None = None

    @property
    def preset(self) -> Provider:
        """What is known of the provider."""
        return provider_of(self.provider)

    def serves(self, scene: Scene) -> bool:
        """Tell whether the provider serves this kind of call."""
        return scene in self.preset.scenes

    @property
    def is_vllm(self) -> bool:
        """Whether the service is vLLM (it queues where others refuse)."""
        return self.provider == "vllm"


Tier = tuple[Channel, ...]


class Resting(Struct, frozen=True):
    """A channel that takes no calls, and why (its status)."""

    id: int
    name: str
    status: str
    models: Collection[str]


class Snapshot(Struct, frozen=True):
    """All channels that take calls, by id and by model; tiers of a model from the highest priority down.

    ``denies_users``: some channel must not serve some users, so who may serve cannot be told by group alone.
    ``counts_tokens``: some channel is held to tokens a minute.
    """

    channels: Mapping[int, Channel]
    tiers: Mapping[str, tuple[Tier, ...]]
    models: tuple[ModelView, ...]
    rules: Rulebook = NO_RULES
    resting: tuple[Resting, ...] = ()
    denies_users: bool = False
    counts_tokens: bool = False

    def callable_names(self, group: str) -> list[str]:
        """Return every name that a call of ``group`` may use."""
        return sorted(
            model
            for model, tiers in self.tiers.items()
            if any(not channel.groups or group in channel.groups for tier in tiers for channel in tier)
        )


EMPTY = Snapshot({}, {}, ())


def build(
    channels: Iterable[Channel],
    facts: Sequence[ModelView],
    rules: Rulebook = NO_RULES,
    resting: Sequence[Resting] = (),
) -> Snapshot:
    """Make a snapshot of the channels that may take calls now.

    ``facts`` describe models that have a configuration; every other public name gets a plain entry, but for the
    ``model_path`` under which a configuration can be called as well.
    """
    by_id = {channel.id: channel for channel in channels}
    carried: dict[str, list[Channel]] = {}
    for channel in by_id.values():
        if channel.weight > 0:
            for model in channel.models:
                carried.setdefault(model, []).append(channel)
    described = {view.name for view in facts}
    plain = [
        ModelView(id=_number(model), name=model, is_local=all(channel.is_local for channel in serving))
        for model, serving in sorted(carried.items())
        if model not in described and any(channel.config_id is None for channel in serving)
    ]
    active = [view for view in facts if view.name in carried]
    return Snapshot(
        by_id,
        {model: _tiers(serving) for model, serving in carried.items()},
        (*active, *plain),
        rules,
        tuple(resting),
        any(channel.denied.users for channel in by_id.values()),
        any(channel.tpm is not None for channel in by_id.values()),
    )


def _tiers(channels: Sequence[Channel]) -> tuple[Tier, ...]:
    priorities = sorted({channel.priority for channel in channels}, reverse=True)
    return tuple(tuple(channel for channel in channels if channel.priority == priority) for priority in priorities)


def root_of(address: str) -> str:
    """Return the address that OpenAI's endpoints are appended to: ``/v1`` at its end unless it has a version."""
    return OPENAI.root_of(address)


def local_channel_id(model: str) -> int:
    """Return the id of a local model's channel: negative, and the same in every process and after every start."""
    return _number(model)


def _number(name: str) -> int:
    return -1 - (zlib.crc32(name.encode()) & 0x3FFF_FFFF)


def local_channel(model: str, *, slots: int | None, timeout_s: float) -> Channel:
    """Make the channel of a local model; its address is known only while a lease is held."""
    return Channel(
        id=local_channel_id(model),
        name=f"local:{model}",
        provider="local",
        root="",
        models={model: model},
        max_concurrent=slots,
        timeout_s=timeout_s,
        is_local=True,
    )
