"""The hub of one process: listens to the event bus once for each topic, and tells every watcher whom it concerns.

An event costs its own watchers and nobody else; twenty thousand idle ones cost a sign of life every fifteen seconds.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from tidemill.identity.facade import Standing
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.platform.events import Event, EventBus
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger
from tidemill.server.live import figures
from tidemill.server.live.closing import GOING_AWAY, NOT_SIGNED_IN
from tidemill.server.live.errors import Draining, TooManyWatchers
from tidemill.server.live.event import LiveEvent, now_ms, reset_event
from tidemill.server.live.replay import Replays
from tidemill.server.live.watcher import Watcher

log = get_logger(__name__)

HEARTBEAT_S = 15
TICK_S = 1.0
# How long the bus is waited for at a time.
PATIENCE_S = 60.0
# Credentials lapse without a notice; looked for this often.
LAPSE_S = 15.0
RETRY_AFTER_S = 5.0

Made = Callable[[Sequence[Event]], Awaitable[Sequence[LiveEvent]]]


class Source(Struct, frozen=True):
    """Where a topic's news comes from and what makes events of it."""

    topic: str
    bus: EventBus
    made_of: Made


class Rights(Protocol):
    """Who may still watch."""

    @property
    def version(self) -> object:
        """Another object after every change of anybody's rights."""
        ...

    def standing(self, actor: Actor) -> Standing:
        """Note what somebody who begins to watch stands on."""
        ...

    def holds(self, begun: Standing) -> bool:
        """Tell whether somebody's credential and rights are what they were."""
        ...


class Limits(Struct, frozen=True):
    """How many may watch this process, and how many of them for one user."""

    most: int
    of_user: int


class Hub:
    """Knows every watcher of this process."""

    def __init__(self, replays: Replays, rights: Rights, limits: Limits) -> None:
        self.replays = replays
        self.tasks = TaskOwner()
        self.draining = False
        self._rights = rights
        self._limits = limits
        self._of_user: defaultdict[int, set[Watcher]] = defaultdict(set)
        self._everybody: set[Watcher] = set()
        self._beats: list[set[Watcher]] = [set() for _ in range(HEARTBEAT_S)]
        self._count = 0
        self._admitted = 0
        self._tick = 0
        # Until where each topic's news was heard without a gap.
        self._heard_ms: dict[str, int] = {}
        self._checked_s = clock.monotonic()
        self._seen: object = None

    # --- watchers

    def __len__(self) -> int:
        """How many watch."""
        return self._count

    def admit(self, watcher: Watcher) -> None:
        """Begin to tell a watcher. Raises Draining, TooManyWatchers."""
        if self.draining:
            raise Draining(retry_after_s=RETRY_AFTER_S)
        user_id = watcher.actor.user_id
        if self._count >= self._limits.most or len(self._of_user.get(user_id, ())) >= self._limits.of_user:
            raise TooManyWatchers(retry_after_s=RETRY_AFTER_S)
        self._of_user[user_id].add(watcher)
        self._count += 1
        self._admitted += 1
        self._beats[self._admitted % HEARTBEAT_S].add(watcher)
        figures.watchers.labels(watcher.kind).inc()

    def dismiss(self, watcher: Watcher) -> None:
        """Forget a watcher that was admitted."""
        mine = self._of_user[watcher.actor.user_id]
        mine.discard(watcher)
        if not mine:
            del self._of_user[watcher.actor.user_id]
        for beat in self._beats:
            beat.discard(watcher)
        self._everybody.discard(watcher)
        self._count -= 1
        figures.watchers.labels(watcher.kind).dec()
        if watcher.code is not None:
            figures.closed.labels(watcher.kind, str(watcher.code)).inc()

    def follow(self, watcher: Watcher, topics: frozenset[str], *, everybody: bool) -> None:
        """Let a watcher hear these topics from now on; ``everybody`` was checked by the caller."""
        watcher.topics = topics
        watcher.everybody = everybody
        if everybody:
            self._everybody.add(watcher)
        else:
            self._everybody.discard(watcher)

    def watched(self, topic: str, user_id: int | None) -> bool:
        """Tell whether anybody here wants to hear of a user's things."""
        return any(topic in watcher.topics for watcher in self._concerned(user_id))

    def _concerned(self, user_id: int | None) -> Iterable[Watcher]:
        if user_id is not None:
            for watcher in self._of_user.get(user_id, ()):
                if not watcher.everybody:
                    yield watcher
        yield from self._everybody

    def tell(self, event: LiveEvent) -> None:
        """Give an event to its watchers."""
        count = 0
        for watcher in self._all() if event.public else list(self._concerned(event.user_id)):
            if event.topic in watcher.topics:
                watcher.hear(event)
                count += 1
        if count:
            figures.events.labels(event.topic).inc(count)

    async def catch_up(self, watcher: Watcher, position_ms: int) -> int | None:
        """Tell a watcher what it has missed since a position; returns how much that was, None when it is too much.

        Until then nothing else reaches it.
        """
        watcher.hold()
        missed: Sequence[LiveEvent] | None = None
        try:
            past = await self.replays.since(position_ms)
            if past is not None:
                user_id = None if watcher.everybody else watcher.actor.user_id
                missed = past.since(position_ms, watcher.topics, user_id)
        except Exception as error:
            # The edge of a watcher's life: it reads its lists again as soon as the database is back.
            log.warning("live.replay_failed", exc_info=error)
        watcher.release(missed)
        figures.resumed.labels("too_old" if missed is None else "told").inc()
        return None if missed is None else len(missed)

    # --- the life of the hub

    def start(self, sources: Sequence[Source]) -> None:
        """Begin to listen."""
        for source in sources:
            name = f"live.{source.topic}"
            self.tasks.spawn(name, steadily(name, lambda source=source: self._listen(source), TICK_S))
        self.tasks.spawn("live.tick", steadily("live.tick", self._tick_once, TICK_S))

    def drain(self) -> None:
        """End every stream and socket: watchers come back elsewhere, with their position."""
        self.draining = True
        for watcher in self._all():
            watcher.end(GOING_AWAY)

    async def close(self) -> None:
        """Stop listening."""
        self.drain()
        await self.replays.close()
        await self.tasks.cancel()

    def _all(self) -> list[Watcher]:
        return [watcher for mine in self._of_user.values() for watcher in mine]

    async def _listen(self, source: Source) -> None:
        async with source.bus.subscribe(source.topic) as subscription:
            if source.topic in self._heard_ms:
                await self._mend(source.topic)
            while True:
                self._heard_ms[source.topic] = now_ms()
                heard = await subscription.wait(PATIENCE_S)
                if subscription.missed:
                    await self._mend(source.topic)
                for event in await source.made_of(heard):
                    self.tell(event)

    async def _mend(self, topic: str) -> None:
        """Tell what the bus has lost, from the database; where that cannot be known, say so."""
        if not self._count:
            return
        topics = frozenset({topic})
        since_ms = self._heard_ms.get(topic, now_ms())
        past = await self.replays.since(since_ms) if topic in self.replays.topics else None
        missed = None if past is None else past.since(since_ms, topics, None)
        log.info("live.gap", topic=topic, events=None if missed is None else len(missed))
        if missed is None:
            for watcher in self._all():
                if topic in watcher.topics:
                    watcher.hear(reset_event())
            return
        for event in missed:
            self.tell(event)

    async def _tick_once(self) -> None:
        self._tick = (self._tick + 1) % HEARTBEAT_S
        for watcher in list(self._beats[self._tick]):
            watcher.beat()
        if self._rights.version is not self._seen or clock.monotonic() - self._checked_s >= LAPSE_S:
            self._seen = self._rights.version
            self._checked_s = clock.monotonic()
            self._look_at_rights()

    def _look_at_rights(self) -> None:
        for watcher in self._all():
            if not self._rights.holds(watcher.standing):
                watcher.end(NOT_SIGNED_IN)
