"""What event buses with a server have in common: local watchers first, then the wire, found again when it breaks.

An event goes to the watchers of this process at once and into an outbox, newest of each key only; one task empties it
over whatever connection there is. After each connection every watcher is told that it may have missed something.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from typing import Protocol
from uuid import uuid4

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.retry import full_jitter
from tidemill.platform.events.mailbox import Watchers, check_name
from tidemill.platform.events.port import Subscription
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

PROBE_EVERY_S = 5.0
BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 2.0
BATCH = 500
# Keys that wait for the server at most; past it the others are told to read everything.
MAX_WAITING = 10_000
FLUSH_S = 1.0
# Heard by every process whatever its watchers watch.
EVERYBODY = ""


class BusAway(Exception):
    """The server that carries events cannot be reached, or has left."""


class Note(Struct, frozen=True, array_like=True):
    """One event on its way; ``gap`` says that the watchers of its topic (or all, without a topic) missed some."""

    sender: str
    topic: str
    key: str = ""
    payload: bytes = b""
    gap: bool = False


class Wire(Protocol):
    """One connection to the server; every method raises BusAway when it is of no more use."""

    async def receive(self) -> None:
        """Hear notes until the connection breaks."""
        ...

    async def follow(self, topics: Sequence[str]) -> None:
        """Hear these topics; returns when the server has begun to send them. ``receive`` is running."""
        ...

    async def unfollow(self, topics: Sequence[str]) -> None:
        """Hear these topics no more."""
        ...

    async def send(self, notes: Sequence[Note]) -> None:
        """Give notes to the server."""
        ...

    async def probe(self) -> None:
        """Ask for a sign of life."""
        ...


Heard = Callable[[Note], None]
Connect = Callable[[Heard], AbstractAsyncContextManager[Wire]]


class RelayedEvents:
    """Wake-ups between processes, by one connection of each."""

    def __init__(self, name: str, connect: Connect) -> None:
        self._name = name
        self._connect = connect
        self._process = uuid4().hex
        self._watchers = Watchers()
        self._tasks = TaskOwner()
        self._wire: Wire | None = None
        # Held while topics are followed, so that a topic is followed once and never forgotten.
        self._following = asyncio.Lock()
        self._followed: set[str] = set()
        self._outbox: dict[tuple[str, str], bytes] = {}
        self._overflown = False
        self._stir = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether other processes can be told and heard now."""
        return self._wire is not None

    async def publish(self, topic: str, payload: bytes = b"", *, key: str = "") -> None:
        """Wake the watchers of this process, and let the others be woken."""
        check_name(topic)
        check_name(key)
        self._watchers.deliver(topic, key, payload)
        if self._closed:
            return
        await self.start()
        if len(self._outbox) >= MAX_WAITING and (topic, key) not in self._outbox:
            self._overflown = True
        else:
            self._outbox[topic, key] = payload
        self._emptied.clear()
        self._stir.set()

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[Subscription]:
        """Watch ``topic`` inside the block."""
        await self.start()
        with self._watchers.watching(topic) as mailbox:
            try:
                await self._follow(topic)
                yield mailbox
            finally:
                self._stir.set()

    async def start(self) -> None:
        """Begin to connect."""
        if not self._closed and not len(self._tasks):
            self._tasks.spawn(f"events.{self._name}", self._keep_connected())

    async def close(self) -> None:
        """Send what waits, for a second at most, then disconnect."""
        self._closed = True
        if not self._emptied.is_set():
            try:
                async with asyncio.timeout(FLUSH_S):
                    await self._emptied.wait()
            except TimeoutError:
                log.warning("events.unsent", engine=self._name, events=len(self._outbox))
        await self._tasks.cancel()

    async def _keep_connected(self) -> None:
        attempt = 0
        away_since: float | None = None
        while True:
            try:
                async with self._connect(self._hear) as wire, asyncio.TaskGroup() as both:
                    both.create_task(wire.receive(), name=f"events.{self._name}.receive")
                    await self._take_up(wire)
                    if away_since is not None:
                        log.info("events.up", engine=self._name, after_s=round(clock.monotonic() - away_since, 1))
                    attempt, away_since = 0, None
                    await self._serve(wire)
            except* BusAway as errors:
                if away_since is None:
                    away_since = clock.monotonic()
                    log.warning("events.away", engine=self._name, error=str(errors.exceptions[0]))
            finally:
                self._wire = None
            await asyncio.sleep(full_jitter(attempt, BACK_OFF_S, LONGEST_BACK_OFF_S))
            attempt += 1

    async def _take_up(self, wire: Wire) -> None:
        async with self._following:
            topics = set(self._watchers.topics)
            await wire.follow([EVERYBODY, *topics])
            self._followed = topics
            self._wire = wire
        # What was said until now was not heard here.
        self._watchers.mark_gap()
        self._stir.set()

    async def _follow(self, topic: str) -> None:
        async with self._following:
            if self._wire is None or topic in self._followed:
                return
            try:
                await self._wire.follow([topic])
            except BusAway as error:
                # The connection is at its end; the next one follows every topic and tells of the gap.
                log.debug("events.not_followed", engine=self._name, error=str(error))
                return
            self._followed.add(topic)

    async def _serve(self, wire: Wire) -> None:
        probe_at = clock.monotonic() + PROBE_EVERY_S
        while True:
            try:
                async with asyncio.timeout(max(0.0, probe_at - clock.monotonic())):
                    await self._stir.wait()
            except TimeoutError:
                await wire.probe()
                probe_at = clock.monotonic() + PROBE_EVERY_S
            self._stir.clear()
            await self._send_waiting(wire)
            await self._unfollow_idle(wire)

    async def _send_waiting(self, wire: Wire) -> None:
        while self._outbox or self._overflown:
            if self._overflown:
                await wire.send([Note(self._process, EVERYBODY, gap=True)])
                self._overflown = False
            batch = {key: self._outbox.pop(key) for key in tuple(islice(self._outbox, BATCH))}
            try:
                await wire.send([Note(self._process, topic, key, payload) for (topic, key), payload in batch.items()])
            except BusAway:
                # What was published meanwhile is newer.
                self._outbox = batch | self._outbox
                raise
        self._emptied.set()

    async def _unfollow_idle(self, wire: Wire) -> None:
        async with self._following:
            idle = [topic for topic in self._followed if not self._watchers.are_there(topic)]
            if idle:
                self._followed.difference_update(idle)
                await wire.unfollow(idle)

    def _hear(self, note: Note) -> None:
        if note.sender == self._process:
            return
        if note.gap:
            self._watchers.mark_gap(note.topic)
        if note.topic:
            self._watchers.deliver(note.topic, note.key, note.payload)
