"""A try in OpenAI's own protocol on both sides: the bytes go on as they came, read only as far as a relay needs.

This is the path that most calls take; nothing here makes a canonical form.
"""

from collections.abc import Mapping

import msgspec

from tidemill.kernel.lang import Lang
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.faults import stream_headers
from tidemill.relay.pipeline.ask import Ask, Headers
from tidemill.relay.pipeline.flow import last_event
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.stream_exchange import StreamExchange
from tidemill.relay.rules import failure_of
from tidemill.relay.upstreams.port import UpstreamAnswer
from tidemill.wire.openai_chat import read_answer, read_usage
from tidemill.wire.openai_errors import read_complaint, stream_event
from tidemill.wire.openai_stream import ChatStream
from tidemill.wire.sse import DONE, EventTooLargeError, Splitter

_BAD_GATEWAY = 502


class ChatExchange(StreamExchange):
    """Chat completions and embeddings."""

    async def _plain(self, answer: UpstreamAnswer) -> None:
        body = await self._whole(answer)
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

    def _way(self, answer: UpstreamAnswer) -> "ChatFlow":
        return ChatFlow(answer.headers, self._ask)

    def _kind(self, answer: UpstreamAnswer) -> Headers:
        del answer
        return stream_headers(self._ask)


class ChatFlow:
    """A stream of chat completions: its events go on as they came, but for its end, which the relay writes itself."""

    def __init__(self, headers: Mapping[str, str], ask: Ask) -> None:
        self._headers = headers
        self._lang: Lang = ask.lang
        self._splitter = Splitter()
        self._stream = ChatStream(keeps_usage=ask.keeps_usage)
        self.ended = False

    @property
    def carried(self) -> bool:
        """Whether it has brought content."""
        return self._stream.has_content

    def feed(self, data: bytes) -> bytes:
        """Return the events in ``data`` that go on."""
        stream = self._stream
        try:
            events = self._splitter.feed(data) if data else last_event(self._splitter.rest())
        except EventTooLargeError as error:
            raise UpstreamFailed(str(error)) from None
        out = [event for event in events if stream.take(event)]
        self.ended = not data or stream.done or stream.complaint is not None
        return out[0] if len(out) == 1 else b"".join(out)

    def note(self, record: Record) -> None:
        """Write down the usage, or what it is estimated from."""
        stream = self._stream
        record.upstream_spoke = stream.events > 0
        record.forwarded_bytes = stream.text_bytes
        record.usage, record.usage_raw = stream.usage, stream.usage_raw

    def failure(self) -> UpstreamFailed | None:
        """Return what was wrong with how it ended."""
        stream = self._stream
        if stream.complaint is not None:
            return failure_of(stream.complaint.status or _BAD_GATEWAY, stream.complaint, self._headers)
        if stream.garbage and not stream.has_content:
            return UpstreamFailed("the stream is not JSON")
        if not stream.has_content:
            return UpstreamFailed("the stream ended without content")
        if not stream.ended_well:
            return UpstreamFailed("the stream was cut off", kind="transport")
        return None

    def farewell(self, failure: UpstreamFailed | None) -> bytes:
        """Return the end that OpenAI's streams have, or the error in its place."""
        if failure is None:
            return DONE
        return stream_event(failure.answer_status, failure.message(self._lang), code=failure.code)
