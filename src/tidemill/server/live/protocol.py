"""WebSockets below ASGI: uvicorn's protocol without what an idle watcher does not need, and with an end that ends.

Loaded with the first upgrade: a server that nobody watches does not carry it. Two things differ from uvicorn's own.
A peer that reads nothing is cut off a moment after the closing frame, where uvicorn would wait for it to take what is
buffered. And what the handshake alone needed is let go of, some kilobytes each.
"""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tidemill.server.live.closing import GOING_AWAY

# For the peer's own closing frame, and for what was sent before it.
CLOSING_S = 2.0


class LiveProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    async def send(self, message: Any) -> None:
        """Send an ASGI message; a closing one does not wait for a slow reader."""
        if self.close_sent and self.handshake_complete:
            raise ClientDisconnected  # the server's stop has closed it already
        if message["type"] != "websocket.close" or not self.handshake_complete:
            await super().send(message)
            if message["type"] == "websocket.accept":
                self._let_go_of_the_handshake()
            return
        self.writable.set()
        await super().send(message)
        self._abort_soon()

    def shutdown(self) -> None:
        """Close because the server stops."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY})
            self.conn.send_close(GOING_AWAY)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        elif not self.handshake_complete:
            super().shutdown()
        self._abort_soon()
        self.transport.close()

    def keepalive_timeout(self) -> None:
        """Give up a peer that answers no pings."""
        super().keepalive_timeout()
        self._abort_soon()

    def _abort_soon(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        # ``run_asgi`` leaves the transport open while there is a timer; ``connection_lost`` cancels it.
        self.close_timer = self.loop.call_later(CLOSING_S, self.transport.abort)

    def _let_go_of_the_handshake(self) -> None:
        self.request = self.response = None  # type: ignore[assignment] - used for the handshake alone
