"""Read a streamed Anthropic message.

Tolerated: no ``message_start``, no ``message_stop`` after a stop reason, a tool's input given whole at its start, an
error or a whole message in place of the stream.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.anthropic.answer import decode_answer, stop_of
from tidemill.wire.anthropic.block_reader import BlockReader, DeltaIn
from tidemill.wire.anthropic.errors import read_fault
from tidemill.wire.anthropic.shapes import ABSENT, AnswerIn, StopDetails
from tidemill.wire.anthropic.usage import read_usage
from tidemill.wire.canonical_collect import events_of
from tidemill.wire.canonical_events import Event, Failed, Finished, Metered, Ping, Started, Stopped
from tidemill.wire.canonical_fault import Fault, Kind, WireError
from tidemill.wire.canonical_json import MALFORMED, fields_of, told
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.sse import EventTooLargeError, Splitter, data_of


class EventIn(Struct, frozen=True, gc=False):
    """An event."""

    type: str = ""
    index: int = 0
    delta: DeltaIn | None = None
    content_block: Raw = ABSENT
    message: AnswerIn | None = None
    usage: Any = None
    error: Any = None


_events = msgspec.json.Decoder(EventIn)

_BROKE_OFF = Fault(kind=Kind.UPSTREAM, message="the upstream's stream broke off before its end", code="stream_broken")
_EMPTY = Fault(kind=Kind.UPSTREAM, message="the upstream's stream held no answer", code="empty_stream")


class MessageStreamDecoder:
    """Reads one stream."""

    __slots__ = ("_blocks", "_ended", "_splitter", "_started", "_stop", "_usage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._blocks = BlockReader()
        self._started = False
        self._ended = False
        self._stop: DeltaIn | None = None
        self._usage: Usage | UnsetType = UNSET

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
        """Say that no more bytes come: after a stop reason that is a good end, before one it is not."""
        out: list[Event] = []
        if self._ended:
            return out
        rest = self._splitter.rest()
        if rest.strip():
            if rest.lstrip().startswith(b"{") and not self._started:
                return self._whole(rest)
            self._take(rest, out)
        if not self._ended:
            if self._stop is not None:
                self._finish(out)
            else:
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
        if not data:
            return
        try:
            came = _events.decode(data)
        except MALFORMED:
            self._strange(data, out)
            return
        if came.type == "content_block_delta" and came.delta is not None:
            self._blocks.grow(came.index, came.delta, out)
        else:
            self._rare(came, data, out)

    @property
    def garbage(self) -> int:
        """How many events were none of this dialect's."""
        return self._blocks.garbage

    def _strange(self, data: bytes, out: list[Event]) -> None:
        """Take an event of an unknown shape: an error in a shape of its own ends the stream, all else is skipped."""
        try:
            fields = fields_of(msgspec.json.decode(data))
        except MALFORMED:
            fields = {}
        if fields.get("error"):
            self._fail(read_fault(data), out)
        else:
            self._blocks.garbage += 1

    # ---- the message ---------------------------------------------------------------------------------------------

    def _rare(self, came: EventIn, data: bytes, out: list[Event]) -> None:
        match came.type:
            case "content_block_start":
                self._start(None, out)
                self._blocks.begin(came.index, came.content_block, out)
            case "content_block_stop":
                self._blocks.end(came.index, out)
            case "message_start":
                self._start(came.message, out)
            case "message_delta":
                self._message_delta(came, out)
            case "message_stop":
                self._finish(out)
            case "ping":
                out.append(Ping())
            case _:
                if came.type == "error" or came.error:
                    self._fail(read_fault(data), out)
                else:
                    self._blocks.garbage += 1

    def _start(self, message: AnswerIn | None, out: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        if message is None:
            out.append(Started("", ""))
            return
        self._usage = read_usage(message.usage)
        out.append(Started(message.id or "", message.model or "", usage=self._usage))

    def _message_delta(self, came: EventIn, out: list[Event]) -> None:
        if came.delta is not None and came.delta.stop_reason is not None:
            self._stop = came.delta
        usage = read_usage(came.usage, self._usage)
        if usage is not UNSET and came.usage is not None:
            self._usage = usage
            out.append(Metered(usage))

    def _finish(self, out: list[Event]) -> None:
        if not self._started:
            self._fail(_EMPTY, out)
            return
        self._blocks.end_all(out)
        stop = self._stop or DeltaIn()
        detail = told((stop.stop_details or StopDetails()).explanation)
        out.append(Stopped(stop_of(stop.stop_reason, calls=self._blocks.called), 0, told(stop.stop_sequence), detail))
        self._ended = True
        out.append(Finished())

    def _fail(self, fault: Fault, out: list[Event]) -> None:
        self._ended = True
        out.append(Failed(fault))
