"""A try of a stream that goes on elsewhere when it breaks, for callers who want that.

Such a stream is always read into the canonical form and written anew, whatever the channel speaks: so one writer can
carry the client's stream over several services. A service that goes on gets the text so far as the beginning of its
answer.
"""

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from tidemill.kernel.errors import TidemillError
from tidemill.kernel.lang import Lang
from tidemill.relay.errors import ClientGone, RequestUnreadable, UpstreamFailed
from tidemill.relay.faults import fault_of
from tidemill.relay.pipeline.ask import Ask
from tidemill.relay.pipeline.codec_exchange import TranslatedExchange
from tidemill.relay.pipeline.codec_flow import TranslatedFlow
from tidemill.relay.pipeline.continuation import Strand, Thread, plus, suits, sum_of
from tidemill.relay.pipeline.joint import given_of
from tidemill.relay.pipeline.prefill import RESTATING, continued, told_to_go_on
from tidemill.relay.pipeline.record import Record
from tidemill.relay.rules import is_safe_to_retry
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer, Upstreams
from tidemill.relay.upstreams.request import prepare
from tidemill.relay.upstreams.translate import translate
from tidemill.wire.canonical_events import Event
from tidemill.wire.codec import StreamDecoder, StreamEncoder
from tidemill.wire.tokens import estimate_text


def thread_of(ask: Ask) -> Thread | None:
    """Return the thread of a stream that may go on elsewhere; None for every other call."""
    thread = ask.thread
    if thread is None or not ask.stream or ask.kind != "chat":
        return None
    if thread.suitable is None:
        try:
            thread.suitable = suits(ask.request())
        except RequestUnreadable:
            thread.suitable = False  # its own provider understands more of it than we do
    return thread if thread.suitable else None


class ContinuedFlow(TranslatedFlow):
    """Reads one service's stream into the client's, which may have come some way with another's."""

    def __init__(
        self,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        prompt_tokens: Callable[[], int],
        lang: Lang,
        thread: Thread,
        strand: Strand,
    ) -> None:
        super().__init__(decoder, encoder, prompt_tokens, lang)
        self._thread = thread
        self._strand = strand

    def note(self, record: Record) -> None:
        """Write down the usage of this service and of those before it."""
        super().note(record)
        if self._thread.breaks:
            record.usage = sum_of(self._thread.spent, record.tokens())
            record.usage_raw = None  # of several services none is the whole

    def farewell(self, failure: UpstreamFailed | None) -> bytes:
        """Return the error, if there is one; a good end has been written as it came."""
        return b"" if failure is None else self._thread.failed(fault_of(failure, self._lang))

    def _passed(self, events: list[Event]) -> list[Event]:
        return self._strand.take(events)


class ContinuedExchange(TranslatedExchange):
    """A chat stream on the thread of its client."""

    @property
    def _thread(self) -> Thread:
        thread = self._ask.thread
        if thread is None:
            raise RuntimeError("the call has no thread")
        return thread

    async def run(self, upstreams: Upstreams, root: str, key: str | None) -> None:
        """Ask the service, from the text so far where there is some; raises UpstreamFailed while another may be tried.

        A service that will not go on from a text has refused our request, not the client's: what is told is the break.
        """
        thread = self._thread
        if not thread.breaks:
            await super().run(upstreams, root, key)
            return
        self._record.upstream_spoke = True
        self._record.usage = thread.spent
        self._record.notes["continued"] = str(thread.breaks)
        try:
            await super().run(upstreams, root, key)
        except ClientGone:
            raise
        except TidemillError as error:
            if isinstance(error, UpstreamFailed) and is_safe_to_retry(error):
                raise
            broken = thread.failure or UpstreamFailed("the stream was cut off", kind="transport")
            raise UpstreamFailed(broken.detail, kind=broken.kind, counts=False) from error

    async def _errand(self, root: str, key: str | None) -> Errand:
        ask, channel, thread = self._ask, self._channel, self._thread
        if thread.breaks:
            text = given_of(thread.text)
            request = continued(ask.request(), text)
            if not channel.preset.takes_urls and self._media is not None:
                request = await self._media.fill(request)
            errand = translate(ask, request, channel, root, key).errand
            body = told_to_go_on(errand.body, channel.provider, root) if text else errand.body
            return msgspec.structs.replace(errand, body=body)
        if channel.preset.dialect is ask.dialect:
            return prepare(ask, channel, root, key)
        return await super()._errand(root, key)

    def _way(self, answer: UpstreamAnswer) -> ContinuedFlow:
        del answer
        thread = self._thread
        theirs, ours = self._codecs()
        encoder = thread.encoder if thread.breaks else None
        if encoder is None:
            encoder = thread.begin(ours.stream_encoder(self._reply()))
        strand = Strand(thread, restates=self._channel.provider in RESTATING)
        prompt = self._ask.estimated_tokens() + estimate_text(len(thread.text.encode()))
        return ContinuedFlow(theirs.stream_decoder(), encoder, lambda: prompt, self._ask.lang, thread, strand)

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        flow, record, thread = self._way(answer), self._record, self._thread
        self._committed = thread.breaks > 0
        last, failure = await self._to_its_end(answer, flow, first_due)
        if failure is not None and self._committed and self._goes_on(failure):
            if last:
                await self._write(last)
            usage = flow.usage()
            thread.broke(failure, record.tokens(), usage if thread.usage is UNSET else plus(thread.usage, usage))
            raise failure
        await self._close(last, flow, failure)

    def _goes_on(self, failure: UpstreamFailed) -> bool:
        within = self._record.tries <= self._ask.retries
        return within and is_safe_to_retry(failure) and self._thread.may_go_on()
