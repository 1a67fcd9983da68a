"""The WebSocket at ``/api/v1/ws``: signed in before anything else, then frames both ways until one side ends it.

One task reads; another one runs while there is something to send. Pings, dead peers and the size of a frame are the
protocol's business (``protocol``); what a frame means is the handlers' (``frames``).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from tidemill.identity.facade import Standing
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import Forbidden, TidemillError
from tidemill.kernel.lang import Lang, from_accept_language
from tidemill.platform.telemetry import get_logger, user_id
from tidemill.platform.web.guards import ACTOR, REFUSAL
from tidemill.server.entry import Receive, Scope, Send
from tidemill.server.live import closing, figures
from tidemill.server.live.bounds import PING_S
from tidemill.server.live.event import now_ms
from tidemill.server.live.frames import Frame, FrameHandlers, error_data, read_frame, written
from tidemill.server.live.hub import Hub
from tidemill.server.live.outbox import Outgoing
from tidemill.server.live.topics import open_to
from tidemill.server.live.watcher import Watcher

log = get_logger(__name__)

PROTOCOL = "tidemill.v1"
AUTH_S = 5.0
# Sockets that have not said who they are yet.
MOST_UNKNOWN = 1_000
# Frames that a client may send: a burst, then so many a second.
BURST = 100.0
FRAMES_PER_S = 20.0
_encode = msgspec.json.Encoder().encode

Greet = Callable[[str, str | None], Awaitable[Actor | TidemillError | None]]
Stand = Callable[[Actor], Standing]


class _Auth(msgspec.Struct):
    token: str


class _Refused(Exception):
    def __init__(self, code: int, fault: TidemillError | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.fault = fault


class Socket(Watcher):
    """One open WebSocket whose other end is signed in."""

    kind: ClassVar[Literal["sse", "ws"]] = "ws"
    __slots__ = ("_allowance", "_counted_s", "_send", "_seq", "lang")

    def __init__(self, standing: Standing, hub: Hub, send: Send, lang: Lang) -> None:
        super().__init__(standing, hub.tasks)
        self.lang: Lang = lang
        self._send = send
        self._seq = 0
        self._allowance = BURST
        self._counted_s = clock.monotonic()

    def beat(self) -> None:
        """Leave it to the WebSocket's own pings."""

    async def send(self, message: Outgoing) -> None:
        """Send one frame."""
        self._seq += 1
        await self._send({"type": "websocket.send", "text": written(message, self._seq)})

    def reply(self, frame: Frame, kind: str, data: Any = None) -> None:
        """Send a frame that answers ``frame``."""
        self.push(Outgoing(kind, b"{}" if data is None else _encode(data), frame.id, frame.run))

    def may_send(self) -> bool:
        """Count a frame of the client; False when it sends too many."""
        now_s = clock.monotonic()
        self._allowance = min(BURST, self._allowance + (now_s - self._counted_s) * FRAMES_PER_S)
        self._counted_s = now_s
        self._allowance -= 1
        return self._allowance >= 0


class Sockets:
    """The ASGI application of ``/api/v1/ws``. Who calls was looked for by the edge, in headers and cookie."""

    def __init__(self, hub: Hub, frames: FrameHandlers, greet: Greet, stand: Stand) -> None:
        self._hub = hub
        self._frames = frames
        self._greet = greet
        self._stand = stand
        self._unknown = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        await receive()
        chosen = PROTOCOL if PROTOCOL in scope.get("subprotocols", ()) else None
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": scope["state"].get("headers", [])})
        lang = from_accept_language(_header(scope["headers"], b"accept-language"), "en")
        try:
            actor, opening = await self._signed_in(scope, receive)
            socket = Socket(self._stand(actor), self._hub, send, lang)
            self._admit(socket)
        except _Refused as refused:
            if refused.fault is not None:
                data = _encode(error_data(refused.fault, lang))
                await send({"type": "websocket.send", "text": written(Outgoing("error", data), 1)})
            await _close(send, refused.code)
            scope["state"]["close_code"] = refused.code
            figures.closed.labels(Socket.kind, str(refused.code)).inc()
            return
        except _Gone:
            return
        user_id.set(actor.user_id)
        try:
            await self._serve(socket, scope, receive, opening)
        except _Gone:
            pass
        finally:
            self._hub.dismiss(socket)
            await socket.silence()
        if socket.code is not None:
            scope["state"]["close_code"] = socket.code
            with contextlib.suppress(OSError):  # the peer may have gone meanwhile
                await _close(send, socket.code)

    async def _signed_in(self, scope: Scope, receive: Receive) -> tuple[Actor, Frame | None]:
        state = scope["state"]
        if (refusal := state.get(REFUSAL)) is not None:
            raise _Refused(_code_of(refusal), refusal)
        if (actor := state.get(ACTOR)) is not None:
            return actor, None
        if self._unknown >= MOST_UNKNOWN:
            raise _Refused(closing.TRY_LATER)
        self._unknown += 1
        try:
            async with asyncio.timeout(AUTH_S):
                frame = read_frame(await _text(receive))
                if frame is None:
                    raise _Refused(closing.BAD_FRAME)
                return await self._recognised(frame, scope), frame
        except TimeoutError:
            raise _Refused(closing.NO_AUTH_IN_TIME) from None
        finally:
            self._unknown -= 1

    async def _recognised(self, frame: Frame, scope: Scope) -> Actor:
        if frame.kind != "auth":
            raise _Refused(closing.NOT_SIGNED_IN)
        try:
            token = frame.read(_Auth).token
        except TidemillError as error:
            raise _Refused(closing.NOT_SIGNED_IN, error) from error
        found = await self._greet(token, scope["client"][0] if scope.get("client") else None)
        if isinstance(found, Actor):
            return found
        raise _Refused(closing.NOT_SIGNED_IN if found is None else _code_of(found), found)

    def _admit(self, socket: Socket) -> None:
        try:
            self._hub.admit(socket)
        except TidemillError as error:
            code = closing.GOING_AWAY if self._hub.draining else closing.TRY_LATER
            raise _Refused(code, error) from error

    async def _serve(self, socket: Socket, scope: Scope, receive: Receive, opening: Frame | None) -> None:
        socket.push(Outgoing("ready", _encode(_ready(socket.actor)), opening.id if opening else None))
        try:
            async with asyncio.timeout(None) as socket.deadline:
                while socket.code is None:
                    await self._answer(socket, await _text(receive), scope)
        except TimeoutError:
            if socket.code is None:
                raise

    async def _answer(self, socket: Socket, text: str | None, scope: Scope) -> None:
        frame = read_frame(text)
        if frame is None:
            socket.end(closing.BAD_FRAME)
        elif not socket.may_send():
            socket.end(closing.POLICY)
        else:
            try:
                if frame.kind == "auth":
                    await self._renew(socket, frame, scope)
                else:
                    await self._frames.handle(socket, frame)
            except _Refused as refused:
                socket.end(refused.code)
            except TidemillError as error:
                socket.reply(frame, "error", error_data(error, socket.lang))
            except Exception as error:
                # The edge of a frame: whatever its handler died of, the socket lives on.
                log.exception("ws.frame_failed", type=frame.kind, exc_info=error)
                socket.reply(frame, "error", error_data(TidemillError(), socket.lang))

    async def _renew(self, socket: Socket, frame: Frame, scope: Scope) -> None:
        """Take a newer credential of the same user, so that the socket outlives the first one."""
        actor = await self._recognised(frame, scope)
        if actor.user_id != socket.actor.user_id or not socket.topics <= open_to(actor):
            raise _Refused(closing.FORBIDDEN)
        socket.standing = self._stand(actor)
        socket.reply(frame, "ready", _ready(actor))


class _Gone(Exception):
    """The other end has closed, or is lost."""


async def _text(receive: Receive) -> str | None:
    """Return the next message's text, None for a binary one."""
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise _Gone
    return message.get("text")


async def _close(send: Send, code: int) -> None:
    await send({"type": "websocket.close", "code": code, "reason": closing.REASONS[code]})


def _ready(actor: Actor) -> dict[str, Any]:
    return {
        "user_id": actor.user_id,
        "username": actor.username,
        "topics": sorted(open_to(actor)),
        "may_watch_all": actor.may_administer,
        "heartbeat_s": PING_S,
        "after": str(now_ms()),
    }


def _code_of(fault: TidemillError) -> int:
    return closing.FORBIDDEN if isinstance(fault, Forbidden) else closing.NOT_SIGNED_IN


def _header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
