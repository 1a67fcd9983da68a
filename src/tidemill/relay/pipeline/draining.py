"""Read a stream on for a while after its client has left, for the usage that only its end tells.

Whether that is cheaper than cancelling the call at once depends on the service: one that is paid by the token goes on
counting anyway, one of our own had better stop. So it is off unless it is set, and bounded in time and number.
"""

import asyncio

from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.pipeline.flow import Flow
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.port import UpstreamAnswer, UpstreamBrokenError


class Drains:
    """The streams that are read on: each for ``bound_s`` seconds, ``most`` at once."""

    def __init__(self, bound_s: float, most: int) -> None:
        self._bound_s = bound_s
        self._most = most
        self.running = 0

    def admits(self, channel: Channel, model: str) -> bool:
        """Tell whether a stream of ``channel`` is to be read on now: there is room, and somebody else's bill grows."""
        if self._bound_s <= 0 or self.running >= self._most or channel.is_local:
            return False
        price = channel.prices.get(model) or channel.prices.get("*")
        return price is None or price.input > 0 or price.output > 0

    async def read_on(self, answer: UpstreamAnswer, flow: Flow) -> bool:
        """Let ``flow`` see what still comes; returns whether the stream's end came in time."""

        def take(data: bytes) -> bool:
            flow.feed(data)
            return flow.ended

        self.running += 1
        try:
            async with asyncio.timeout(self._bound_s):
                await answer.pour(take)
        except (TimeoutError, UpstreamBrokenError, UpstreamFailed):
            return False
        else:
            return True
        finally:
            self.running -= 1


NO_DRAINS = Drains(0.0, 0)
