"""A model service made of raw bytes: it answers, stalls, breaks and hangs up exactly as a test says."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

# Long enough for a machine with much else to do; a test that goes well never waits for it.
DEADLINE_S = 30.0
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "upstream-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


def chunk(content: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return one streamed chunk."""
    delta = {} if content is None else {"content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **fields,
    }


ROLE = chunk() | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
USAGE: dict[str, Any] = chunk() | {
    "choices": [],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


class Request:
    """What reached the service."""

    def __init__(self, path: str, headers: Mapping[str, str], raw: bytes) -> None:
        self.path = path
        self.headers = headers
        self.raw = raw

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Wire:
    """The service's end of one exchange."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.left = False

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def json(self, body: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    async def begin_stream(self) -> None:
        await self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def event(self, body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        await self.piece(f"data: {text}\n\n".encode())

    async def piece(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_stream(self, *, done: bool = True) -> None:
        if done:
            await self.event("[DONE]")
        await self.raw(b"0\r\n\r\n")

    def drop(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()
        self.left = True

    async def caller_hangs_up(self) -> None:
        """Wait until the caller closes the connection."""
        async with asyncio.timeout(DEADLINE_S):
            while await self._reader.read(4096):
                pass


Script = Callable[[Request, Wire], Awaitable[None]]


async def answers(request: Request, wire: Wire) -> None:
    """Answer well, plain or streamed, as asked."""
    if request.path.endswith("/embeddings"):
        await wire.json(
            {
                "object": "list",
                "model": "upstream-model",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
                "usage": {"prompt_tokens": 4, "total_tokens": 4},
            }
        )
    elif not request.body.get("stream"):
        await wire.json(ANSWER)
    else:
        await wire.begin_stream()
        await wire.event(ROLE)
        await wire.event(chunk("hel"))
        await wire.event(chunk("lo"))
        await wire.event(chunk(finish="stop"))
        if request.body.get("stream_options", {}).get("include_usage"):
            await wire.event(USAGE)
        await wire.end_stream()


def refuses(status: int, message: str = "no", headers: Sequence[tuple[str, str]] = (), **error: Any) -> Script:
    """Answer with an error."""

    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.json({"error": {"message": message, "type": "x", **error}}, status, headers)

    return script


async def drops(request: Request, wire: Wire) -> None:
    """Hang up instead of answering."""
    del request
    wire.drop()


class Upstream:
    """A service on a loopback port; ``scripts`` are used up one a request, then ``otherwise`` serves."""

    def __init__(self, otherwise: Script = answers) -> None:
        self.otherwise = otherwise
        self.scripts: deque[Script] = deque()
        self.seen: list[Request] = []
        self.arrived = asyncio.Event()
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                self.seen.append(request)
                self.arrived.set()
                wire = Wire(reader, writer)
                script = self.scripts.popleft() if self.scripts else self.otherwise
                await script(request, wire)
                if wire.left:
                    return
        except ConnectionError:
            return  # the caller hung up; a script that cares waits for it itself
        finally:
            writer.close()

    async def next_request(self) -> Request:
        """Wait for one more request than were there at the last call."""
        async with asyncio.timeout(DEADLINE_S):
            await self.arrived.wait()
        self.arrived.clear()
        return self.seen[-1]


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(first.split(" ")[1], headers, raw)


@asynccontextmanager
async def upstream(otherwise: Script = answers) -> AsyncGenerator[Upstream]:
    """Run a service while the block lasts."""
    service = Upstream(otherwise)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(service.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    service.url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]  # noqa: UP031 - a port
    try:
        yield service
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
