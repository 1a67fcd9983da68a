"""A place on a channel, as a call holds it from its entry to its end."""

from tidemill.relay.channel_state import ChannelState
from tidemill.relay.limits.contracts import Claim
from tidemill.relay.plan import Wish
from tidemill.relay.snapshot import Channel, ChannelKey


class Grant:
    """A call that was let in: the channel, the key to use, and what it counts for in all its limits.

    ``claim`` None: nothing bounds it. Give it back with ``Switchboard.release``, once.
    """

    __slots__ = ("channel", "claim", "key", "state", "wish")

    def __init__(self, state: ChannelState, key: ChannelKey, wish: Wish, claim: Claim | None) -> None:
        self.state = state
        # As it stood on entry: a change meanwhile is for the next call.
        self.channel: Channel = state.channel
        self.key = key
        self.wish = wish
        self.claim = claim
