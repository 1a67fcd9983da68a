"""Look on while a stream passes: has content come, has it ended, what did it use, did it break."""

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from tidemill.kernel.lang import Lang
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.faults import fault_of
from tidemill.relay.pipeline.flow import last_event
from tidemill.relay.pipeline.record import Record
from tidemill.relay.rules import failure_of_fault
from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_estimate import event_bytes, usage_of
from tidemill.wire.canonical_events import Event, Failed, Finished, Metered, Ping, Started, Stopped
from tidemill.wire.canonical_fault import BAD_TOOL, Fault, Kind
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Codec, StreamDecoder, StreamEncoder
from tidemill.wire.sse import EventTooLargeError, Splitter, data_of
from tidemill.wire.tokens import TokenCounts, estimate_text


class Observer:
    """What the events of one stream have told."""

    __slots__ = ("carried", "ended", "fault", "prompt", "spoke", "text_bytes", "usage")

    def __init__(self) -> None:
        self.carried = False
        self.ended = False
        self.spoke = False
        self.fault: Fault | None = None
        self.text_bytes = 0
        self.usage: Usage | UnsetType = UNSET
        self.prompt: Usage | UnsetType = UNSET  # what was told of the prompt at the start

    def see(self, event: Event) -> None:
        """Take note of one event."""
        match event:
            case Failed():
                self._fail(event.fault)
                return
            case Stopped(reason=Stop.BAD_TOOL):
                self._fail(BAD_TOOL)
                return
            case Finished():
                self.ended = True
            case Metered():
                self.usage = event.usage
            case Started():
                self.prompt = event.usage
            case _:
                self.text_bytes += event_bytes(event)
        self.spoke = self.spoke or not isinstance(event, Ping)
        self.carried = self.carried or event.carries

    def _fail(self, fault: Fault) -> None:
        self.fault = fault
        self.ended = True

    def interrupted(self) -> TokenCounts:
        """Return the counts of a stream that told its prompt and broke off: as much of the output as came."""
        told = TokenCounts() if self.prompt is UNSET else self.prompt.counts()
        return TokenCounts(
            told.fresh,
            told.cache_read,
            told.cache_write,
            told.audio_in,
            output=estimate_text(self.text_bytes),
            estimated=True,
        )


class CodecFlow:
    """What all ways have in common that know of their stream by the events in it."""

    def __init__(self) -> None:
        self.seen = Observer()

    @property
    def carried(self) -> bool:
        """Whether it has brought content."""
        return self.seen.carried

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.seen.ended

    def note(self, record: Record) -> None:
        """Write down the usage, or what it is estimated from."""
        seen = self.seen
        record.usage = record.usage_raw = None
        record.upstream_spoke = seen.spoke
        record.forwarded_bytes = seen.text_bytes
        record.count(seen.usage)
        if record.usage is None and seen.prompt is not UNSET:
            record.usage = seen.interrupted()

    def failure(self) -> UpstreamFailed | None:
        """Return what was wrong with how it ended."""
        seen = self.seen
        if seen.fault is not None:
            return failure_of_fault(seen.fault)
        return None if seen.carried else UpstreamFailed("the stream ended without content")


class TranslatedFlow(CodecFlow):
    """Reads one protocol, writes another. ``prompt_tokens`` estimates the request where nobody tells its usage."""

    def __init__(
        self, decoder: StreamDecoder, encoder: StreamEncoder, prompt_tokens: Callable[[], int], lang: Lang
    ) -> None:
        super().__init__()
        self._decoder = decoder
        self._encoder = encoder
        self._prompt_tokens = prompt_tokens
        self._lang: Lang = lang

    def feed(self, data: bytes) -> bytes:
        """Return what ``data`` gives the client; a fault gives nothing, for it may not be the client's end."""
        seen = self.seen
        events: list[Event] = []
        for event in self._decoder.feed(data) if data else self._decoder.close():
            seen.see(event)
            if seen.fault is not None:
                break
            if isinstance(event, Finished) and seen.usage is UNSET:
                events.append(Metered(self.usage()))
            events.append(event)
            if seen.ended:
                break
        out = self._passed(events)
        return self._encoder.encode(out) if out else b""

    def usage(self) -> Usage:
        """Return what the service has taken, as far as it is told, else estimated."""
        seen = self.seen
        return usage_of(self._prompt_tokens(), seen.text_bytes) if seen.usage is UNSET else seen.usage

    def _passed(self, events: list[Event]) -> list[Event]:
        """Return which of the service's events the client gets."""
        return events

    def farewell(self, failure: UpstreamFailed | None) -> bytes:
        """Return the error, if there is one; a good end has been written as it came."""
        if failure is None:
            return b""
        return self._encoder.encode([Failed(self.seen.fault or fault_of(failure, self._lang))])


class WatchedFlow(CodecFlow):
    """Hands whole events on as they are. ``as_list``: as Gemini's JSON list instead of an event stream."""

    def __init__(self, codec: Codec, lang: Lang, *, as_list: bool) -> None:
        super().__init__()
        self._codec = codec
        self._lang: Lang = lang
        self._decoder = codec.stream_decoder()
        self._splitter = Splitter()
        self._as_list = as_list
        self._before = b"["

    def feed(self, data: bytes) -> bytes:
        """Return the whole events in ``data`` but for one that tells a failure."""
        seen = self.seen
        try:
            frames = self._splitter.feed(data) if data else last_event(self._splitter.rest())
        except EventTooLargeError as error:
            seen.see(Failed(Fault(kind=Kind.UPSTREAM, message=str(error))))
            return b""
        out: list[bytes] = []
        for frame in frames:
            self._look(self._decoder.feed(frame))
            if seen.fault is None:
                out.append(self._shown(frame))
            if seen.ended:
                break
        if not data and not seen.ended:
            self._look(self._decoder.close())
        return b"".join(out)

    def farewell(self, failure: UpstreamFailed | None) -> bytes:
        """Return the error, if there is one, and the end of the list."""
        out = b""
        if failure is not None:
            out = self._shown(self._codec.error_frame(self.seen.fault or fault_of(failure, self._lang)))
        return out + (b"" if not self._as_list else b"]" if self._before != b"[" else b"[]")

    def _look(self, events: list[Event]) -> None:
        for event in events:
            self.seen.see(event)
            if self.seen.ended:
                return

    def _shown(self, frame: bytes) -> bytes:
        if not self._as_list:
            return frame
        data = data_of(frame)
        if data is None:
            return b""
        before, self._before = self._before, b",\r\n"
        return before + data
