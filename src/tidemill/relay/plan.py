"""Who could serve a call: the channels that carry its model, less those that must not, in tiers by priority. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from tidemill.relay.channel_state import Block, ChannelState
from tidemill.relay.limits.contracts import Bound, Refusal
from tidemill.relay.providers import Scene
from tidemill.relay.snapshot import Channel, Snapshot

States = Mapping[int, ChannelState]
Tiers = Sequence[Sequence[ChannelState]]
Obstacle = Literal["model", "scene", "group", "region", "denied", "excluded", "no_weight", "resting"]


class Wish(Struct, frozen=True, kw_only=True):
    """What a call wants of the switchboard.

    ``caller`` is whose turn it is among those who wait; ``bounds`` are the limits of its key, its user and the model,
    ``tokens`` what it counts for until it is known. ``region``: only channels there, or of no region. ``affinity``:
    what belongs together, where the strategy asks for it. A ``pinned`` channel is the only candidate, whatever its
    weight. ``wait_s``: how long it may wait for a slot.
    """

    model: str
    caller: str
    wait_s: float
    scene: Scene = "chat"
    pinned: int | None = None
    excluded: Collection[int] = ()
    user_id: int = 0
    group: str = "default"
    region: str | None = None
    bounds: tuple[Bound, ...] = ()
    tokens: int = 0
    affinity: str = ""

    @property
    def seat(self) -> "Seat":
        """Where it waits: with those who want the same."""
        return self.model, self.scene, self.pinned


Seat = tuple[str, Scene, int | None]


def obstacle(channel: Channel, wish: Wish) -> Obstacle | None:
    """Return why ``channel`` must not serve ``wish``, however it stands."""
    denied = channel.denied
    obstacles: tuple[tuple[Obstacle, bool], ...] = (
        ("model", wish.model not in channel.models),
        ("excluded", channel.id in wish.excluded),
        ("scene", not channel.serves(wish.scene)),
        ("group", bool(channel.groups) and wish.group not in channel.groups),
        ("region", channel.region is not None and wish.region is not None and channel.region != wish.region),
        ("denied", wish.user_id in denied.users or wish.group in denied.groups or wish.model in denied.models),
    )
    return next((name for name, stands in obstacles if stands), None)


def candidates(snapshot: Snapshot, states: States, wish: Wish) -> list[list[ChannelState]]:
    """Return who may serve ``wish``, by tier from the highest priority down; empty when nobody may."""
    if wish.pinned is not None:
        channel = snapshot.channels.get(wish.pinned)
        return [[states[channel.id]]] if channel is not None and obstacle(channel, wish) is None else []
    tiers = (
        [states[channel.id] for channel in tier if obstacle(channel, wish) is None]
        for tier in snapshot.tiers.get(wish.model, ())
    )
    return [tier for tier in tiers if tier]


class Standstill(Struct, frozen=True):
    """Nobody can serve now. ``broken``: every breaker keeps calls out. ``wait_s``: when time alone may help.

    ``full``: somebody would serve had it a place, so that the end of a call may help sooner.
    """

    broken: bool
    wait_s: float | None
    full: bool = False


def standstill(blocks: Sequence[Block | Refusal | None]) -> Standstill:
    """Sum up what keeps each candidate from serving; None: it could, as far as it is concerned."""
    waits: list[float] = []
    broken, full = bool(blocks), False
    for block in blocks:
        if isinstance(block, Block) and block.by in {"breaker", "key"}:
            waits.append(block.wait_s or 0.0)
            continue
        broken = False
        if isinstance(block, Refusal):
            full = full or block.what == "concurrent"
            if not block.never:
                waits.append(block.retry_after_s)
        elif block is None or block.wait_s is None:
            full = True
        else:
            waits.append(block.wait_s)
    return Standstill(broken, min(waits) if waits else None, full)
