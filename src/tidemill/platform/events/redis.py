"""The event bus of processes that share a Redis or Valkey: publish and subscribe, a channel for each topic."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tidemill.platform.events.relayed import BusAway, Heard, Note, RelayedEvents, Wire
from tidemill.platform.redis import Away, Client, Line, Refused
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

# Three probes without an answer.
SILENCE_S = 15.0
CONFIRM_S = 2.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Note).decode


class RedisEvents(RelayedEvents):
    """Wake-ups between processes by Redis; one connection hears, others of a pool send."""

    def __init__(self, url: str, *, prefix: str = "tidemill") -> None:
        """Open nothing yet. Raises BadInput for an address that is none."""
        self._client = Client(url, setting="cache.url")
        # Channels are the whole server's, whatever database the address names.
        self._prefix = f"{prefix}:events:{self._client.database}:"
        super().__init__("redis", self._connected)

    async def close(self) -> None:
        """Send what waits, for a second at most, then disconnect."""
        await super().close()
        await self._client.close()

    @asynccontextmanager
    async def _connected(self, heard: Heard) -> AsyncGenerator[Wire]:
        try:
            line = await self._client.line()
        except (Away, Refused) as error:
            raise BusAway(str(error)) from error
        try:
            yield _RedisWire(self._client, line, self._prefix, heard)
        finally:
            await line.close()


class _RedisWire:
    def __init__(self, client: Client, line: Line, prefix: str, heard: Heard) -> None:
        self._client = client
        self._line = line
        self._prefix = prefix
        self._heard = heard
        self._unconfirmed: dict[bytes, asyncio.Event] = {}

    async def receive(self) -> None:
        while True:
            try:
                self._take(await self._line.receive(SILENCE_S))
            except (Away, Refused) as error:
                raise BusAway(str(error)) from error

    def _take(self, message: list[Any]) -> None:
        match message:
            case [b"message", _, data]:
                try:
                    self._heard(_decode(data))
                except msgspec.MsgspecError as error:
                    # Another program, or another version of this one, uses the same names.
                    log.warning("events.unreadable", error=str(error))
            case [b"subscribe", channel, _] if confirmed := self._unconfirmed.pop(channel, None):
                confirmed.set()
            case _:
                pass  # an answer to a probe, or the end of a subscription

    async def follow(self, topics: Sequence[str]) -> None:
        waiting = {self._channel(topic): asyncio.Event() for topic in topics}
        self._unconfirmed.update(waiting)
        await self._say("SUBSCRIBE", *waiting)
        try:
            async with asyncio.timeout(CONFIRM_S):
                for confirmed in waiting.values():
                    await confirmed.wait()
        except TimeoutError as error:
            raise BusAway("a subscription was not confirmed in time") from error

    async def unfollow(self, topics: Sequence[str]) -> None:
        await self._say("UNSUBSCRIBE", *map(self._channel, topics))

    async def send(self, notes: Sequence[Note]) -> None:
        try:
            answers = await self._client.ask_all(
                [("PUBLISH", self._channel(note.topic), _encode(note)) for note in notes]
            )
        except Away as error:
            raise BusAway(str(error)) from error
        for answer in answers:
            if isinstance(answer, Refused):
                raise BusAway(str(answer))

    async def probe(self) -> None:
        await self._say("PING")

    async def _say(self, *words: str | bytes) -> None:
        try:
            await self._line.send(*words)
        except Away as error:
            raise BusAway(str(error)) from error

    def _channel(self, topic: str) -> bytes:
        return (self._prefix + topic).encode()
