"""Choose the channel for one call.

Tiers from the highest priority down; within a tier a weighted draw among the channels that admit a call now. A tier
that is full or failing lets the next one serve. Pure: takes states and a random source, awaits nothing.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from tidemill.relay.channel_state import ChannelState
from tidemill.relay.providers import Scene
from tidemill.relay.snapshot import Snapshot, Tier

States = Mapping[int, ChannelState]


def candidates(
    snapshot: Snapshot,
    states: States,
    model: str,
    *,
    pinned: int | None,
    excluded: Collection[int],
    scene: Scene | None = None,
) -> list[list[ChannelState]]:
    """Return who could serve ``model``, by tier; empty when nobody carries it. ``scene`` None: whatever they serve.

    A ``pinned`` channel is the only candidate, whatever its weight, if it carries the model.
    """
    if pinned is not None:
        channel = snapshot.channels.get(pinned)
        fits = channel is not None and model in channel.models and (scene is None or channel.serves(scene))
        return [[states[pinned]]] if fits else []
    return [tier for tier in _states_of(snapshot.tiers.get(model, ()), states, excluded, scene) if tier]


def _states_of(
    tiers: Sequence[Tier], states: States, excluded: Collection[int], scene: Scene | None
) -> Iterator[list[ChannelState]]:
    for tier in tiers:
        yield [
            states[channel.id]
            for channel in tier
            if channel.id not in excluded and (scene is None or channel.serves(scene))
        ]


def choose(
    tiers: Sequence[Sequence[ChannelState]], now: float, draw: Callable[[], float] = random.random
) -> ChannelState | None:
    """Return the channel to use now, None when none admits a call. ``draw`` gives a number in [0, 1)."""
    for tier in tiers:
        free = [state for state in tier if state.admits(now)]
        if len(free) == 1:
            return free[0]
        if free:
            return _weighted(free, draw())
    return None


def _weighted(states: Sequence[ChannelState], drawn: float) -> ChannelState:
    point = drawn * sum(max(state.channel.weight, 0) for state in states)
    for state in states:
        point -= state.channel.weight
        if point < 0:
            return state
    return states[-1]


def all_broken_s(tiers: Sequence[Sequence[ChannelState]], now: float) -> float | None:
    """Return the seconds to the first probe when every breaker keeps calls out, None when one admits them."""
    waits = [state.breaker.pause_left_s(now) for tier in tiers for state in tier if not state.breaker.admits(now)]
    broken = len(waits) == sum(len(tier) for tier in tiers)
    return max(1.0, min(waits)) if broken and waits else None


def next_change_s(tiers: Sequence[Sequence[ChannelState]], now: float) -> float | None:
    """Return the seconds until time alone may let a call in, None when only a call's end can."""
    waits = [
        max(state.paused_s(now), state.breaker.pause_left_s(now))
        for tier in tiers
        for state in tier
        if state.has_slot and (state.breaker.admits(now) or state.breaker.pause_left_s(now) > 0)
    ]
    return min(waits) if waits else None
