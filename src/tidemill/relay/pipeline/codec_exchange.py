"""A try in which at least one side speaks another protocol than OpenAI's chat.

``SameExchange``: both sides speak one protocol; the bytes go on as they came and a decoder looks on for content, usage
and errors. ``TranslatedExchange``: every answer is read into the canonical form and written for the client.
"""

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.kernel import clock
from tidemill.kernel.ids import uuid7
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.faults import stream_headers
from tidemill.relay.pipeline.ask import Headers
from tidemill.relay.pipeline.codec_flow import TranslatedFlow, WatchedFlow
from tidemill.relay.pipeline.flow import Flow
from tidemill.relay.pipeline.stream_exchange import StreamExchange
from tidemill.relay.rules import failure_of_fault
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer
from tidemill.relay.upstreams.translate import translate
from tidemill.wire.canonical_estimate import answer_bytes, usage_of
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Codec, Reply, reply_to
from tidemill.wire.codecs import codec_of


class CodecExchange(StreamExchange):
    """Follows a stream by the events in it."""

    def _kind(self, answer: UpstreamAnswer) -> Headers:
        del answer
        return stream_headers(self._ask)

    async def _read(self, answer: UpstreamAnswer) -> bytes:
        body = await self._whole(answer)
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
            record.count(read.usage)
            if read.usage is UNSET:
                told = usage_of(self._ask.estimated_tokens(), record.forwarded_bytes)
                read = msgspec.structs.replace(read, usage=told)
            out = ours.encode_answer(read, self._reply())
        except WireError as error:
            raise self._not_answered(error) from None
        await self._send_whole(out)

    def _way(self, answer: UpstreamAnswer) -> Flow:
        del answer
        theirs, ours = self._codecs()
        encoder = ours.stream_encoder(self._reply())
        return TranslatedFlow(theirs.stream_decoder(), encoder, self._ask.estimated_tokens, self._ask.lang)

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
            self._record.count(read.usage)
            self._record.forwarded_bytes = answer_bytes(read)
        await self._send_whole(body)

    def _is_failure(self, body: bytes) -> bool:
        """Tell an error, or no JSON at all, from an answer of a kind that we do not know."""
        try:
            return bytes(msgspec.json.decode(body, type=_Shown).error) != b"null"
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return True

    def _way(self, answer: UpstreamAnswer) -> Flow:
        del answer
        ask = self._ask
        return WatchedFlow(codec_of(ask.dialect), ask.lang, as_list=ask.dialect is Dialect.GEMINI and not ask.sse)
