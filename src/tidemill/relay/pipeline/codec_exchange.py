"""A try in which at least one side speaks another protocol than OpenAI's chat.

``SameExchange``: both sides speak one protocol; the bytes go on as they came and a decoder looks on for content, usage
and errors. ``TranslatedExchange``: every answer is read into the canonical form and written for the client.
"""

from abc import abstractmethod
from typing import Protocol

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.kernel import clock
from tidemill.kernel.ids import uuid7
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.faults import fault_of, stream_headers
from tidemill.relay.pipeline.exchange import MAX_HELD_BYTES, Exchange
from tidemill.relay.pipeline.follow import Committed
from tidemill.relay.pipeline.observer import Observer, TranslatedFeed, WatchedFeed
from tidemill.relay.rules import failure_of_fault
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer
from tidemill.relay.upstreams.translate import translate
from tidemill.wire.canonical_estimate import answer_bytes, usage_of
from tidemill.wire.canonical_fault import Fault, WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Codec, Reply, reply_to
from tidemill.wire.codecs import codec_of


class Feed(Protocol):
    """A stream on its way through: takes the upstream's bytes, gives the client's."""

    @property
    def seen(self) -> Observer:
        """What was seen so far."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return what ``data`` gives; empty ``data`` is the end."""
        ...

    def failed(self, fault: Fault) -> bytes:
        """Return what ends the client's stream."""
        ...


class CodecExchange(Exchange):
    """Follows a stream by the events in it."""

    @abstractmethod
    def _feed(self) -> Feed:
        """Return the way of one stream."""

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        feed, committed, record = self._feed(), Committed(), self._record
        last, failure = await self._to_its_end(answer, feed, first_due, committed)
        if failure is None:
            record.settle()
            await self._sink.end(last)
            return
        if not committed:
            raise failure
        self.told = record.error = failure
        record.settle()
        await self._sink.end(last or feed.failed(fault_of(failure, self._ask.lang)))

    async def _to_its_end(
        self, answer: UpstreamAnswer, feed: Feed, first_due: float, committed: Committed
    ) -> tuple[bytes, UpstreamFailed | None]:
        """Follow a stream and note what was seen; returns the last bytes, and what went wrong if anything did."""
        failure: UpstreamFailed | None = None
        last = b""
        self._rest = lambda data: self._look_on(feed, data)
        try:
            last = await self._follow(answer, feed, first_due, committed)
        except UpstreamFailed as error:
            failure = error
        finally:
            self._note(feed.seen)
        seen = feed.seen
        if failure is None and seen.fault is not None:
            failure = failure_of_fault(seen.fault)
        if failure is None and not seen.carried:
            failure = UpstreamFailed("the stream ended without content")
        return last, failure

    async def _follow(self, answer: UpstreamAnswer, feed: Feed, first_due: float, committed: Committed) -> bytes:
        """Hand on what comes; returns the last bytes, which end the answer."""
        held: list[bytes] = []
        seen, idle_s = feed.seen, self._patience.idle_s
        while not seen.ended:
            due = min(self._due, clock.monotonic() + idle_s) if committed else first_due
            data = await self._within(due, answer.next())
            out = feed.feed(data)
            if not committed:
                held.append(out)
                if not seen.carried and sum(map(len, held)) <= MAX_HELD_BYTES:
                    continue
                out = b"".join(held)
                committed.now = True
                self._record.first_token()
                await self._begin(stream_headers(self._ask))
            if seen.ended:
                return out
            if out:
                await self._write(out)
        return b""

    def _look_on(self, feed: Feed, data: bytes) -> bool:
        """Take note of what comes after the client has left; returns whether nothing more can."""
        feed.feed(data)
        self._note(feed.seen)
        return feed.seen.ended

    def _note(self, seen: Observer) -> None:
        record = self._record
        record.upstream_spoke = seen.spoke
        record.forwarded_bytes = seen.text_bytes
        self._count(seen.usage)
        if record.usage is None and seen.prompt is not UNSET:
            record.usage = seen.interrupted()

    def _count(self, usage: Usage | UnsetType) -> None:
        """Note the usage; what is kept of it to count anew are the buckets of the canonical form."""
        if usage is not UNSET:
            self._record.usage = usage.counts()
            self._record.usage_raw = msgspec.json.encode(usage)

    async def _read(self, answer: UpstreamAnswer) -> bytes:
        body = await self._within(self._due, answer.read(self._patience.max_answer_bytes))
        self._record.upstream_spoke = True
        return body

    def _not_answered(self, error: WireError) -> UpstreamFailed:
        self._record.upstream_spoke = False
        return failure_of_fault(error.fault)


class TranslatedExchange(CodecExchange):
    """The client speaks one protocol, the channel another."""

    async def _errand(self, root: str, key: str | None) -> Errand:
        request = self._ask.request()
        if not self._channel.preset.takes_urls and self._media is not None:
            request = await self._media.fill(request)
        translated = translate(self._ask, request, self._channel, root, key)
        self._dropped = translated.dropped
        return translated.errand

    async def _plain(self, answer: UpstreamAnswer) -> None:
        body = await self._read(answer)
        theirs, ours = self._codecs()
        record = self._record
        try:
            read = theirs.decode_answer(body)
            record.forwarded_bytes = answer_bytes(read)
            self._count(read.usage)
            if read.usage is UNSET:
                told = usage_of(self._ask.estimated_tokens(), record.forwarded_bytes)
                read = msgspec.structs.replace(read, usage=told)
            out = ours.encode_answer(read, self._reply())
        except WireError as error:
            raise self._not_answered(error) from None
        await self._send_whole(out)

    def _feed(self) -> Feed:
        theirs, ours = self._codecs()
        return TranslatedFeed(theirs.stream_decoder(), ours.stream_encoder(self._reply()), self._ask.estimated_tokens)

    def _codecs(self) -> tuple[Codec, Codec]:
        return codec_of(self._channel.preset.dialect), codec_of(self._ask.dialect)

    def _reply(self) -> Reply:
        ask = self._ask
        return reply_to(
            ask.request(),
            reply_id=uuid7().replace("-", ""),
            created=int(clock.now().timestamp()),
            prompt_tokens=ask.estimated_tokens(),
            sse=ask.sse,
        )


class _Shown(Struct, frozen=True):
    """Of a whole answer, what tells an error behind a good status."""

    error: Raw = Raw(b"null")


class SameExchange(CodecExchange):
    """Both sides speak Anthropic's, Gemini's or the Responses' protocol."""

    async def _plain(self, answer: UpstreamAnswer) -> None:
        body = await self._read(answer)
        try:
            read = codec_of(self._ask.dialect).decode_answer(body)
        except WireError as error:
            if self._is_failure(body):
                raise self._not_answered(error) from None
        else:
            self._count(read.usage)
            self._record.forwarded_bytes = answer_bytes(read)
        await self._send_whole(body)

    def _is_failure(self, body: bytes) -> bool:
        """Tell an error, or no JSON at all, from an answer of a kind that we do not know."""
        try:
            return bytes(msgspec.json.decode(body, type=_Shown).error) != b"null"
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return True

    def _feed(self) -> Feed:
        codec = codec_of(self._ask.dialect)
        as_list = self._ask.dialect is Dialect.GEMINI and not self._ask.sse
        return WatchedFeed(codec, as_list=as_list)
