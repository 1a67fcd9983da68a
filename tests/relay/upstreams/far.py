"""The far end: a service of raw bytes that does with each request what a test says."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from tidemill.relay.upstreams.port import Errand, UpstreamAnswer, Upstreams

DEADLINE_S = 10.0
HEADERS: Sequence[tuple[str, str]] = (("content-type", "application/json"), ("accept-encoding", "identity"))
MEGABYTE = 1024 * 1024


class Asked(NamedTuple):
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


class Line:
    """The service's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def say(self, *pieces: bytes) -> None:
        """Send the pieces, each by itself as far as sockets allow."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def plain(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Answer with a length."""
        lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}"]
        await self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def asked(self) -> Asked | None:
        """Return the next request, None when the caller has left."""
        head = await self.head()
        if head is None:
            return None
        body = await self.reader.readexactly(int(head.headers.get("content-length", "0")))
        return head._replace(body=body)

    async def head(self) -> Asked | None:
        """Return the next request without reading its body."""
        try:
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = text.rstrip("\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Asked(first, {name.lower(): value.strip() for name, _, value in pairs}, b"")

    async def left(self) -> None:
        """Wait until the caller has closed the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return

    def close(self) -> None:
        """Close in an orderly way."""
        self.writer.close()

    def reset(self) -> None:
        """Close so that the caller's next write is answered with a reset."""
        self.writer.transport.abort()


Script = Callable[[Line, Asked], Awaitable[None]]


class Far:
    """A service on a loopback port. ``left``: connections that the caller closed, by their number."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.lines: list[Line] = []
        self.ended: set[int] = set()
        self.changed = asyncio.Condition()
        self.errors: list[BaseException] = []
        self.url = ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer, len(self.lines))
        self.lines.append(line)
        try:
            while (asked := await line.asked()) is not None:
                self.asked.append(asked)
                await self._tell()
                await self.script(line, asked)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller left; tests wait for that through ``gone``
        except Exception as error:  # noqa: BLE001 - a script's own assertion: the test shall fail of it
            self.errors.append(error)
        finally:
            writer.close()
            self.ended.add(line.number)
            await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so at this end."""
        async with asyncio.timeout(DEADLINE_S), self.changed:
            await self.changed.wait_for(holds)

    async def gone(self, count: int = 1) -> None:
        """Wait until so many connections have ended."""
        await self.until(lambda: len(self.ended) >= count)


@asynccontextmanager
async def far(script: Script, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Far]:
    """Run a service while the block lasts; an error inside a script is raised at its end."""
    service = Far(script)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(service.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    service.port = server.sockets[0].getsockname()[1]
    service.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{service.port}/v1/chat/completions"
    try:
        yield service
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if service.errors:
        raise service.errors[0]


def errand(to: Far | str, body: bytes = b"{}", pool: int = 1, headers: Sequence[tuple[str, str]] = HEADERS) -> Errand:
    """Return a request."""
    return Errand(pool, to if isinstance(to, str) else to.url, headers, body)


async def asking(upstreams: Upstreams, to: Far | str, body: bytes = b"{}", pool: int = 1) -> UpstreamAnswer:
    """Send a request within the deadline of tests."""
    async with asyncio.timeout(DEADLINE_S):
        return await upstreams.send(errand(to, body, pool))


async def whole(upstreams: Upstreams, to: Far | str, body: bytes = b"{}", pool: int = 1) -> bytes:
    """Send a request and return the body of its answer."""
    answer = await asking(upstreams, to, body, pool)
    async with asyncio.timeout(DEADLINE_S):
        try:
            data = await answer.read(64 * MEGABYTE)
        except BaseException:
            await answer.abort()
            raise
        await answer.finish()
    return data
