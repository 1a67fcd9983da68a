"""The first application behind the socket: alive at once, everything else when the parts are there.

A process that imports, migrates or recovers is alive, and whoever restarts it for being silent only makes it start
over. So liveness is answered from the first moment; readiness says no, and other requests wait for the start to end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ALIVE = frozenset({"/healthz", "/livez"})
_STARTED = frozenset({"/startupz", "/readyz"})


class Entry:
    """Holds requests back until ``open`` is called with the application that answers them."""

    def __init__(self) -> None:
        self._application: App | None = None
        self._opened = asyncio.Event()

    def open(self, application: App) -> None:
        """Let requests through to ``application``."""
        self._application = application
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        # A WebSocket has no use for a word about liveness.
        path = scope.get("path", "").rstrip("/") if scope["type"] == "http" else ""
        if path in _ALIVE:
            await _answer(send, 200, b'{"status":"ok"}')
        elif self._application is None and path in _STARTED:
            await _answer(send, 503, b'{"status":"starting"}')
        else:
            if not self._opened.is_set():
                await self._opened.wait()
            if self._application is not None:
                await self._application(scope, receive, send)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
