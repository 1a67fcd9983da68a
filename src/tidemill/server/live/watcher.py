"""One watcher: whom it is for, what it wants to hear, and what waits to be sent to it.

An idle watcher is one task that waits for its peer; a second one runs only while there is something to send.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from tidemill.identity.facade import Standing
from tidemill.kernel.actor import Actor
from tidemill.platform.tasks import TaskOwner
from tidemill.server.live.closing import TRY_LATER
from tidemill.server.live.event import LiveEvent, reset_event
from tidemill.server.live.outbox import LIMIT, Outbox, Outgoing


class Watcher(ABC):
    """What the hub knows of a connection; transports say how a message is sent and a connection ended."""

    kind: ClassVar[Literal["sse", "ws"]]
    __slots__ = ("_held", "_outbox", "_tasks", "_writer", "code", "deadline", "everybody", "standing", "topics")

    def __init__(self, standing: Standing, tasks: TaskOwner) -> None:
        self.standing = standing
        self.topics: frozenset[str] = frozenset()
        # An administrator who watches everybody's things.
        self.everybody = False
        # Why it ends; None while it lives.
        self.code: int | None = None
        self.deadline: asyncio.Timeout | None = None
        self._tasks = tasks
        self._outbox = Outbox()
        self._writer: asyncio.Task[None] | None = None
        # While the past is read: what happens meanwhile, newest of each key. None: nothing is held back.
        self._held: dict[str, LiveEvent] | None = None

    @property
    def actor(self) -> Actor:
        """Whose watcher it is."""
        return self.standing.actor

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return self._writer is None and self._held is None

    # --- events

    def hear(self, event: LiveEvent) -> None:
        """Be told of an event of a topic that is watched."""
        if self._held is None:
            self._tell(event)
        elif len(self._held) < LIMIT or event.fold in self._held:
            self._held.pop(event.fold, None)
            self._held[event.fold] = event
        else:
            self._held = {"": reset_event()}

    def hold(self) -> None:
        """Hold events back until ``release``: what was missed comes first."""
        if self._held is None:
            self._held = {}

    def release(self, past: Sequence[LiveEvent] | None) -> None:
        """Send what was missed (None: more than can be told), then what was held back and is newer."""
        held, self._held = self._held or {}, None
        if past is None:
            self._tell(reset_event())
            past = ()
        told = {event.fold: event for event in past}
        for event in past:
            self._tell(event)
        for event in held.values():
            before = told.get(event.fold)
            # The rows were read after the held event came, unless the end was committed later than it is dated.
            if before is None or (event.id != before.id and (event.is_final or event.at_ms > before.at_ms)):
                self._tell(event)

    def _tell(self, event: LiveEvent) -> None:
        self.push(Outgoing("event", event.body, event.id, fold=event.fold))

    # --- sending

    def push(self, message: Outgoing) -> None:
        """Send a message when those before it are gone."""
        if self.code is not None:
            return
        if not self._outbox.put(message):
            self.overflow()
        if self._writer is None and len(self._outbox):
            self._writer = self._tasks.spawn("live.write", self._write())

    def overflow(self) -> None:
        """Decide about a watcher that lets more wait than there is room for: it is cut off."""
        self.end(TRY_LATER)

    def forget_waiting(self) -> None:
        """Drop what waits."""
        self._outbox.clear()

    async def _write(self) -> None:
        try:
            while (message := self._outbox.take()) is not None:
                await self.send(message)
        except OSError:
            # The peer has gone; whoever waits for it hears of that too.
            self._outbox.clear()
        finally:
            self._writer = None

    @abstractmethod
    def beat(self) -> None:
        """Give a sign of life, where the transport does not do so by itself."""

    @abstractmethod
    async def send(self, message: Outgoing) -> None:
        """Send one message; waits while the peer reads slowly. Raises OSError when it has gone."""

    # --- the end

    def end(self, code: int) -> None:
        """Have the connection closed for the reason ``code``; what still waits is dropped."""
        if self.code is not None:
            return
        self.code = code
        self._outbox.clear()
        if self.deadline is not None:
            self.deadline.reschedule(0)

    async def silence(self) -> None:
        """Stop sending, also in the middle of a message that the peer does not take."""
        self._outbox.clear()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
