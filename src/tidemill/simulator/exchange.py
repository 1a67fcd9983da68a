"""One HTTP exchange over raw ASGI: read the body, notice a client that leaves, send whole answers or streams."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ENCODER = msgspec.json.Encoder()


class ClientGone(Exception):
    """The client closed the connection before its answer was complete."""


class Exchange:
    """Receives and sends for one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.status = 0
        self._receive = receive
        self._send = send

    def header(self, name: bytes) -> str:
        """Return a request header's value, empty when absent; ``name`` in lower case."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")

    async def body(self) -> bytes:
        """Read the whole body; raises ClientGone when it does not arrive in full."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    async def pause(self, seconds: float) -> None:
        """Wait, raising ClientGone at once when the client leaves meanwhile."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientGone

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of the answer."""
        self.status = status
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON answer."""
        data = _ENCODER.encode(value)
        sizes = {"content-type": "application/json", "content-length": str(len(data))}
        await self.start(status, {**sizes, **(headers or {})})
        await self.write(data, more=False)

    async def half(self, status: int, value: Any) -> None:
        """Promise a whole JSON answer and send half of it; the server then drops the connection."""
        data = _ENCODER.encode(value)
        await self.start(status, {"content-type": "application/json", "content-length": str(len(data))})
        await self.write(data[: len(data) // 2])

    async def event(self, value: Any) -> None:
        """Send one server-sent event with a JSON value."""
        await self.write(b"data: " + _ENCODER.encode(value) + b"\n\n")
