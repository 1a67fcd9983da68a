"""One try with one channel: send, wait within deadlines, hand the answer on.

Until the first content event nothing has gone out, so a failure is raised and another channel may be tried. After it
the client is told inside the stream; ``told`` says so.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import msgspec
from msgspec import Struct

from tidemill.kernel import clock
from tidemill.relay.errors import ClientTooSlow, UpstreamFailed
from tidemill.relay.pipeline.ask import Ask, Headers, Sink
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.watch import Watched
from tidemill.relay.rules import failure_of
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer, UpstreamBrokenError, Upstreams
from tidemill.wire.openai_chat import read_answer, read_usage
from tidemill.wire.openai_errors import read_complaint, stream_event
from tidemill.wire.openai_stream import ChatStream
from tidemill.wire.sse import DONE, EventTooLargeError, Splitter

T = TypeVar("T")

_OK = range(200, 300)
_BAD_GATEWAY = 502
_MAX_ERROR_BYTES = 256 * 1024
_ERROR_BODY_S = 5.0
# Lifecycle events held back before the first content; past this the stream is handed on as it comes.
_MAX_HELD_BYTES = 256 * 1024
EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Patience(Struct, frozen=True):
    """How long things may take, seconds, and how large an answer may be, bytes."""

    first_token_s: float
    idle_s: float
    max_answer_bytes: int


class Exchange:
    """One try. ``due``: when the whole call must be over (monotonic seconds)."""

    def __init__(
        self, ask: Ask, channel: Channel, sink: Sink, record: Record, watched: Watched, due: float, patience: Patience
    ) -> None:
        self._ask = ask
        self._channel = channel
        self._sink = sink
        self._record = record
        self._watched = watched
        self._due = due
        self._patience = patience
        self.told: UpstreamFailed | None = None

    async def run(self, upstreams: Upstreams, errand: Errand) -> None:
        """Carry the errand out; raises UpstreamFailed while nothing has gone out."""
        due = min(self._due, clock.monotonic() + self._patience.first_token_s) if self._ask.stream else self._due
        answer = await self._within(due, upstreams.send(errand))
        try:
            await self._hand_on(answer, due)
        except BaseException:
            await answer.abort()
            raise
        if self.told is None:
            await answer.finish()
        else:
            await answer.abort()

    async def _hand_on(self, answer: UpstreamAnswer, first_due: float) -> None:
        if answer.status not in _OK:
            raise await self._failure(answer)
        if self._ask.stream:
            await self._stream(answer, first_due)
        else:
            await self._plain(answer)

    async def _within(self, due: float, work: Awaitable[T]) -> T:
        """Await the upstream until ``due``."""
        watched = self._watched
        watched.until(due)
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

    async def _write(self, data: bytes) -> None:
        """Send to the client; one that does not read for the idle time is let go."""
        watched = self._watched
        now = watched.quiet_since = clock.monotonic()
        watched.until(now + self._patience.idle_s, ClientTooSlow)
        try:
            await self._sink.write(data)
        except asyncio.CancelledError:
            expired = watched.expired()
            if expired is None:
                raise
            raise expired from None
        finally:
            watched.at_ease()

    def _headers(self, kind: Headers) -> Headers:
        return [
            *kind,
            (b"x-gateway-channel", b"%d" % self._channel.id),
            (b"x-gateway-attempts", b"%d" % self._record.tries),
        ]

    async def _failure(self, answer: UpstreamAnswer) -> UpstreamFailed:
        self._record.upstream_spoke = answer.status < 400  # noqa: PLR2004 - a redirect; errors are not billed
        due = min(self._due, clock.monotonic() + _ERROR_BODY_S)
        try:
            body = await self._within(due, answer.read(_MAX_ERROR_BYTES))
        except UpstreamFailed:
            body = b""  # the status alone tells enough
        return failure_of(answer.status, read_complaint(body), answer.headers)

    # ---- plain -------------------------------------------------------------------------------------------------

    async def _plain(self, answer: UpstreamAnswer) -> None:
        body = await self._within(self._due, answer.read(self._patience.max_answer_bytes))
        record = self._record
        record.upstream_spoke = True
        try:
            seen = read_answer(body)
        except msgspec.DecodeError:
            raise UpstreamFailed("the answer is not JSON", upstream_status=answer.status) from None
        if seen is not None:
            if seen.has_error:
                complaint = read_complaint(body)
                record.upstream_spoke = False
                raise failure_of(complaint.status or _BAD_GATEWAY, complaint, answer.headers)
            record.usage = read_usage(seen.usage)
            record.usage_raw = bytes(memoryview(seen.usage)) if record.usage is not None else None
            record.forwarded_bytes = sum(
                choice.message.text_bytes() for choice in seen.choices or () if choice.message is not None
            )
        record.first_token()
        # Settled before the answer goes out: a process killed in between has recorded it.
        record.settle()
        headers = self._headers([(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))])
        await self._sink.start(200, headers)
        await self._sink.end(body)

    # ---- streamed ----------------------------------------------------------------------------------------------

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        stream = ChatStream(keeps_usage=self._ask.keeps_usage)
        failure: UpstreamFailed | None = None
        committed = _Committed()
        try:
            await self._follow(answer, stream, first_due, committed)
        except UpstreamFailed as error:
            failure = error
        finally:
            self._note(stream)
        if failure is None and not (stream.ended_well and stream.has_content):
            failure = self._ended_badly(answer, stream)
        if failure is None:
            self._record.settle()
            await self._sink.end(DONE)
            return
        if not committed:
            raise failure
        self.told = self._record.error = failure
        self._record.settle()
        message = failure.message(self._ask.lang)
        await self._sink.end(stream_event(failure.answer_status, message, code=failure.code))

    async def _follow(
        self, answer: UpstreamAnswer, stream: ChatStream, first_due: float, committed: "_Committed"
    ) -> None:
        """Hand events on until the stream ends, one way or the other."""
        splitter = Splitter()
        held: list[bytes] = []
        idle_s = self._patience.idle_s
        while not stream.done and stream.complaint is None:
            due = min(self._due, clock.monotonic() + idle_s) if committed else first_due
            data = await self._within(due, answer.next())
            try:
                events = splitter.feed(data) if data else _last(splitter.rest())
            except EventTooLargeError as error:
                raise UpstreamFailed(str(error)) from None
            out = [event for event in events if stream.take(event)]
            if not committed:
                held.extend(out)
                if stream.has_content or sum(map(len, held)) > _MAX_HELD_BYTES:
                    committed.now = True
                    self._record.first_token()
                    await self._begin()
                    out, held = held, []
                else:
                    out = []
            if out:
                await self._write(out[0] if len(out) == 1 else b"".join(out))
            if not data:
                return

    async def _begin(self) -> None:
        if not self._sink.started:
            await self._sink.start(200, self._headers(EVENT_STREAM))

    def _note(self, stream: ChatStream) -> None:
        record = self._record
        record.upstream_spoke = stream.events > 0
        record.forwarded_bytes = stream.text_bytes
        record.usage, record.usage_raw = stream.usage, stream.usage_raw

    def _ended_badly(self, answer: UpstreamAnswer, stream: ChatStream) -> UpstreamFailed:
        if stream.complaint is not None:
            return failure_of(stream.complaint.status or _BAD_GATEWAY, stream.complaint, answer.headers)
        if stream.garbage and not stream.has_content:
            return UpstreamFailed("the stream is not JSON")
        if not stream.has_content:
            return UpstreamFailed("the stream ended without content")
        return UpstreamFailed("the stream was cut off", kind="transport")


class _Committed:
    """Whether content has gone out; shared by those who follow and those who end a stream."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = False

    def __bool__(self) -> bool:
        return self.now


def _last(rest: bytes) -> list[bytes]:
    """Return what stood after the last blank line as an event: some upstreams leave the final one out."""
    rest = rest.strip()
    return [rest + b"\n\n"] if rest else []
