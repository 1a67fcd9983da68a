"""Read a streamed chat completion, in all the forms that OpenAI's look-alikes give it.

Tolerated: no ``[DONE]``, usage in every chunk or in none, errors inside a good stream, a whole answer in place of a
stream, and every oddity of calls that ``tool_calls_in`` names.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.canonical_collect import events_of
from tidemill.wire.canonical_events import Event, Failed, Finished, Metered, Started
from tidemill.wire.canonical_fault import Fault, Kind, WireError
from tidemill.wire.canonical_json import MALFORMED, fields_of
from tidemill.wire.openai.answer import BROKEN, decode_answer
from tidemill.wire.openai.choice_in import ChoiceIn, ChoiceReader, Numbers
from tidemill.wire.openai.errors import fault_of
from tidemill.wire.openai.usage import read_usage
from tidemill.wire.openai_errors import read_complaint
from tidemill.wire.sse import DONE_DATA, EventTooLargeError, Splitter, data_of


class ChunkIn(Struct, frozen=True, gc=False):
    """A chunk."""

    choices: list[ChoiceIn] | None = None
    usage: Any = None
    error: Any = None
    object: str | None = None
    id: str | None = None
    model: str | None = None
    created: float | None = None


_chunks = msgspec.json.Decoder(ChunkIn)

_BROKE_OFF = Fault(kind=Kind.UPSTREAM, message="the upstream's stream broke off before its end", code="stream_broken")
_EMPTY = Fault(kind=Kind.UPSTREAM, message="the upstream's stream held no answer", code="empty_stream")


class ChatStreamDecoder:
    """Reads one stream."""

    __slots__ = ("_choices", "_ended", "_numbers", "_splitter", "_started", "_stopped", "garbage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._numbers = Numbers()
        self._choices: dict[int, ChoiceReader] = {}
        self._started = False
        self._stopped = False
        self._ended = False
        self.garbage = 0  # events that are no chunk of any kind

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
        """Say that no more bytes come: after a finish reason that is a good end, before one it is not."""
        out: list[Event] = []
        rest = self._splitter.rest()
        if self._ended:
            return out
        if rest.strip():
            if rest.lstrip().startswith(b"{") and not self._started:
                return self._whole(rest)
            self._take(rest, out)
        if self._ended:
            return out
        if any(choice.finish is not None for choice in self._choices.values()):
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
        data = data_of(event)
        if not data:
            return
        if data == DONE_DATA:
            self._finish(out)
            return
        try:
            chunk = _chunks.decode(data)
        except MALFORMED:
            self._strange(data, out)
            return
        if chunk.error or chunk.object == "error":
            self._fail(fault_of(read_complaint(data)), out)
            return
        self._chunk(chunk, out)

    def _strange(self, data: bytes, out: list[Event]) -> None:
        """Take a chunk of an unknown shape: an error in a shape of its own ends the stream, all else is skipped."""
        try:
            fields = fields_of(msgspec.json.decode(data))
        except MALFORMED:
            fields = {}
        if fields.get("error"):
            self._fail(fault_of(read_complaint(data)), out)
        else:
            self.garbage += 1

    def _chunk(self, chunk: ChunkIn, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(Started(chunk.id or "", chunk.model or "", _whole_seconds(chunk.created)))
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._choice(choice, out)
                if self._ended:
                    return
        if chunk.usage is not None:
            usage = read_usage(chunk.usage)
            if usage is not UNSET:
                if not choices:
                    self._stop(out)
                out.append(Metered(usage))

    def _choice(self, choice: ChoiceIn, out: list[Event]) -> None:
        index = choice.index or 0
        reader = self._choices.get(index)
        if reader is None:
            reader = self._choices[index] = ChoiceReader(index, self._numbers)
        reason = choice.finish_reason
        if reason is not None and reason in BROKEN:
            said = fields_of(choice.error).get("message")
            message = said if isinstance(said, str) else f"the upstream broke off: {reason}"
            self._fail(Fault(kind=BROKEN[reason], message=message), out)
            return
        if not self._stopped:
            reader.take(choice, out)

    def _stop(self, out: list[Event]) -> None:
        """Say why each choice stopped, once: held back till nothing more of it can come."""
        if self._stopped or not any(reader.finish is not None for reader in self._choices.values()):
            return
        self._stopped = True
        for reader in self._choices.values():
            reader.end(out)

    def _finish(self, out: list[Event]) -> None:
        if not self._choices:
            self._fail(_EMPTY, out)
            return
        for reader in self._choices.values():
            reader.finish = reader.finish or ""
        self._stop(out)
        self._ended = True
        out.append(Finished())

    def _fail(self, fault: Fault, out: list[Event]) -> None:
        self._ended = True
        out.append(Failed(fault))


def _whole_seconds(created: float | None) -> int | UnsetType:
    return UNSET if created is None else int(created)
