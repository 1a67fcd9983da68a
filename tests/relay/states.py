"""Channels and their states, as small as a test wants them."""

from typing import Any

from tidemill.relay.breaker import Breaker
from tidemill.relay.channel_state import ChannelState, ShiftListener
from tidemill.relay.snapshot import Channel, ChannelKey


def channel(number: int, **fields: Any) -> Channel:
    """Return channel ``number``, which carries ``m``; ``keys`` by their ids."""
    keys = tuple(ChannelKey(name, f"sk-{name}", name[-4:]) for name in fields.pop("keys", ()))
    wanted: dict[str, Any] = {"name": f"c{number}", "provider": "openai", "root": "x", "models": {"m": "m"}, **fields}
    return Channel(id=number, keys=keys, **wanted)


def state(number: int, tell: ShiftListener | None = None, **fields: Any) -> ChannelState:
    """Return the state of such a channel; its breakers open at the second failure, for 5 s at first."""
    return ChannelState(channel(number, **fields), lambda: Breaker(threshold=2), tell)
