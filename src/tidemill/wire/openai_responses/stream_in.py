"""Read a stream of the Responses.

Tolerated: items or parts that were never announced, a text or arguments told only whole at their end, items told only
in the last event, ``[DONE]``, an error or a whole answer in place of the stream.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical_collect import events_of
from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    Cited,
    Closed,
    Event,
    Failed,
    Finished,
    Metered,
    Opened,
    Ping,
    ReasoningDelta,
    Signed,
    Started,
    Stopped,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_fault import Fault, Kind, WireError
from tidemill.wire.canonical_json import MALFORMED, told
from tidemill.wire.canonical_parts import Dialect, Opaque, Part, Reasoning, Redacted, Refusal, Text, ToolCall
from tidemill.wire.canonical_seal import Seal
from tidemill.wire.openai.shapes import ABSENT
from tidemill.wire.openai_responses.answer import decode_answer, fault_in, stop_of
from tidemill.wire.openai_responses.errors import read_fault
from tidemill.wire.openai_responses.items_in import chat_logprobs, read_call, read_citation, read_output
from tidemill.wire.openai_responses.reasoning import read_reasoning
from tidemill.wire.openai_responses.shapes import CallIn, ReasoningIn, ResponseIn, TypeIn
from tidemill.wire.openai_responses.usage import read_usage
from tidemill.wire.sse import DONE_DATA, EventTooLargeError, Splitter, data_of


class EventIn(Struct, frozen=True, gc=False):
    """An event."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    logprobs: Raw = ABSENT
    annotation: Raw = ABSENT
    item: Raw = ABSENT
    part: Raw = ABSENT
    response: Raw = ABSENT
    error: Any = None


class _PartKind(Struct, frozen=True):
    type: str = ""


_events = msgspec.json.Decoder(EventIn)
_responses = msgspec.json.Decoder(ResponseIn)
_types = msgspec.json.Decoder(TypeIn)
_calls = msgspec.json.Decoder(CallIn)
_thoughts = msgspec.json.Decoder(ReasoningIn)
_part_kinds = msgspec.json.Decoder(_PartKind)

_BROKE_OFF = Fault(kind=Kind.UPSTREAM, message="the upstream's stream broke off before its end", code="stream_broken")
_EMPTY = Fault(kind=Kind.UPSTREAM, message="the upstream's stream held no answer", code="empty_stream")
_TEXT, _SUMMARY = 0, 1
_NO_LOGPROBS = len("[]")
_CALLS = frozenset({"function_call", "custom_tool_call"})


class _Part:
    """A part on its way. ``told``: something of it has come."""

    __slots__ = ("closed", "number", "told")

    def __init__(self, number: int) -> None:
        self.number = number
        self.told = False
        self.closed = False


class _Item:
    """An item on its way: the places of its parts, and whether it is complete."""

    __slots__ = ("call", "done", "id", "kind", "places")

    def __init__(self, kind: str, item_id: str | None) -> None:
        self.kind = kind
        self.id = item_id
        self.places: list[int] = []
        self.call: _Part | None = None
        self.done = False


class ResponseStreamDecoder:
    """Reads one stream."""

    __slots__ = ("_calls", "_ended", "_items", "_number", "_parts", "_said", "_splitter", "_started", "garbage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._items: dict[int, _Item] = {}
        self._parts: dict[int, _Part] = {}
        self._number = -1
        self._said: list[Part] = []  # what decides why the answer stopped: a call, a refusal
        self._calls: dict[str, int] = {}
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
        match came.type:
            case "response.output_text.delta":
                self._text(came, "text", out)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                item = self._items.get(came.output_index)
                if item is not None and item.call is not None and came.delta and not item.done:
                    item.call.told = True
                    out.append(ArgumentsDelta(item.call.number, came.delta))
            case "response.reasoning_summary_text.delta":
                self._thought(came.output_index, came.summary_index << 1 | _SUMMARY, came.delta, out)
            case "response.reasoning_text.delta":
                self._thought(came.output_index, came.content_index << 1 | _TEXT, came.delta, out)
            case "response.refusal.delta":
                self._text(came, "refusal", out)
            case _:
                self._rare(came, data, out)

    # ---- texts ---------------------------------------------------------------------------------------------------

    def _text(self, came: EventIn, kind: Any, out: list[Event]) -> None:
        place = came.output_index << 16 | came.content_index << 1
        part = self._parts.get(place)
        if part is None:
            part = self._open(came.output_index, place, kind, out)
        delta = came.delta
        if delta and not part.closed:
            part.told = True
            if len(memoryview(came.logprobs)) > _NO_LOGPROBS:
                out.append(TextDelta(part.number, delta, chat_logprobs([came.logprobs])))
            else:
                out.append(TextDelta(part.number, delta))

    def _thought(self, output_index: int, index: int, delta: str | None, out: list[Event]) -> None:
        place = output_index << 16 | index
        part = self._parts.get(place)
        if part is None:
            part = self._open(output_index, place, "reasoning", out)
        if delta and not part.closed:
            part.told = True
            out.append(ReasoningDelta(part.number, delta))

    def _open(self, output_index: int, place: int, kind: Any, out: list[Event]) -> _Part:
        self._start(None, out)
        item = self._items.get(output_index)
        if item is None:
            item = self._items[output_index] = _Item("reasoning" if kind == "reasoning" else "message", None)
        if kind == "reasoning" and item.places:
            self._close(item.places[-1], out)  # one follows another, so that a seal at the end finds the last one
        elif kind == "refusal":
            self._said.append(Refusal(""))
        self._number += 1
        part = self._parts[place] = _Part(self._number)
        part.closed = item.done
        item.places.append(place)
        if not item.done:
            summary = kind == "reasoning" and place & 1 == _SUMMARY
            out.append(Opened(part.number, kind, 0, summary, told(item.id) if kind == "reasoning" else UNSET))
        return part

    def _close(self, place: int, out: list[Event]) -> None:
        part = self._parts[place]
        if not part.closed:
            part.closed = True
            out.append(Closed(part.number))

    def _rest(self, came: EventIn, kind: str, whole: str | None, out: list[Event]) -> None:
        """Take a text told whole; most of the time its pieces have come already."""
        part = self._parts.get(came.output_index << 16 | came.content_index << 1)
        if whole and (part is None or not (part.told or part.closed)):
            self._text(msgspec.structs.replace(came, delta=whole, logprobs=ABSENT), kind, out)

    # ---- items ---------------------------------------------------------------------------------------------------

    def _rare(self, came: EventIn, data: bytes, out: list[Event]) -> None:
        match came.type:
            case "response.output_item.added":
                self._start(None, out)
                self._item(came.output_index, came.item, out)
            case "response.output_item.done":
                self._start(None, out)
                self._item_done(came.output_index, came.item, out)
            case "response.content_part.added":
                kind = _part_kinds.decode(came.part).type
                place = came.output_index << 16 | came.content_index << 1
                if kind in {"output_text", "refusal"} and place not in self._parts:
                    self._open(came.output_index, place, "text" if kind == "output_text" else "refusal", out)
            case "response.output_text.annotation.added":
                part = self._parts.get(came.output_index << 16 | came.content_index << 1)
                if part is not None and not part.closed:
                    out.append(Cited(part.number, read_citation(came.annotation)))
            case _:
                self._ends(came, data, out)

    def _ends(self, came: EventIn, data: bytes, out: list[Event]) -> None:
        match came.type:
            case "response.output_text.done":
                self._rest(came, "text", came.text, out)
            case "response.refusal.done":
                self._rest(came, "refusal", came.refusal, out)
            case "response.content_part.done":
                item = self._items.get(came.output_index)
                place = came.output_index << 16 | came.content_index << 1
                if item is not None and item.kind != "reasoning" and place in self._parts:
                    self._close(place, out)
            case "response.function_call_arguments.done" | "response.custom_tool_call_input.done":
                item = self._items.get(came.output_index)
                if item is not None:
                    self._arguments(item, came.input if came.arguments is None else came.arguments, out)
            case _:
                self._lifecycle(came, data, out)

    def _item(self, index: int, raw: Raw, out: list[Event]) -> _Item:
        head = _types.decode(raw)
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _Item(head.type or "", head.id)
        if item.kind in _CALLS and item.call is None:
            call = read_call(_calls.decode(raw), custom=item.kind == "custom_tool_call")
            if call is not None:
                self._number += 1
                item.call = _Part(self._number)
                self._said.append(call)
                self._calls[call.id] = self._number
                out.append(ToolOpened(self._number, call.id, call.name, 0, call.custom, call.item_id))
        return item

    def _arguments(self, item: _Item, arguments: str | None, out: list[Event]) -> None:
        call = item.call
        if call is not None and arguments and not (call.told or call.closed):
            call.told = True
            out.append(ArgumentsDelta(call.number, arguments))

    def _item_done(self, index: int, raw: Raw, out: list[Event]) -> None:
        item = self._item(index, raw, out)
        if item.done:
            return
        if item.kind == "message":
            if not item.places:
                self._parts_of(raw, out)
        elif item.kind == "reasoning":
            self._reasoning_done(item, raw, out)
        elif item.call is not None:
            whole = read_call(_calls.decode(raw), custom=item.kind == "custom_tool_call")
            self._arguments(item, None if whole is None else whole.arguments, out)
            item.call.closed = True
            out.append(Closed(item.call.number))
        elif item.kind not in _CALLS:
            self._number += 1
            out.append(Whole(self._number, Opaque(Dialect.OPENAI_RESPONSES, raw, item.kind)))
        for place in item.places:
            self._close(place, out)
        item.done = True

    def _parts_of(self, raw: Raw, out: list[Event]) -> None:
        """Take a message told only whole."""
        for part in read_output([raw])[0]:
            self._number += 1
            if isinstance(part, Text):
                out.append(Opened(self._number, "text"))
                out.append(TextDelta(self._number, part.text))
                out += [Cited(self._number, citation) for citation in part.citations]
            elif isinstance(part, Refusal):
                self._said.append(part)
                out += [Opened(self._number, "refusal"), TextDelta(self._number, part.text)]
            else:
                continue
            out.append(Closed(self._number))

    def _reasoning_done(self, item: _Item, raw: Raw, out: list[Event]) -> None:
        parts = read_reasoning(_thoughts.decode(raw), keeps_empty=False)
        if isinstance(parts, Seal):
            number = self._calls.get(parts.call)
            if number is not None:
                out.append(Signed(number, parts.data, parts.issuer))
            return
        last = parts[-1] if parts else None
        if item.places:
            self._seal(self._parts[item.places[-1]].number, last, out)
            return
        for part in parts:
            self._number += 1
            if isinstance(part, Redacted):
                out.append(Whole(self._number, part))
                continue
            out.append(Opened(self._number, "reasoning", 0, part.summary, part.item_id))
            if part.text:
                out.append(ReasoningDelta(self._number, part.text))
            self._seal(self._number, part, out)
            out.append(Closed(self._number))

    def _seal(self, number: int, part: Reasoning | Redacted | None, out: list[Event]) -> None:
        if isinstance(part, Redacted):
            out.append(Signed(number, part.data, part.issuer, sealed=True))
        elif part is not None and part.sealed is not UNSET:
            out.append(Signed(number, part.sealed, part.issuer, sealed=True))
        elif part is not None and part.signature is not UNSET:
            out.append(Signed(number, part.signature, part.issuer))

    # ---- the answer ----------------------------------------------------------------------------------------------

    def _lifecycle(self, came: EventIn, data: bytes, out: list[Event]) -> None:
        match came.type:
            case "response.created" | "response.in_progress" | "response.queued":
                self._start(_responses.decode(came.response), out)
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

    def _start(self, response: ResponseIn | None, out: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        if response is None:
            out.append(Started("", ""))
            return
        created = UNSET if response.created_at is None else int(response.created_at)
        out.append(Started(response.id or "", response.model or "", created))

    def _finish(self, raw: Raw, out: list[Event]) -> None:
        response = _responses.decode(raw)
        self._start(response, out)
        broken = fault_in(response, raw)
        if broken is not None:
            self._fail(broken.fault, out)
            return
        for index, item in enumerate(response.output or ()):
            if index not in self._items or not self._items[index].done:
                self._item_done(index, item, out)
        for item in self._items.values():
            if not item.done and item.call is not None:
                out.append(Closed(item.call.number))
            for place in item.places:
                self._close(place, out)
        usage = read_usage(response.usage)
        if usage is not UNSET:
            out.append(Metered(usage))
        stop = stop_of(response, [part for part in self._said if isinstance(part, ToolCall | Refusal)])
        out.append(Stopped(stop))
        self._ended = True
        out.append(Finished())

    def _fail(self, fault: Fault, out: list[Event]) -> None:
        self._ended = True
        out.append(Failed(fault))
