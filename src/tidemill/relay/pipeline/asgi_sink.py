"""Where an answer goes when the caller is behind an ASGI server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from tidemill.platform.tasks import TaskOwner
from tidemill.relay.pipeline.ask import Headers
from tidemill.relay.pipeline.watch import Watched
from tidemill.relay.ports import LEAVING, POST, Leaving, Post

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def _post_nothing(data: bytes) -> bool:
    """Stand in for a server that can only be awaited."""
    del data
    return False


class AsgiSink:
    """Sends to an ASGI server and hears of the client's leaving. ``headers`` go with every answer.

    ``extensions``: what the server can do beyond ASGI (``relay.ports``).
    """

    __slots__ = (
        "_busy",
        "_headers",
        "_leaving",
        "_listening",
        "_post",
        "_receive",
        "_send",
        "_tasks",
        "late_headers",
        "started",
        "watched",
    )

    def __init__(
        self, receive: Receive, send: Send, tasks: TaskOwner, headers: Headers, extensions: Mapping[str, Any]
    ) -> None:
        self._receive = receive
        self._send = send
        self._post: Post = extensions.get(POST, _post_nothing)
        self._leaving: Leaving | None = extensions.get(LEAVING)
        self._tasks = tasks
        self._headers = headers
        self._busy = False
        self._listening: asyncio.Task[None] | None = None
        self.started = False
        self.watched: Watched | None = None
        # Headers known only once the call has been counted, such as what is left of a limit.
        self.late_headers: Callable[[], Headers] | None = None

    def attach(self, watched: Watched) -> None:
        """Hear of the client's leaving: from the server, else by listening once the call has lasted a tick."""
        self.watched = watched
        if self._leaving is None:
            watched.on_hang_up_watch = self._start_listening
        else:
            self._leaving.tell(watched.hang_up)

    def _start_listening(self) -> None:
        self._listening = self._tasks.spawn("client hang-up", self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # a client that goes on sending after its body has ended is still there
        if self.watched is not None:
            self.watched.hang_up()

    @property
    def hung_up(self) -> bool:
        """Whether the client left."""
        return self.watched is not None and self.watched.hung_up

    async def start(self, status: int, headers: Headers) -> None:
        """Send the status line."""
        self.started = True
        late = self.late_headers() if self.late_headers is not None else ()
        all_headers = [*self._headers, *headers, *late]
        await self._send({"type": "http.response.start", "status": status, "headers": all_headers})

    def interject(self, headers: Headers, comment: bytes) -> None:
        """Send a comment beside the call's own task; every write is whole events, so it falls between two."""
        if not self._busy:
            self._busy = True
            self._tasks.spawn("keep-alive", self._comment(headers, comment))

    async def _comment(self, headers: Headers, comment: bytes) -> None:
        try:
            if not self.started:
                await self.start(200, headers)
            await self._send({"type": "http.response.body", "body": comment, "more_body": True})
        finally:
            self._busy = False

    def write(self, data: bytes) -> Awaitable[None]:
        """Send a part; the server makes this wait while the client is slow."""
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    def post(self, data: bytes) -> bool:
        """Send a part now, if the server can."""
        return self._post(data)

    async def end(self, data: bytes = b"") -> None:
        """Send the last part."""
        self._busy = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    def close(self) -> None:
        """Listen no more."""
        if self._leaving is not None and self.watched is not None:
            self._leaving.forget(self.watched.hang_up)
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None  # its traceback knows this sink in turn
