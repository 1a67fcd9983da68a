"""A place on a channel, as a call holds it from its entry to its end."""

from tidemill.relay.channel_state import ChannelState
from tidemill.relay.limits.contracts import Claim
from tidemill.relay.snapshot import Channel, ChannelKey


class Grant:
    """A call that was let in: the channel, the key to use, and what it counts for in the channel's limits.

    ``claim`` None: nothing bounds the channel. Give it back with ``Switchboard.release``, once. ``call`` is what the
    call counts for with its caller and its model, over all its tries; who made it ends it with ``Switchboard.end``.
    """

    __slots__ = ("call", "caller", "channel", "claim", "key", "model", "state")

    def __init__(
        self,
        state: ChannelState,
        key: ChannelKey,
        model: str,
        caller: str,
        claim: Claim | None,
        call: Claim | None,
    ) -> None:
        self.state = state
        # As it stood on entry: a change meanwhile is for the next call.
        self.channel: Channel = state.channel
        self.key = key
        self.model = model
        self.caller = caller
        self.claim = claim
        self.call = call
