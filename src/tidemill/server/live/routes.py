"""``GET /api/v1/events``: what the framework checks and documents of the event stream."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.platform.web import signed_in
from tidemill.server.live.live import Live
from tidemill.server.live.stream import EventStream
from tidemill.server.live.topics import chosen, named

Caller = NamedDependency[Actor]
Events = NamedDependency[Live]
_Topics = Annotated[
    str | None, QueryParameter(description="jobs, tasks, usage, notices, alerts, by commas; absent: all of them.")
]
_All = Annotated[bool, QueryParameter(name="all", description="Everybody's events; for administrators.")]
_After = Annotated[
    str | None, QueryParameter(description="As Last-Event-ID, for clients that cannot send the header at first.")
]
_LastEventId = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", description="The id of the last event seen: go on from there.")
]


class _Streamed(Response[str]):
    """An answer that is an application of its own: it outlives the handler without what the framework keeps."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__("", media_type="text/event-stream")
        self._stream = stream

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Return the stream itself."""
        return self._stream


@get(
    "/api/v1/events",
    guards=[signed_in],
    tags=["live events"],
    operation_id="watchEvents",
    media_type="text/event-stream",
)
async def watch_events(
    actor: Caller,
    live: Events,
    topics: _Topics = None,
    after: _After = None,
    last_event_id: _LastEventId = None,
    *,
    everybody: _All = False,
) -> Response[str]:
    """Stream what happens to one's jobs, tasks and usage (SSE): ``{type, topic, id, data}`` an event.

    Goes on after ``Last-Event-ID``; an event ``reset`` says that more was missed than can be told: read the lists
    again. ``?access_token=`` counts here.
    """
    wanted = chosen(actor, named(topics), everybody=everybody)
    return _Streamed(live.stream(actor, wanted, last_event_id or after, everybody=everybody))


HANDLERS: Sequence[ControllerRouterHandler] = (watch_events,)
