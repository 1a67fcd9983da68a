"""The frames about topics: subscribe, unsubscribe, resume; and ping."""

from typing import Any, cast

from msgspec import Struct

from tidemill.kernel.errors import BadInput
from tidemill.server.live.errors import NotWatching
from tidemill.server.live.event import now_ms, position_of
from tidemill.server.live.frames import Caller, Frame, FrameHandlers
from tidemill.server.live.hub import Hub
from tidemill.server.live.topics import TOPICS, chosen
from tidemill.server.live.watcher import Watcher


class Subscribe(Struct):
    """``topics``: none named means all that are open to the caller; ``all``: everybody's, for administrators."""

    topics: list[str] | None = None
    all: bool = False
    after: str | None = None


class Unsubscribe(Struct):
    """``topics``: none named means all."""

    topics: list[str] | None = None


class Resume(Struct):
    """``after``: the id of the last event seen, or an ``after`` that the server said."""

    after: str


def answer_topics(frames: FrameHandlers, hub: Hub) -> None:
    """Answer the frames about topics on behalf of ``hub``."""

    async def subscribe(caller: Caller, frame: Frame) -> None:
        wish = frame.read(Subscribe)
        watcher = cast("Watcher", caller)
        topics = chosen(caller.actor, wish.topics, everybody=wish.all)
        hub.follow(watcher, watcher.topics | topics, everybody=wish.all)
        caller.reply(frame, "subscribed", _standing(watcher))
        if wish.after is not None:
            await _resume(hub, watcher, frame, wish.after)

    async def unsubscribe(caller: Caller, frame: Frame) -> None:
        wish = frame.read(Unsubscribe)
        watcher = cast("Watcher", caller)
        left = watcher.topics - frozenset(TOPICS if wish.topics is None else wish.topics)
        hub.follow(watcher, left, everybody=watcher.everybody and bool(left))
        caller.reply(frame, "subscribed", _standing(watcher))

    async def resume(caller: Caller, frame: Frame) -> None:
        wish = frame.read(Resume)
        watcher = cast("Watcher", caller)
        if not watcher.topics:
            raise NotWatching
        await _resume(hub, watcher, frame, wish.after)

    async def ping(caller: Caller, frame: Frame) -> None:
        caller.reply(frame, "pong", {"after": str(now_ms())})

    frames.on("subscribe", subscribe)
    frames.on("unsubscribe", unsubscribe)
    frames.on("resume", resume)
    frames.on("ping", ping)


async def _resume(hub: Hub, watcher: Watcher, frame: Frame, after: str) -> None:
    position = position_of(after)
    if position is None:
        raise BadInput.of("data.after", "must be the id of an event, or an `after` that the server said")
    count = await hub.catch_up(watcher, position)
    cast("Caller", watcher).reply(frame, "resumed", {"events": count or 0, "reset": count is None})


def _standing(watcher: Watcher) -> dict[str, Any]:
    return {"topics": sorted(watcher.topics), "all": watcher.everybody, "after": str(now_ms())}
