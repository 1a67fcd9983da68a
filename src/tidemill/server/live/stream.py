"""The event stream (SSE, WHATWG HTML § 9.2) at ``GET /api/v1/events``.

One task a stream: it waits for the peer to leave. Signs of life come from the hub's one clock.
"""

import asyncio
import contextlib
from typing import Any, ClassVar, Literal

import msgspec

from tidemill.identity.facade import Standing
from tidemill.server.entry import Receive, Scope, Send
from tidemill.server.live.event import READY, LiveEvent, now_ms, position_of, reset_event
from tidemill.server.live.hub import Hub
from tidemill.server.live.outbox import Outgoing
from tidemill.server.live.watcher import Watcher

RETRY_MS = 2_000
LAST_WORD_S = 1.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_BEAT = "beat"
_encode = msgspec.json.Encoder().encode


class StreamWatcher(Watcher):
    """One open event stream."""

    kind: ClassVar[Literal["sse", "ws"]] = "sse"
    __slots__ = ("_send",)

    def __init__(self, standing: Standing, hub: Hub, send: Send) -> None:
        super().__init__(standing, hub.tasks)
        self._send = send

    async def send(self, message: Outgoing) -> None:
        """Send one event, or a sign of life that moves the position on without being an event."""
        if message.kind == _BEAT:
            body = b": still here\nid: %d\n\n" % now_ms()
        else:
            body = b"id: %b\ndata: %b\n\n" % ((message.id or "").encode(), message.data)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def beat(self) -> None:
        """Give a sign of life, unless something is being sent anyway."""
        if self.is_idle:
            self.push(Outgoing(_BEAT, b"", fold=_BEAT))

    def overflow(self) -> None:
        """Let a reader that is far too slow read its lists again."""
        self.forget_waiting()
        event = reset_event()
        self.push(Outgoing("event", event.body, event.id))


class EventStream:
    """The answer to one request for events, as an ASGI application."""

    def __init__(
        self, hub: Hub, standing: Standing, topics: frozenset[str], after: str | None, *, everybody: bool
    ) -> None:
        self._hub = hub
        self._standing = standing
        self._topics = topics
        self._after = after
        self._everybody = everybody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the peer leaves, the process drains or the credential is taken back."""
        del scope
        watcher = StreamWatcher(self._standing, self._hub, send)
        self._hub.admit(watcher)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": self._greeting(), "more_body": True})
            with contextlib.suppress(TimeoutError):  # the hub's way of ending it
                async with asyncio.timeout(None) as watcher.deadline:
                    await self._watch(watcher, receive)
        finally:
            self._hub.dismiss(watcher)
            await watcher.silence()
        if watcher.code is not None:
            with contextlib.suppress(TimeoutError):  # a peer that reads nothing hears no last word
                async with asyncio.timeout(LAST_WORD_S):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _greeting(self) -> bytes:
        data: dict[str, Any] = {"topics": sorted(self._topics), "all": self._everybody}
        ready = LiveEvent(READY, "", key="", version="", at_ms=now_ms(), user_id=None, data=data)
        return b"retry: %d\nid: %b\ndata: %b\n\n" % (RETRY_MS, ready.id.encode(), ready.body)

    async def _watch(self, watcher: StreamWatcher, receive: Receive) -> None:
        self._hub.follow(watcher, self._topics, everybody=self._everybody)
        if self._after is not None:
            position = position_of(self._after)
            if position is None:
                watcher.hear(reset_event())
            else:
                await self._hub.catch_up(watcher, position)
        while (await receive())["type"] != "http.disconnect":
            pass
