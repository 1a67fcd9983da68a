"""The event bus of one process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tidemill.platform.events.port import Subscription


class _Mailbox:
    """Holds the newest payload only: the bound on a slow watcher is one."""

    def __init__(self) -> None:
        self._newest: bytes | None = None
        self._arrived = asyncio.Event()

    def put(self, payload: bytes) -> None:
        self._newest = payload
        self._arrived.set()

    async def wait(self, timeout_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return None
        self._arrived.clear()
        return self._newest


class MemoryEvents:
    """Wake-ups inside one process."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[_Mailbox]] = defaultdict(set)

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        """Wake every watcher of ``topic``."""
        for mailbox in self._watchers.get(topic, ()):
            mailbox.put(payload)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[Subscription]:
        """Watch ``topic`` inside the block."""
        mailbox = _Mailbox()
        self._watchers[topic].add(mailbox)
        try:
            yield mailbox
        finally:
            self._watchers[topic].discard(mailbox)
            if not self._watchers[topic]:
                del self._watchers[topic]
