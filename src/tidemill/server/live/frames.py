"""Frames of the WebSocket: one JSON object a text frame, and who answers to which type.

A context adds types of its own by ``FrameHandlers.on(name, handler)``; the socket knows none of them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput, TidemillError, TooMany, Unavailable
from tidemill.kernel.lang import Lang
from tidemill.server.live.errors import UnknownFrame
from tidemill.server.live.outbox import Outgoing

T = TypeVar("T")
VERSION = 1
MAX_ID = 128
_SERVER_ERROR = 500
_encode = msgspec.json.Encoder().encode


class Frame(Struct, frozen=True, rename={"kind": "type"}):
    """What a client sends. ``id`` is its own number for the message; answers carry it."""

    kind: str
    v: int = VERSION
    id: str | None = None
    run: str | None = None
    data: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"{}"))

    def read(self, shape: type[T]) -> T:
        """Return ``data`` as ``shape``. Raises BadInput that names what is wrong."""
        try:
            return msgspec.json.decode(self.data, type=shape)
        except msgspec.MsgspecError as error:
            raise BadInput.of("data", str(error)) from error


class Caller(Protocol):
    """The other end of a socket, as a frame's handler sees it."""

    @property
    def actor(self) -> Actor:
        """Who is signed in."""
        ...

    @property
    def lang(self) -> Lang:
        """The language that the client asked for."""
        ...

    def reply(self, frame: Frame, kind: str, data: Any = None) -> None:
        """Send a frame that answers ``frame``: with its id and run."""
        ...

    def push(self, message: Outgoing) -> None:
        """Send a frame of one's own; never waits. One with a ``fold`` may be replaced by a later one of the same."""
        ...


FrameHandler = Callable[[Caller, Frame], Awaitable[None]]


class FrameHandlers:
    """Who answers to which type of frame. A handler returns soon: until then the socket reads nothing more."""

    def __init__(self) -> None:
        self._handlers: dict[str, FrameHandler] = {}

    def on(self, kind: str, handler: FrameHandler) -> None:
        """Let ``handler`` answer frames of type ``kind``; errors it raises are sent as ``error`` frames."""
        if kind in self._handlers:
            raise ValueError(f"somebody answers frames of type {kind} already")
        self._handlers[kind] = handler

    async def handle(self, caller: Caller, frame: Frame) -> None:
        """Answer a frame. Raises UnknownFrame for a type that nobody answers to."""
        handler = self._handlers.get(frame.kind)
        if handler is None:
            raise UnknownFrame(frame.kind[:50])
        await handler(caller, frame)


_decode = msgspec.json.Decoder(Frame).decode


def read_frame(text: str | None) -> Frame | None:
    """Return the frame in a message, None when it holds none of this version."""
    if text is None:
        return None
    try:
        frame = _decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    too_long = any(part is not None and len(part) > MAX_ID for part in (frame.kind, frame.id, frame.run))
    return None if frame.v != VERSION or too_long or not frame.kind else frame


def written(message: Outgoing, seq: int) -> str:
    """Return the text of a server's frame; ``seq`` counts the frames of one socket from 1."""
    middle = f'"id":{_encode(message.id).decode()},' if message.id is not None else ""
    middle += f'"run":{_encode(message.run).decode()},' if message.run is not None else ""
    return f'{{"v":1,"type":"{message.kind}",{middle}"seq":{seq},"data":{message.data.decode()}}}'


def error_data(fault: TidemillError, lang: Lang) -> dict[str, Any]:
    """Return what an ``error`` frame says."""
    said: dict[str, Any] = {
        "code": fault.code,
        "message": fault.message(lang),
        "detail": fault.detail,
        "retryable": isinstance(fault, TooMany | Unavailable) or fault.status >= _SERVER_ERROR,
    }
    if fault.retry_after_s is not None:
        said["retry_after_s"] = fault.retry_after_s
    if problems := fault.problems(lang):
        said["errors"] = problems
    return said
