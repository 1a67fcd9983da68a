"""Where an answer goes when the caller lives in this process."""

import asyncio

from tidemill.relay.pipeline.ask import Headers
from tidemill.relay.pipeline.watch import Watched

# A few events ahead of the reader; beyond it the upstream is not read either.
_MOST_WAITING = 16


class CollectingSink:
    """Keeps a plain answer."""

    def __init__(self) -> None:
        self.started = False
        self.body = b""
        self.headers: dict[bytes, bytes] = {}

    def attach(self, watched: Watched) -> None:
        """Nothing to do: whoever awaits the call cancels it by itself."""
        del watched

    async def start(self, status: int, headers: Headers) -> None:
        """Note the headers."""
        del status
        self.started = True
        self.headers = dict(headers)

    def interject(self, headers: Headers, comment: bytes) -> None:
        """Drop comments: nobody's connection needs keeping alive."""
        del headers, comment

    async def write(self, data: bytes) -> None:
        """Keep a part."""
        self.body += data

    def post(self, data: bytes) -> bool:
        """Keep a part."""
        self.body += data
        return True

    async def end(self, data: bytes = b"") -> None:
        """Keep the last part."""
        self.body += data


class QueueSink:
    """Hands a stream to a reader in another task; the reader's pace is the writer's."""

    def __init__(self) -> None:
        self.started = False
        self._parts: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_MOST_WAITING)

    def attach(self, watched: Watched) -> None:
        """Nothing to do: the reader cancels the writer's task."""
        del watched

    async def start(self, status: int, headers: Headers) -> None:
        """Note that the stream has begun."""
        del status, headers
        self.started = True

    def interject(self, headers: Headers, comment: bytes) -> None:
        """Add a comment unless the reader is behind anyway."""
        del headers
        self.started = True
        if self._parts.empty():
            self._parts.put_nowait(comment)

    async def write(self, data: bytes) -> None:
        """Add a part; waits while the reader is behind."""
        await self._parts.put(data)

    def post(self, data: bytes) -> bool:
        """Add a part unless the reader is behind."""
        if self._parts.full():
            return False
        self._parts.put_nowait(data)
        return True

    async def end(self, data: bytes = b"") -> None:
        """Add the last part."""
        if data:
            await self._parts.put(data)
        await self._parts.put(None)

    def fail(self, error: BaseException) -> None:
        """Let the reader raise ``error`` once it has read what came before; never waits."""
        if self._parts.full():
            self._parts.get_nowait()
        self._parts.put_nowait(error)

    async def read(self) -> bytes:
        """Return the next part, empty at the end; raises what ended the call."""
        part = await self._parts.get()
        if isinstance(part, BaseException):
            raise part
        return part or b""
