"""Read a streamed Gemini answer, as an event stream or as a JSON list.

Every event is an answer with the news alone. There is no last event: the end is an end of bytes, a good one after a
finish reason. Usage is told again and again; the last one counts.
"""

from typing import Any

import msgspec
from msgspec import UNSET

from tidemill.wire.canonical_events import Event, Failed, Finished, Metered, Started, Stopped
from tidemill.wire.canonical_fault import Fault, Kind, WireError
from tidemill.wire.canonical_json import MALFORMED, fields_of
from tidemill.wire.gemini.answer import AnswerCalls, blocked, created_of, with_searches
from tidemill.wire.gemini.candidate_in import CandidateReader, Numbers
from tidemill.wire.gemini.errors import read_fault
from tidemill.wire.gemini.json_array import ArraySplitter
from tidemill.wire.gemini.shapes import AnswerIn, CandidateIn
from tidemill.wire.gemini.usage import read_usage
from tidemill.wire.sse import DONE_DATA, EventTooLargeError, Splitter, data_of

_chunks = msgspec.json.Decoder(AnswerIn)

_DATA, _EVENT_END = b"data: ", b"\r\n\r\n"

_BROKE_OFF = Fault(kind=Kind.UPSTREAM, message="the upstream's stream broke off before its end", code="stream_broken")
_EMPTY = Fault(kind=Kind.UPSTREAM, message="the upstream's stream held no answer", code="empty_stream")


def _is_one_event(data: bytes) -> bool:
    """Tell whether a read is one event of one line with Google's line ends, as nearly every one is."""
    size = len(data)
    whole = data.startswith(_DATA) and data.endswith(_EVENT_END)
    return whole and data.find(b"\n") == size - 3 and data.find(b"\r") == size - 4


class GeminiStreamDecoder:
    """Reads one stream."""

    __slots__ = ("_calls", "_candidates", "_ended", "_numbers", "_refused", "_splitter", "_started", "garbage")

    def __init__(self) -> None:
        self._splitter: Splitter | ArraySplitter | None = None  # chosen by the first byte that is no blank
        self._numbers = Numbers()
        self._calls = AnswerCalls()
        self._candidates: dict[int, CandidateReader] = {}
        self._refused: Stopped | None = None
        self._started = False
        self._ended = False
        self.garbage = 0  # events that are no answer of any kind

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes."""
        out: list[Event] = []
        if self._ended:
            return out
        if self._splitter is None:
            data = data.lstrip()
            if not data:
                return out
            self._splitter = ArraySplitter() if data[:1] in {b"[", b"{"} else Splitter()
        elif isinstance(self._splitter, Splitter) and _is_one_event(data) and not self._splitter.rest():
            self._read(data[len(_DATA) : -len(_EVENT_END)], out)
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
        if self._ended:
            return out
        if isinstance(self._splitter, Splitter) and self._splitter.rest().strip():
            self._take(self._splitter.rest(), out)
        if not self._ended:
            self._finish(out)
        return out

    def _take(self, event: bytes, out: list[Event]) -> None:
        data = event if isinstance(self._splitter, ArraySplitter) else data_of(event)
        if data and data != DONE_DATA:
            self._read(data, out)

    def _read(self, data: bytes, out: list[Event]) -> None:
        try:
            chunk = _chunks.decode(data)
        except MALFORMED:
            self._strange(data, out)
            return
        if chunk.error:
            self._fail(read_fault(data), out)
            return
        try:
            self._chunk(chunk, out)
        except (*MALFORMED, WireError):
            self.garbage += 1

    def _strange(self, data: bytes, out: list[Event]) -> None:
        """Take a chunk of an unknown shape: an error in a shape of its own ends the stream, all else is skipped."""
        try:
            fields: dict[str, Any] = fields_of(msgspec.json.decode(data))
        except MALFORMED:
            fields = {}
        if fields.get("error"):
            self._fail(read_fault(data), out)
        else:
            self.garbage += 1

    def _chunk(self, chunk: AnswerIn, out: list[Event]) -> None:
        candidates = chunk.candidates
        if not self._started:
            if candidates is None and not memoryview(chunk.usage_metadata) and chunk.prompt_feedback is None:
                self.garbage += 1
                return
            self._started = True
            created = created_of(chunk.create_time)
            out.append(Started(chunk.response_id or "", chunk.model_version or "", created))
        if candidates:
            for candidate in candidates:
                self._candidate(candidate, out)
        elif chunk.prompt_feedback is not None:
            refused = blocked(chunk.prompt_feedback)
            if refused is not None and refused.stop is not UNSET:
                self._refused = Stopped(refused.stop, 0, UNSET, refused.stop_detail)
        if memoryview(chunk.usage_metadata):
            usage = with_searches(read_usage(chunk.usage_metadata), chunk)
            if usage is not UNSET:
                out.append(Metered(usage))

    def _candidate(self, candidate: CandidateIn, out: list[Event]) -> None:
        index = candidate.index or 0
        reader = self._candidates.get(index)
        if reader is None:
            reader = self._candidates[index] = CandidateReader(index, self._numbers, self._calls)
        reader.take(candidate, out)

    def _finish(self, out: list[Event]) -> None:
        finished = [reader for reader in self._candidates.values() if reader.finish is not None]
        if not finished and self._refused is None:
            self._fail(_BROKE_OFF if self._started else _EMPTY, out)
            return
        for reader in self._candidates.values():
            reader.end(out)
        if not self._candidates and self._refused is not None:
            out.append(self._refused)
        self._ended = True
        out.append(Finished())

    def _fail(self, fault: Fault, out: list[Event]) -> None:
        self._ended = True
        out.append(Failed(fault))
