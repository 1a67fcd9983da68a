"""Read a stream of the Responses.

Tolerated: items or parts that were never announced, a text or arguments told only whole at their end, items told only
in the last event, ``[DONE]``, an error or a whole answer in place of the stream.
"""

import msgspec
from msgspec import UNSET, Raw

from tidemill.wire.canonical_collect import events_of
from tidemill.wire.canonical_events import Event, Failed, Finished, Metered, Ping, Started, Stopped
from tidemill.wire.canonical_fault import Fault, Kind, WireError
from tidemill.wire.canonical_json import MALFORMED
from tidemill.wire.openai_responses.answer import decode_answer, fault_in, stop_of
from tidemill.wire.openai_responses.errors import read_fault
from tidemill.wire.openai_responses.output_in import EventIn, OutputReader
from tidemill.wire.openai_responses.shapes import ResponseIn
from tidemill.wire.openai_responses.usage import read_usage
from tidemill.wire.sse import DONE_DATA, EventTooLargeError, Splitter, data_of

_events = msgspec.json.Decoder(EventIn)
_responses = msgspec.json.Decoder(ResponseIn)

_BROKE_OFF = Fault(kind=Kind.UPSTREAM, message="the upstream's stream broke off before its end", code="stream_broken")
_EMPTY = Fault(kind=Kind.UPSTREAM, message="the upstream's stream held no answer", code="empty_stream")


class ResponseStreamDecoder:
    """Reads one stream."""

    __slots__ = ("_ended", "_output", "_splitter", "_started", "garbage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._output = OutputReader()
        self._started = False
        self._ended = False
        self.garbage = 0  # events that are none of this dialect's

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            events = self._splitter.feed(data)
        except EventTooLargeError as error:
            self._fail(Fault(kind=Kind.UPSTREAM, message=str(error)), out)
            return out
        for event in events:
            self._take(event, out)
            if self._ended:
                break
        return out

    def close(self) -> list[Event]:
        """Say that no more bytes come: without the last event that is no good end."""
        out: list[Event] = []
        if self._ended:
            return out
        rest = self._splitter.rest()
        if rest.strip():
            if rest.lstrip().startswith(b"{") and not self._started:
                return self._whole(rest)
            self._take(rest, out)
        if not self._ended:
            self._fail(_BROKE_OFF if self._started else _EMPTY, out)
        return out

    def _whole(self, body: bytes) -> list[Event]:
        """Read a plain answer that came in place of a stream."""
        self._ended = True
        try:
            return events_of(decode_answer(body))
        except WireError as error:
            return [Failed(error.fault)]

    def _take(self, event: bytes, out: list[Event]) -> None:
        # Every event names its type in its data too; the line that says it first is skipped unread.
        start = event.find(b"\ndata: ") + 7
        end = len(event) - 2
        plain = start > 6 and event.startswith(b"event:") and event.find(b"\n", start) == end  # noqa: PLR2004
        data = event[start:end] if plain else data_of(event)
        if not data or data == DONE_DATA:
            return
        try:
            came = _events.decode(data)
            self._event(came, data, out)
        except MALFORMED:
            self.garbage += 1

    def _event(self, came: EventIn, data: bytes, out: list[Event]) -> None:
        if not self._started:
            self._start(came, out)
        if not self._output.take(came, out):
            self._lifecycle(came, data, out)

    def _lifecycle(self, came: EventIn, data: bytes, out: list[Event]) -> None:
        match came.type:
            case "response.created" | "response.in_progress" | "response.queued":
                pass  # told by the first of them
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                self._finish(came.response, out)
            case "keepalive":
                out.append(Ping())
            case "error":
                self._fail(read_fault(data), out)
            case _:
                if came.error:
                    self._fail(read_fault(data), out)
                elif not came.type.startswith("response."):
                    self.garbage += 1

    def _start(self, came: EventIn, out: list[Event]) -> None:
        if not came.type.startswith("response."):
            return
        response = _responses.decode(came.response) if memoryview(came.response) else ResponseIn()
        self._started = True
        created = UNSET if response.created_at is None else int(response.created_at)
        out.append(Started(response.id or "", response.model or "", created))

    def _finish(self, raw: Raw, out: list[Event]) -> None:
        response = _responses.decode(raw)
        broken = fault_in(response, raw)
        if broken is not None:
            self._fail(broken.fault, out)
            return
        self._output.finish(response.output or [], out)
        usage = read_usage(response.usage)
        if usage is not UNSET:
            out.append(Metered(usage))
        out.append(Stopped(stop_of(response, self._output.said)))
        self._ended = True
        out.append(Finished())

    def _fail(self, fault: Fault, out: list[Event]) -> None:
        self._ended = True
        out.append(Failed(fault))
