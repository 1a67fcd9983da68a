"""The event bus of one process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tidemill.platform.events.mailbox import Watchers, check_name
from tidemill.platform.events.port import Subscription


class MemoryEvents:
    """Wake-ups inside one process."""

    def __init__(self) -> None:
        self._watchers = Watchers()

    async def publish(self, topic: str, payload: bytes = b"", *, key: str = "") -> None:
        """Wake every watcher of ``topic``."""
        check_name(topic)
        check_name(key)
        self._watchers.deliver(topic, key, payload)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[Subscription]:
        """Watch ``topic`` inside the block."""
        with self._watchers.watching(topic) as mailbox:
            yield mailbox

    async def start(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to disconnect from."""
