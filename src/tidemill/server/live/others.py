"""News of tasks, usage, notices and alerts made into live events: their payloads are complete, nothing is read."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from tidemill.datagen.facade import TaskChange
from tidemill.platform.events import Event
from tidemill.server.live.event import LiveEvent, now_ms

_decode_task = msgspec.json.Decoder(TaskChange).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


class TaskHistory(Protocol):
    """Whoever can tell which tasks changed."""

    async def changed_since(self, moment: datetime, limit: int) -> Sequence[TaskChange]:
        """Return up to ``limit`` tasks that changed since a moment, the newest first."""
        ...


class _Owned(Struct):
    user_id: int | None = None


_decode_owner = msgspec.json.Decoder(_Owned).decode


def task_event(change: TaskChange) -> LiveEvent:
    """Return the event of a task's change."""
    return LiveEvent(
        f"task.{change.event}",
        "tasks",
        key=change.task_id,
        version=str(change.seq),
        at_ms=int(change.at.timestamp() * 1000),
        user_id=change.user_id,
        data=change,
    )


def changed_tasks(history: TaskHistory) -> Callable[[datetime, int], Awaitable[tuple[list[LiveEvent], int | None]]]:
    """Return the reader of past task events that a replay asks."""

    async def changed(since: datetime, limit: int) -> tuple[list[LiveEvent], int | None]:
        changes = await history.changed_since(since, limit + 1)
        # They come by age of the task, not of the change: past the limit nothing is sure.
        return [task_event(change) for change in changes[:limit]], now_ms() if len(changes) > limit else None

    return changed


async def events_of_tasks(heard: Sequence[Event]) -> Sequence[LiveEvent]:
    """Return the events of task news."""
    return [task_event(_decode_task(event.payload)) for event in heard if event.payload]


def passed_on(
    topic: str, kind: str, *, public: bool = False
) -> Callable[[Sequence[Event]], Awaitable[Sequence[LiveEvent]]]:
    """Return what makes events of a topic whose payload is ``{user_id, ...}`` and is handed on as it is.

    ``public``: everybody who may watch the topic hears of them.
    """

    async def made_of(heard: Sequence[Event]) -> Sequence[LiveEvent]:
        return [
            LiveEvent(
                kind,
                topic,
                key=event.key,
                version="",
                at_ms=now_ms(),
                user_id=_decode_owner(event.payload).user_id,
                data=_decode_any(event.payload),
                public=public,
            )
            for event in heard
            if event.payload
        ]

    return made_of
