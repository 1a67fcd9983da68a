"""One try with one channel: send, wait within deadlines, hand the answer on.

Until the first content event nothing has gone out, so a failure is raised and another channel may be tried. After it
the client is told inside the stream; ``told`` says so. How an answer is read and written is for the subclasses: bytes
of OpenAI's, bytes of another protocol, translated, or of no concern.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import TypeVar

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.relay.errors import UpstreamFailed, UpstreamTimedOut
from tidemill.relay.pipeline.ask import Ask, Headers, Sink
from tidemill.relay.pipeline.draining import NO_DRAINS, Drains
from tidemill.relay.pipeline.record import UPSTREAM_ID, Record
from tidemill.relay.pipeline.watch import Waiting, Watched
from tidemill.relay.rules import failure_of, failure_of_fault
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.media import Media
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer, UpstreamBrokenError, Upstreams
from tidemill.relay.upstreams.request import prepare
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_errors import read_complaint

T = TypeVar("T")

_OK = range(200, 300)
_MAX_ERROR_BYTES = 256 * 1024
_ERROR_BODY_S = 5.0
# The longest id of a service's that is told on.
_MAX_ID = 128


class Patience(Struct, frozen=True):
    """How long things may take, seconds, how large an answer may be, bytes, and what is read once a client has left."""

    first_token_s: float
    idle_s: float
    max_answer_bytes: int
    drains: Drains = NO_DRAINS


class Exchange(ABC):
    """One try. ``due``: when the whole call must be over (monotonic seconds); ``media`` fetches pictures."""

    def __init__(
        self,
        ask: Ask,
        channel: Channel,
        sink: Sink,
        record: Record,
        watched: Watched,
        due: float,
        patience: Patience,
        media: Media | None = None,
    ) -> None:
        self._ask = ask
        self._channel = channel
        self._sink = sink
        self._record = record
        self._watched = watched
        self._due = due
        self._patience = patience
        self._media = media
        self._dropped: tuple[str, ...] = ()
        self.told: UpstreamFailed | None = None

    async def run(self, upstreams: Upstreams, root: str, key: str | None) -> None:
        """Ask the service at ``root``; raises UpstreamFailed while nothing has gone out.

        Raises RequestUnreadable when the channel's protocol cannot express what was asked.
        """
        errand = await self._errand(root, key)
        due = min(self._due, clock.monotonic() + self._patience.first_token_s) if self._ask.stream else self._due
        answer = await self._served(due, upstreams.send(errand))
        self._note_id(answer)
        try:
            await self._hand_on(answer, due)
        except asyncio.CancelledError:
            await self._leave(answer)
            raise
        except BaseException:
            await answer.abort()
            raise
        if self.told is None:
            await answer.finish()
        else:
            await answer.abort()

    async def _leave(self, answer: UpstreamAnswer) -> None:
        """Give up an answer that nobody waits for."""
        await answer.abort()

    async def _hand_on(self, answer: UpstreamAnswer, first_due: float) -> None:
        if answer.status not in _OK:
            raise await self._failure(answer)
        if self._ask.stream:
            await self._stream(answer, first_due)
        else:
            await self._plain(answer)

    async def _errand(self, root: str, key: str | None) -> Errand:
        """Prepare the request."""
        return prepare(self._ask, self._channel, root, key)

    @abstractmethod
    async def _plain(self, answer: UpstreamAnswer) -> None:
        """Hand a whole answer on."""

    @abstractmethod
    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        """Hand a stream on."""

    async def _within(self, due: float, work: Awaitable[T], late: Waiting = UpstreamTimedOut) -> T:
        """Await the upstream, or the client, until ``due``; after that it is ``late``."""
        watched = self._watched
        watched.until(due, late)
        try:
            return await work
        except asyncio.CancelledError:
            expired = watched.expired()
            if expired is None:
                raise
            raise expired from None
        except UpstreamBrokenError as error:
            raise UpstreamFailed(str(error), kind="transport") from error
        finally:
            watched.at_ease()

    async def _served(self, due: float, work: Awaitable[T]) -> T:
        """Await the upstream until ``due``; the time is its own."""
        began = clock.monotonic()
        try:
            return await self._within(due, work)
        finally:
            self._record.upstream_s += clock.monotonic() - began

    async def _whole(self, answer: UpstreamAnswer) -> bytes:
        """Return a whole answer."""
        return await self._served(self._due, answer.read(self._patience.max_answer_bytes))

    def _note_id(self, answer: UpstreamAnswer) -> None:
        """Keep the name by which the service's own support knows the call."""
        name = answer.headers.get("x-request-id") or answer.headers.get("request-id")
        if name and len(name) <= _MAX_ID and name.isascii() and name.isprintable():
            self._record.notes[UPSTREAM_ID] = name

    def _headers(self, kind: Headers) -> Headers:
        record = self._record
        headers = [
            *kind,
            (b"x-gateway-channel", b"%d" % self._channel.id),
            (b"x-gateway-attempts", b"%d" % record.tries),
            (b"x-gateway-overhead-ms", b"%.2f" % record.overhead_ms()),
        ]
        if (name := record.notes.get(UPSTREAM_ID)) is not None:
            headers.append((b"x-upstream-request-id", name.encode()))
        if self._dropped:
            headers.append((b"x-dropped-params", ", ".join(self._dropped).encode("ascii", "replace")))
        return headers

    async def _send_whole(self, body: bytes, kind: bytes = b"application/json") -> None:
        """Send a whole answer. Settled before: a process killed in between has recorded it."""
        self._record.first_token()
        self._record.settle()
        await self._sink.start(200, self._headers([(b"content-type", kind), (b"content-length", b"%d" % len(body))]))
        await self._sink.end(body)

    async def _failure(self, answer: UpstreamAnswer) -> UpstreamFailed:
        self._record.upstream_spoke = answer.status < 400  # noqa: PLR2004 - a redirect; errors are not billed
        due = min(self._due, clock.monotonic() + _ERROR_BODY_S)
        try:
            body = await self._within(due, answer.read(_MAX_ERROR_BYTES))
        except UpstreamFailed:
            body = b""  # the status alone tells enough
        dialect = self._channel.preset.dialect
        if dialect is Dialect.OPENAI_CHAT:
            return failure_of(answer.status, read_complaint(body), answer.headers)
        return failure_of_fault(codec_of(dialect).decode_error(answer.status, answer.headers, body), answer.status)
