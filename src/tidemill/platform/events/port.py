"""What an event bus promises: a wake-up for every watcher of a topic, folded by key when a watcher is slow.

Truth stays in the database. A watcher that is woken reads from where it stood, so a folded or lost event costs
latency, never data; a watcher therefore waits with a time-out, and reads everything again when it ``missed`` some.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct


class Event(Struct, frozen=True):
    """Something new about ``key`` (empty where a topic has but one thing to tell of)."""

    key: str
    payload: bytes


class Subscription(Protocol):
    """One watcher of one topic."""

    # Whether events were lost before the last ``wait`` returned: the connection had a gap, there were more than 1,000
    # keys, or a payload was too large to travel. False again with the next ``wait``.
    missed: bool

    async def wait(self, timeout_s: float) -> Sequence[Event]:
        """Return the newest event of each key since the last call, the most recent last.

        Empty when ``timeout_s`` passes without one, and when all that is known is that some were ``missed``.
        """
        ...


class EventBus(Protocol):
    """Wake-ups by topic.

    A topic and a key have at most 200 characters each; payloads are small (over about 5 KB one may arrive empty, and
    ``missed``). Watchers in the same process are always served; those of other processes while the server is there.
    """

    async def publish(self, topic: str, payload: bytes = b"", *, key: str = "") -> None:
        """Wake every watcher of ``topic``; waits neither for a slow one nor for a server."""
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[Subscription]:
        """Watch ``topic`` inside the block: whatever is published from its beginning on arrives or is ``missed``."""
        ...

    async def start(self) -> None:
        """Begin to connect to the other processes; publishing and subscribing do the same."""
        ...

    async def close(self) -> None:
        """Send what waits to be sent, for a second at most, and disconnect."""
        ...
