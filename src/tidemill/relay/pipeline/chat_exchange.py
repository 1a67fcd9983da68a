"""A try in OpenAI's own protocol on both sides: the bytes go on as they came, read only as far as a relay needs.

This is the path that most calls take; nothing here makes a canonical form.
"""

import asyncio

import msgspec

from tidemill.kernel import clock
from tidemill.platform.tasks import apart
from tidemill.relay.errors import ClientTooSlow, UpstreamFailed
from tidemill.relay.pipeline.exchange import EVENT_STREAM, MAX_HELD_BYTES, Exchange
from tidemill.relay.pipeline.follow import Committed, last_event
from tidemill.relay.rules import failure_of
from tidemill.relay.upstreams.port import UpstreamAnswer, UpstreamBrokenError
from tidemill.wire.openai_chat import read_answer, read_usage
from tidemill.wire.openai_errors import read_complaint, stream_event
from tidemill.wire.openai_stream import ChatStream
from tidemill.wire.sse import DONE, EventTooLargeError, Splitter

_BAD_GATEWAY = 502


class ChatExchange(Exchange):
    """Chat completions and embeddings."""

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
        await self._send_whole(body)

    # ---- streamed ----------------------------------------------------------------------------------------------

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        stream = ChatStream(keeps_usage=self._ask.keeps_usage)
        failure: UpstreamFailed | None = None
        committed, splitter = Committed(), Splitter()
        self._rest = lambda data: self._look_on(stream, splitter, data)
        try:
            await apart("stream", self._follow(answer, stream, splitter, first_due, committed))
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
        self, answer: UpstreamAnswer, stream: ChatStream, splitter: Splitter, first_due: float, committed: Committed
    ) -> None:
        """Hand events on until the stream ends, one way or the other.

        Nothing else of ours runs between two awaits, so each bound only has to be set before the await that it is for.
        """
        watched, sink = self._watched, self._sink
        held: list[bytes] = []
        idle_s = self._patience.idle_s
        try:
            while not stream.done and stream.complaint is None:
                watched.until(min(self._due, clock.monotonic() + idle_s) if committed.now else first_due)
                data = await answer.next()
                out = _passed(splitter, stream, data)
                if not committed.now:
                    held.extend(out)
                    if not stream.has_content and sum(map(len, held)) <= MAX_HELD_BYTES:
                        out = held[:0]
                    else:
                        committed.now = True
                        self._record.first_token()
                        watched.until(clock.monotonic() + idle_s, ClientTooSlow)
                        await self._begin(EVENT_STREAM)
                        out, held = held, []
                if out:
                    now = watched.quiet_since = clock.monotonic()
                    watched.until(now + idle_s, ClientTooSlow)
                    await sink.write(out[0] if len(out) == 1 else b"".join(out))
                if not data:
                    return
        except asyncio.CancelledError:
            expired = watched.expired()
            if expired is None:
                raise
            raise expired from None
        except UpstreamBrokenError as error:
            raise UpstreamFailed(str(error), kind="transport") from error
        finally:
            watched.at_ease()

    def _look_on(self, stream: ChatStream, splitter: Splitter, data: bytes) -> bool:
        """Take note of what comes after the client has left; returns whether nothing more can."""
        try:
            _passed(splitter, stream, data)
        except UpstreamFailed:
            return True
        self._note(stream)
        return stream.done or stream.complaint is not None

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


def _passed(splitter: Splitter, stream: ChatStream, data: bytes) -> list[bytes]:
    """Return the events in ``data`` that go on; empty ``data``: what the upstream left without an end."""
    try:
        events = splitter.feed(data) if data else last_event(splitter.rest())
    except EventTooLargeError as error:
        raise UpstreamFailed(str(error)) from None
    return [event for event in events if stream.take(event)]
