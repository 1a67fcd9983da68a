"""Whether the server is there: known at once when it goes, found again in the background."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from tidemill.kernel import clock
from tidemill.kernel.retry import full_jitter
from tidemill.platform.redis.client import Away, Client, Refused, Word
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 5.0
BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 2.0


class Link:
    """A client that remembers whether its last question was answered.

    While the server is away it is looked for again and again, after at most 2 s; while it is there it is asked every
    5 s whether it still is, since a connection over which nothing is said can die unnoticed.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self._tasks = TaskOwner()
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self.state: Literal["up", "connecting", "down"] = "connecting"
        self.since: datetime = clock.now()
        # How often the server has come back after it was there once.
        self.returns = 0
        self._was_up = False
        self.error: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether the last question was answered."""
        return self.state == "up"

    def start(self) -> None:
        """Begin to look for the server; looking again and again ends with ``close``."""
        if not len(self._tasks):
            self._tasks.spawn(f"{self._name}.link", self._watch())

    async def wait_up(self) -> None:
        """Return once the server is there."""
        await self._up.wait()

    async def ask(self, *words: Word, timeout_s: float | None = None) -> Any:
        """As the client's; a server that is away is known to be so at once."""
        try:
            return await self._client.ask(*words, timeout_s=timeout_s)
        except Away as error:
            self._lost(error)
            raise

    async def ask_all(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """As the client's; a server that is away is known to be so at once."""
        try:
            return await self._client.ask_all(commands)
        except Away as error:
            self._lost(error)
            raise

    async def close(self) -> None:
        """Look no more, and hang up."""
        await self._tasks.cancel()
        self._set("down")
        await self._client.close()

    async def _watch(self) -> None:
        attempt = 0
        while True:
            try:
                await self._client.ask("PING")
            except (Away, Refused) as error:
                self._lost(error)
                await asyncio.sleep(full_jitter(attempt, BACK_OFF_S, LONGEST_BACK_OFF_S))
                attempt += 1
                continue
            attempt = 0
            self._found()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._down.wait()
            except TimeoutError:
                continue

    def _found(self) -> None:
        if self.is_up:
            return
        self.returns += self._was_up
        self._was_up = True
        self._set("up")
        log.info("redis.up", part=self._name, returns=self.returns)

    def _lost(self, error: Exception) -> None:
        self.error = str(error)
        if self.state != "down":
            log.warning("redis.away", part=self._name, error=self.error)
            self._set("down")

    def _set(self, state: Literal["up", "down"]) -> None:
        self.state, self.since = state, clock.now()
        (self._up if state == "up" else self._down).set()
        (self._down if state == "up" else self._up).clear()
