"""The watchers of one process: every engine delivers to them."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from tidemill.platform.events.port import Event

# Keys that one watcher holds at most; past it the oldest goes and the watcher is told to read everything.
MAX_KEYS = 1_000
MAX_NAME = 200


class Mailbox:
    """Holds the newest payload of each key: the bound on a slow watcher is the number of keys."""

    def __init__(self) -> None:
        self.missed = False
        self._newest: dict[str, bytes] = {}
        self._gap = False
        self._arrived = asyncio.Event()

    def put(self, key: str, payload: bytes) -> None:
        """Keep an event, in place of an older one of its key."""
        self._newest.pop(key, None)
        if len(self._newest) >= MAX_KEYS:
            del self._newest[next(iter(self._newest))]
            self._gap = True
        self._newest[key] = payload
        self._arrived.set()

    def mark_gap(self) -> None:
        """Say that events were lost."""
        self._gap = True
        self._arrived.set()

    async def wait(self, timeout_s: float) -> Sequence[Event]:
        """Return what has arrived, waiting for the first."""
        self.missed = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return ()
        events = tuple(Event(key, payload) for key, payload in self._newest.items())
        self.missed = self._gap
        self._gap = False
        self._newest.clear()
        self._arrived.clear()
        return events


class Watchers:
    """Who watches what in this process."""

    def __init__(self) -> None:
        self._boxes: defaultdict[str, set[Mailbox]] = defaultdict(set)

    @property
    def topics(self) -> Sequence[str]:
        """The topics that somebody watches."""
        return tuple(self._boxes)

    def are_there(self, topic: str) -> bool:
        """Tell whether somebody watches ``topic``."""
        return topic in self._boxes

    @contextmanager
    def watching(self, topic: str) -> Generator[Mailbox]:
        """Watch ``topic`` inside the block. Raises ValueError when its name is too long."""
        check_name(topic)
        box = Mailbox()
        self._boxes[topic].add(box)
        try:
            yield box
        finally:
            self._boxes[topic].discard(box)
            if not self._boxes[topic]:
                del self._boxes[topic]

    def deliver(self, topic: str, key: str, payload: bytes) -> None:
        """Give an event to everybody who watches ``topic``."""
        for box in self._boxes.get(topic, ()):
            box.put(key, payload)

    def mark_gap(self, topic: str = "") -> None:
        """Tell the watchers of ``topic``, or all of them, that events were lost."""
        for name in [topic] if topic else list(self._boxes):
            for box in self._boxes.get(name, ()):
                box.mark_gap()


def check_name(name: str) -> None:
    """Raise ValueError when a topic or key has more than 200 characters."""
    if len(name) > MAX_NAME:
        raise ValueError(f"a topic or key has at most {MAX_NAME} characters, not {len(name)}")
