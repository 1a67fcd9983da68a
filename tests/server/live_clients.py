"""Clients of live events for tests: a well-behaved one on aiohttp, and a bare socket that does as it is told."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp

from tests.fixtures.processes import Server

PATH = "/api/v1/ws"
DEADLINE_S = 30.0


class Talk:
    """A conversation over a WebSocket."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.heard: list[dict[str, Any]] = []

    async def say(self, kind: str, data: Any = None, **more: Any) -> None:
        await self.ws.send_json({"v": 1, "type": kind, **({} if data is None else {"data": data}), **more})

    async def hear(self) -> dict[str, Any]:
        """Return the next frame; raises AssertionError when the socket is closed instead."""
        message = await self.ws.receive(DEADLINE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message} after {self.heard[-5:]}"
        frame: dict[str, Any] = json.loads(message.data)
        self.heard.append(frame)
        return frame

    async def hear_until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first frame that is ``wanted``."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if wanted(frame := await self.hear()):
                    return frame

    async def closed(self) -> int | None:
        """Wait until the server closes and return its code."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.ws.receive(DEADLINE_S)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return self.ws.close_code
                self.heard.append(json.loads(message.data))

    @property
    def events(self) -> list[dict[str, Any]]:
        return [frame["data"] for frame in self.heard if frame["type"] == "event"]


def bearer(token: str) -> dict[str, str]:
    """Return the header that signs in."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def talking(
    server: Server, token: str | None = None, headers: dict[str, str] | None = None, protocols: tuple[str, ...] = ()
) -> AsyncGenerator[Talk]:
    """Open a WebSocket to ``server``."""
    given = {**({} if token is None else bearer(token)), **(headers or {})}
    async with aiohttp.ClientSession() as session:
        ws = await session.ws_connect(server.base_url + PATH, headers=given, protocols=protocols)
        try:
            yield Talk(ws)
        finally:
            await ws.close()


@asynccontextmanager
async def signed_in(server: Server, token: str) -> AsyncGenerator[Talk]:
    """Open a WebSocket and take its greeting."""
    async with talking(server, token) as talk:
        first = await talk.hear()
        assert first["type"] == "ready", first
        yield talk


class Stream:
    """An open event stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.last_id = ""
        self.heard: list[dict[str, Any]] = []

    async def block(self) -> str:
        """Return the next block of lines."""
        async with asyncio.timeout(DEADLINE_S):
            return (await self.answer.content.readuntil(b"\n\n")).decode()

    async def hear(self) -> dict[str, Any]:
        """Return the next event, past signs of life."""
        while True:
            fields = dict(line.split(": ", 1) for line in (await self.block()).splitlines() if line)
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                event: dict[str, Any] = json.loads(fields["data"])
                self.heard.append(event)
                return event

    async def hear_until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first event that is ``wanted``."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if wanted(event := await self.hear()):
                    return event


@asynccontextmanager
async def streaming(
    server: Server, token: str | None, query: str = "", headers: dict[str, str] | None = None
) -> AsyncGenerator[Stream]:
    """Open an event stream."""
    given = {**({} if token is None else bearer(token)), **(headers or {})}
    timeout = aiohttp.ClientTimeout(sock_read=DEADLINE_S * 2)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{server.base_url}/api/v1/events{query}", headers=given) as answer,
    ):
        yield Stream(answer)


class BareSocket:
    """A WebSocket spoken by hand: frames of any shape, pongs only when told, reading only when told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self.head = head.lower()
        self.reader = reader
        self.writer = writer

    def frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        length = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65_536:
            head += bytes([0x80 | 126]) + struct.pack("!H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", length)
        self.writer.write(head + b"\0\0\0\0" + payload)

    async def read_frame(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload; a lost connection is (-1, b"")."""
        try:
            async with asyncio.timeout(DEADLINE_S * 2):
                first, length = await self.reader.readexactly(2)
                if length == 126:
                    (length,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 0x0F, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return -1, b""

    async def hear(self) -> dict[str, Any]:
        """Return the next frame of text, answering pings; raises AssertionError when the socket is closed instead."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == 9:
                self.frame(10, payload)
                continue
            assert opcode == 1, (opcode, payload)
            frame: dict[str, Any] = json.loads(payload)
            return frame

    async def close_code(self) -> int:
        """Read until the server closes; returns its code, -1 when the connection is cut without one."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")
            if opcode == -1:
                return -1


def bare(server: Server, token: str) -> AbstractAsyncContextManager[BareSocket]:
    """Open a WebSocket to ``server`` by hand."""
    return bare_to(server.port, token)


@asynccontextmanager
async def bare_to(port: int, token: str = "") -> AsyncGenerator[BareSocket]:
    """Open a WebSocket by hand, that takes little from the network before it is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**12)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Authorization: Bearer {token}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    try:
        yield BareSocket(reader, writer, head.decode())
    finally:
        writer.transport.abort()
