"""What an event bus promises: a wake-up for every watcher of a topic, folded when a watcher is slow.

Truth stays in the database. A watcher that is woken reads from where it stood, so a folded or lost wake-up costs
latency, never data; a watcher therefore waits with a time-out.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Subscription(Protocol):
    """One watcher of one topic."""

    async def wait(self, timeout_s: float) -> bytes | None:
        """Return the newest payload since the last call, or None when ``timeout_s`` passes without one."""
        ...


class EventBus(Protocol):
    """Wake-ups by topic."""

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        """Wake every watcher of ``topic``; never blocks on a slow one."""
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[Subscription]:
        """Watch ``topic`` inside the block."""
        ...
