"""One HTTP exchange over raw ASGI: read the body, notice a client that leaves, answer as planned, sound or spoilt."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tidemill.kernel import clock
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.faults import NO_FAULTS, Plan

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRANSPORT = "simulator.transport"
"""Name of the ASGI extension that holds the connection's transport."""

GARBAGE = b'\x00\xff\xfe{"this is": no JSON at all,,,\x80\n\n'
SILENCE_S = 600.0  # longer than any client waits, short enough that a forgotten connection ends

_ENCODER = msgspec.json.Encoder()
encode = _ENCODER.encode


# Names of headers, and the values that are always the same, as bytes.
_ENCODED: dict[str, bytes] = {}


def keep_encoded(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers that never change, having made their bytes once for all answers."""
    for text in (*headers, *headers.values()):
        _encoded(text)
    return headers


def _encoded(text: str) -> bytes:
    return _ENCODED.setdefault(text, text.encode("latin-1"))


class ClientGone(Exception):
    """The client closed the connection before its answer was complete."""


class Ended(Exception):
    """A planned fault has ended the answer early; nothing more is to be sent."""


class Exchange:
    """One request and its answer. ``model`` and ``key`` are what the client named, empty when it named none.

    ``error_of`` and ``failure_of`` word a planned error as the provider does: as a body, as an event of a stream.
    """

    __slots__ = (
        "_named",
        "_receive",
        "_send",
        "_transport",
        "arrived_s",
        "config",
        "data",
        "error_of",
        "events",
        "failure_of",
        "headers",
        "key",
        "method",
        "model",
        "path",
        "plan",
        "route",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, config: SimulatorConfig) -> None:
        self.scope = scope
        self.config = config
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.route: str = self.path
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._named: dict[bytes, bytes] = dict(self.headers)
        self.data = b""
        self.model = ""
        self.key = ""
        self.plan: Plan = NO_FAULTS
        self.error_of: Callable[[str], Any] = str
        self.failure_of: Callable[[str], bytes] = str.encode
        self.status = 0
        self.events = 0
        self.arrived_s = clock.monotonic()
        self._receive = receive
        self._send = send
        extensions: dict[str, Any] = scope.get("extensions") or {}
        self._transport: asyncio.Transport | None = extensions.get(TRANSPORT)

    def header(self, name: bytes) -> str:
        """Return a request header's value, the last of several, empty when absent; ``name`` in lower case."""
        value = self._named.get(name)
        return value.decode("latin-1") if value else ""

    def query(self, name: str) -> str:
        """Return the first value of a query parameter, empty when absent."""
        given: bytes = self.scope.get("query_string", b"")
        return parse_qs(given.decode("latin-1")).get(name, [""])[0] if given else ""

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
        encoded = _ENCODED
        pairs = [
            (encoded.get(name) or _encoded(name), encoded.get(value) or value.encode("latin-1"))
            for name, value in headers.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of the body; raises ClientGone when nobody is there to read it."""
        if self._transport is not None and self._transport.is_closing():
            raise ClientGone
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON answer as it is, whatever faults are planned."""
        await self.whole(status, encode(value), headers)

    async def whole(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer as it is; JSON unless the headers say otherwise."""
        sizes = {"content-type": "application/json", "content-length": str(len(data))}
        await self.start(status, {**sizes, **(headers or {})})
        await self.write(data, more=False)

    async def answer(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send the answer to a request that was understood, as JSON, with the planned faults."""
        await self.deliver(encode(value), headers)

    async def deliver(self, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send the bytes of such an answer, with the planned faults."""
        if self.plan:
            data, headers = await self._spoil(data, headers or {})
        await self.whole(200, data, headers)

    async def _spoil(self, data: bytes, headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        plan = self.plan
        if cut := plan.get("cut"):
            await self.start(200, {"content-type": "application/json", "content-length": str(len(data)), **headers})
            if cut.at != "start":
                await self.write(data[: len(data) // 2])
            raise Ended
        if stall := plan.get("stall"):
            await self.pause(SILENCE_S if stall.s is None else stall.s)
        if wrong := plan.get("error") or plan.get("error200"):
            data = encode(self.error_of(wrong.as_ or "500"))
        elif "bytes" in plan:
            data = GARBAGE
        elif "empty" in plan:
            data = b""
        if kind := plan.get("type"):
            headers = {**headers, "content-type": kind.as_ or "text/html"}
        return data, headers

    async def hang_up(self) -> None:
        """Close the connection without a byte of an answer."""
        if self._transport is not None:
            self._transport.abort()
            while (await self._receive())["type"] != "http.disconnect":
                pass
        raise Ended
