"""Read the items of a streamed answer: announced, filled and ended by events, or told whole at any of these."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    Cited,
    Closed,
    Event,
    Opened,
    ReasoningDelta,
    Signed,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_json import told
from tidemill.wire.canonical_parts import Dialect, Opaque, Part, Reasoning, Redacted, Refusal, Text
from tidemill.wire.canonical_seal import Seal
from tidemill.wire.openai.shapes import ABSENT
from tidemill.wire.openai_responses.items_in import chat_logprobs, read_call, read_citation, read_output
from tidemill.wire.openai_responses.reasoning import read_reasoning
from tidemill.wire.openai_responses.shapes import CallIn, ReasoningIn, TypeIn


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


_types = msgspec.json.Decoder(TypeIn)
_calls = msgspec.json.Decoder(CallIn)
_thoughts = msgspec.json.Decoder(ReasoningIn)
_part_kinds = msgspec.json.Decoder(_PartKind)

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


class OutputReader:
    """The items of one stream. ``said``: the calls and refusals among them, which decide why the answer stopped."""

    __slots__ = ("_calls", "_ended_calls", "_items", "_number", "_parts", "said")

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._parts: dict[int, _Part] = {}
        self._number = -1
        self._calls: dict[str, int] = {}
        # Calls that are complete but for a signature, which may come in an item of its own right after them.
        self._ended_calls: list[int] = []
        self.said: list[Part] = []

    def take(self, came: EventIn, out: list[Event]) -> bool:
        """Read an event; returns False for one that is not of items. Raises what msgspec raises."""
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
                return self._rare(came, out)
        return True

    def finish(self, items: list[Raw], out: list[Event]) -> None:
        """Take what only the last event tells, and close everything. Raises what msgspec raises."""
        for index, item in enumerate(items):
            if index not in self._items or not self._items[index].done:
                self._item_done(index, item, out)
        for item in self._items.values():
            if not item.done and item.call is not None:
                self._ended_calls.append(item.call.number)
            for place in item.places:
                self._close(place, out)
        self._release(out)

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
        self._release(out)
        item = self._items.get(output_index)
        if item is None:
            item = self._items[output_index] = _Item("reasoning" if kind == "reasoning" else "message", None)
        if kind == "reasoning" and item.places:
            self._close(item.places[-1], out)  # one follows another, so that a seal at the end finds the last one
        elif kind == "refusal":
            self.said.append(Refusal(""))
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

    def _rare(self, came: EventIn, out: list[Event]) -> bool:
        match came.type:
            case "response.output_item.added":
                self._item(came.output_index, came.item, out)
            case "response.output_item.done":
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
                return self._ends(came, out)
        return True

    def _ends(self, came: EventIn, out: list[Event]) -> bool:
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
                return False
        return True

    def _item(self, index: int, raw: Raw, out: list[Event]) -> _Item:
        head = _types.decode(raw)
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = _Item(head.type or "", head.id)
        if item.kind != "reasoning":
            self._release(out)
        if item.kind in _CALLS and item.call is None:
            call = read_call(_calls.decode(raw), custom=item.kind == "custom_tool_call")
            if call is not None:
                self._number += 1
                item.call = _Part(self._number)
                self.said.append(call)
                self._calls[call.id] = self._number
                out.append(ToolOpened(self._number, call.id, call.name, 0, call.custom, call.item_id))
        return item

    def _release(self, out: list[Event]) -> None:
        """Close the calls that nothing can follow any more."""
        if self._ended_calls:
            out += [Closed(number) for number in self._ended_calls]
            self._ended_calls = []

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
            self._ended_calls.append(item.call.number)
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
                self.said.append(part)
                out += [Opened(self._number, "refusal"), TextDelta(self._number, part.text)]
            else:
                continue
            out.append(Closed(self._number))

    def _reasoning_done(self, item: _Item, raw: Raw, out: list[Event]) -> None:
        parts = read_reasoning(_thoughts.decode(raw), keeps_empty=False)
        if isinstance(parts, Seal):
            number = self._calls.get(parts.call)
            if number in self._ended_calls:
                out.append(Signed(number, parts.data, parts.issuer))
            return
        self._release(out)
        last = parts[-1] if parts else None
        if item.places:
            _seal(self._parts[item.places[-1]].number, last, out)
            return
        for part in parts:
            self._number += 1
            if isinstance(part, Redacted):
                out.append(Whole(self._number, part))
                continue
            out.append(Opened(self._number, "reasoning", 0, part.summary, part.item_id))
            if part.text:
                out.append(ReasoningDelta(self._number, part.text))
            _seal(self._number, part, out)
            out.append(Closed(self._number))


def _seal(number: int, part: Reasoning | Redacted | None, out: list[Event]) -> None:
    if isinstance(part, Redacted):
        out.append(Signed(number, part.data, part.issuer, sealed=True))
    elif part is not None and part.sealed is not UNSET:
        out.append(Signed(number, part.sealed, part.issuer, sealed=True))
    elif part is not None and part.signature is not UNSET:
        out.append(Signed(number, part.signature, part.issuer))
