"""Live events of one process, put together: the hub, its sources, the stream and the socket."""

from tidemill.datagen.facade import TaskNews
from tidemill.identity.facade import Identity, Standing
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database
from tidemill.platform.events import EventBus, MemoryEvents
from tidemill.platform.settings.groups.edge import LimitSettings
from tidemill.server.live.frames import FrameHandlers
from tidemill.server.live.hub import Hub, Limits, Rights, Source
from tidemill.server.live.jobs import JobEvents
from tidemill.server.live.others import changed_tasks, events_of_tasks, passed_on
from tidemill.server.live.replay import Replays
from tidemill.server.live.socket import Greet, Sockets
from tidemill.server.live.stream import EventStream
from tidemill.server.live.subscribing import answer_topics


class RightsOf:
    """What live events ask of identity."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    @property
    def version(self) -> object:
        """What is known of everybody, another object after each change."""
        return self._identity.snapshots.current

    def standing(self, actor: Actor) -> Standing:
        """Note what somebody who begins to watch stands on."""
        return self._identity.standing(actor)

    def holds(self, begun: Standing) -> bool:
        """Tell whether somebody's credential and rights are what they were."""
        return self._identity.holds(begun)


class Live:
    """Everything that watches and is watched in one process."""

    def __init__(self, db: Database, events: EventBus, rights: Rights, greet: Greet, limits: LimitSettings) -> None:
        # Every process reads the news of tasks for itself, at the database's bell; nothing of it travels.
        self._here = MemoryEvents()
        self._task_news = TaskNews(db, self._here)
        self._events = events
        self._rights = rights
        replays = Replays(db, {"tasks": changed_tasks(self._task_news)})
        self.hub = Hub(replays, rights, Limits(limits.max_watchers, limits.max_watchers_per_user))
        self._jobs = JobEvents(db, self.hub.watched)
        # Further types of frames are added here by name.
        self.frames = FrameHandlers()
        answer_topics(self.frames, self.hub)
        self.sockets = Sockets(self.hub, self.frames, greet, rights.standing)

    def start(self) -> None:
        """Begin to listen."""
        self._task_news.start(self.hub.tasks)
        self.hub.start(
            [
                Source("jobs", self._events, self._jobs.made_of),
                Source("tasks", self._here, events_of_tasks),
                Source("usage", self._events, passed_on("usage", "usage")),
                Source("notices", self._events, passed_on("notices", "notice")),
                Source("alerts", self._events, passed_on("alerts", "alert", public=True)),
            ]
        )

    def stream(self, actor: Actor, topics: frozenset[str], after: str | None, *, everybody: bool) -> EventStream:
        """Return the event stream that answers a request."""
        return EventStream(self.hub, self._rights.standing(actor), topics, after, everybody=everybody)
