"""The event bus of processes that share a PostgreSQL and nothing else: LISTEN and NOTIFY on one channel."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import msgspec

from tidemill.platform.db.listening import Listener, connect, failures
from tidemill.platform.events.relayed import BusAway, Heard, Note, RelayedEvents, Wire
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

CHANNEL = "tidemill_events"
# PostgreSQL refuses notices of 8,000 bytes and more.
MAX_BYTES = 7_999
ANSWER_S = 5.0
_SEND = "SELECT pg_notify($1, note) FROM unnest($2::text[]) AS note"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


class PostgresEvents(RelayedEvents):
    """Wake-ups between processes by PostgreSQL; every process hears every topic."""

    def __init__(self, url: str, *, channel: str = CHANNEL) -> None:
        """Open nothing yet."""
        self._url = url
        self._channel = channel
        super().__init__("postgresql", self._connected)

    @asynccontextmanager
    async def _connected(self, heard: Heard) -> AsyncGenerator[Wire]:
        try:
            async with asyncio.timeout(ANSWER_S):
                connection = await connect(self._url)
        except failures() as error:
            raise BusAway(str(error) or type(error).__name__) from error
        try:
            yield _PostgresWire(connection, self._channel, heard)
        finally:
            try:
                await connection.close(timeout=1)
            except failures() as error:
                log.debug("events.hung_up", error=str(error))
                connection.terminate()


class _PostgresWire:
    def __init__(self, connection: Listener, channel: str, heard: Heard) -> None:
        self._connection = connection
        self._channel = channel
        self._heard = heard
        self._ended = asyncio.Event()
        connection.add_termination_listener(lambda _: self._ended.set())

    async def receive(self) -> None:
        await self._ended.wait()
        raise BusAway("the server ended the connection")

    async def follow(self, topics: Sequence[str]) -> None:
        """Begin to listen; which topics matter is sorted out by whoever hears."""
        del topics
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._connection.add_listener(self._channel, self._take)
        except failures() as error:
            raise BusAway(str(error) or type(error).__name__) from error

    async def unfollow(self, topics: Sequence[str]) -> None:
        del topics

    def _take(self, connection: object, pid: int, channel: str, payload: object) -> None:
        del connection, pid, channel
        try:
            self._heard(_decode(str(payload)))
        except msgspec.MsgspecError as error:
            log.warning("events.unreadable", error=str(error))

    async def send(self, notes: Sequence[Note]) -> None:
        await self._execute(_SEND, self._channel, [_fitting(note) for note in notes])

    async def probe(self) -> None:
        await self._execute("SELECT 1")

    async def _execute(self, query: str, *values: object) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._connection.fetch(query, *values)
        except failures() as error:
            raise BusAway(str(error) or type(error).__name__) from error


def _fitting(note: Note) -> str:
    """Return the note as it travels: without its payload when that is too long, and then as a gap."""
    text = _encode(note)
    if len(text) > MAX_BYTES:
        text = _encode(Note(note.sender, note.topic, note.key, gap=True))
    return text.decode()
