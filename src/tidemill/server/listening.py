"""How an answer leaves the socket: its head together with its first part, in one write.

uvicorn writes the head by itself as soon as it is told, and the body a moment later: two system calls, two packets and
two wake-ups of the client for what is nearly always there at once. Here the head waits until its first part comes, or
until the loop has gone round. Parts of a body that has begun may be posted outside any task, and a client's leaving
is told without a task that listens for it (``relay.ports``).
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidemill.relay.ports import LEAVING, POST

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_INTERIM = b"HTTP/1.1 100"


class _Corked:
    """A transport for one answer after the other. Invariant: a held head is flushed within this round of the loop."""

    __slots__ = ("_flow", "_head", "_head_is_next", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._flow = flow
        self._loop = loop
        self._head: bytes | None = None
        self._head_is_next = False

    def begin(self) -> None:
        """Hold back what comes next: the head of an answer."""
        self._head_is_next = True

    def write(self, data: bytes) -> None:
        """Send, or hold back."""
        if self._head is not None:
            data, self._head = self._head + data, None
        elif self._head_is_next and not data.startswith(_INTERIM):
            self._head, self._head_is_next = data, False
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def post(self, body: bytes) -> bool:
        """Send a part of a body in chunks at once: what ``send`` does for it, without a message and a coroutine.

        Returns False, and does nothing, before the head, and while the client is behind or gone.
        """
        if not body or self._head_is_next or self._flow.write_paused or self._transport.is_closing():
            return False
        self.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)

    def close(self) -> None:
        """Close, with everything sent."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether it was closed, by us or the client."""
        return self._transport.is_closing()


class _Leaving:
    """Who is told when the client of one connection leaves."""

    __slots__ = ("_gone", "_told")

    def __init__(self) -> None:
        self._gone = False
        self._told: list[Callable[[], None]] = []

    def tell(self, told: Callable[[], None]) -> None:
        """Call ``told`` when the client leaves, at once if it has."""
        if self._gone:
            told()
        else:
            self._told.append(told)

    def forget(self, told: Callable[[], None]) -> None:
        """Do not call it any more."""
        if told in self._told:
            self._told.remove(told)

    def happens(self) -> None:
        """Tell everybody."""
        self._gone = True
        everybody, self._told = self._told, []
        for told in everybody:
            told()


class Listener(HttpToolsProtocol):
    """uvicorn's protocol with answers that leave in one write, and what ``relay.ports`` asks of a server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._corked = _Corked(self.transport, self.flow, self.loop)
        self._leaving = _Leaving()
        self._extensions: dict[str, Any] = {POST: self._corked.post, LEAVING: self._leaving}

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever wants to know."""
        super().connection_lost(exc)
        self._leaving.happens()

    def on_message_complete(self) -> None:
        """Read on, for what comes next may be the end of the connection; unless requests wait for their turn."""
        super().on_message_complete()
        if not self.pipeline:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self._corked.begin()
        cycle.transport = cast("asyncio.Transport", self._corked)
        cycle.scope["extensions"] = self._extensions  # type: ignore[typeddict-item] - ours, no known one
        super()._start_asgi_task(cycle, app)
