"""The sinks of a call that caching stands before: one that listens along, one that holds a whole answer, one's own."""

import asyncio
from collections.abc import Awaitable

from tidemill.kernel import clock
from tidemill.relay.errors import ClientTooSlow
from tidemill.relay.pipeline.ask import Headers, Sink
from tidemill.relay.pipeline.watch import Watched

# Of the headers of an answer, those that belong to it and not to the call that made it.
_KEPT_HEADERS = frozenset(
    {b"content-type", b"content-length", b"cache-control", b"x-accel-buffering", b"x-dropped-params"}
)
_OK = 200


def mark(word: bytes) -> tuple[bytes, bytes]:
    """Return the header that says what a cache did."""
    return (b"x-gateway-cache", word)


class Tee:
    """Hands everything on and keeps a copy of up to ``max_bytes``; comments are handed on, not kept."""

    def __init__(self, inner: Sink, max_bytes: int) -> None:
        self._inner = inner
        self._left = max_bytes
        self._parts: list[bytes] = []
        self._status = 0
        self._ended = False
        self.headers: Headers = []

    @property
    def parts(self) -> list[bytes] | None:
        """What was written, if it was a whole good answer within the bound."""
        return self._parts if self._ended and self._status == _OK and self._left >= 0 else None

    @property
    def started(self) -> bool:
        """Whether the status has gone out."""
        return self._inner.started

    def attach(self, watched: Watched) -> None:
        """Let the sink learn of its call."""
        self._inner.attach(watched)

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer, which is none that was kept."""
        self._note(status, headers)
        await self._inner.start(status, [*headers, mark(b"miss")])

    def interject(self, headers: Headers, comment: bytes) -> None:
        """Send a comment; it may begin the answer."""
        if not self.started:
            self._note(_OK, headers)
        self._inner.interject([*headers, mark(b"miss")], comment)

    async def write(self, data: bytes) -> None:
        """Send a part."""
        self._keep(data)
        await self._inner.write(data)

    def post(self, data: bytes) -> bool:
        """Send a part now, if that can be."""
        sent = self._inner.post(data)
        if sent:
            self._keep(data)
        return sent

    async def end(self, data: bytes = b"") -> None:
        """Send the last part."""
        self._keep(data)
        await self._inner.end(data)
        self._ended = True

    def _note(self, status: int, headers: Headers) -> None:
        self._status = status
        self.headers = [pair for pair in headers if pair[0] in _KEPT_HEADERS]

    def _keep(self, data: bytes) -> None:
        if self._left < 0:
            return
        self._left -= len(data)
        if self._left < 0:
            self._parts = []
        elif data:
            self._parts.append(data)


class Outlet:
    """The client's sink, written to within a bound: one that does not read for ``idle_s`` seconds is let go."""

    def __init__(self, sink: Sink, watched: Watched, idle_s: float) -> None:
        self._sink = sink
        self._watched = watched
        self._idle_s = idle_s

    async def start(self, headers: Headers) -> None:
        """Begin a good answer."""
        await self._bounded(self._sink.start(_OK, headers))

    async def write(self, data: bytes) -> None:
        """Send a part."""
        await self._bounded(self._sink.write(data))

    async def end(self, data: bytes) -> None:
        """Send the last part."""
        await self._bounded(self._sink.end(data))

    async def _bounded(self, work: Awaitable[None]) -> None:
        watched = self._watched
        now = watched.quiet_since = clock.monotonic()
        watched.until(now + self._idle_s, ClientTooSlow)
        try:
            await work
        except asyncio.CancelledError:
            expired = watched.expired()
            if expired is None:
                raise
            raise expired from None
        finally:
            watched.at_ease()
