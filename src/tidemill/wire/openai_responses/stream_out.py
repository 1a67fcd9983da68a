"""Write a stream of the Responses: items numbered without a gap, every event with the next number.

An item is announced with the first thing it holds. Words that follow one another are parts of one message, which ends
when something else begins; several items may be open at once, for every event says which one it means.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    AudioDelta,
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
from tidemill.wire.canonical_fault import BAD_TOOL, Fault
from tidemill.wire.canonical_json import encode
from tidemill.wire.canonical_parts import Dialect, Image, Opaque, Redacted
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply
from tidemill.wire.openai_responses.answer import end_of, image_item
from tidemill.wire.openai_responses.errors import error_event, error_of
from tidemill.wire.openai_responses.frame import ResponseFrame
from tidemill.wire.openai_responses.growing import CallItem, GrowingItem, GrowingPart, MessageItem, ReasoningItem
from tidemill.wire.openai_responses.items_in import own_logprobs
from tidemill.wire.openai_responses.items_out import annotation_of
from tidemill.wire.openai_responses.reasoning import item_fields
from tidemill.wire.openai_responses.usage import write_usage
from tidemill.wire.sse import HEARTBEAT

Fields = dict[str, Any]

_GROWTH = (TextDelta, ReasoningDelta, ArgumentsDelta)


class ResponseStreamEncoder:
    """Writes one stream for one client, who gets the first choice."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._frame: ResponseFrame | None = None
        self._sequence = 0
        self._parts: dict[int, GrowingPart] = {}
        self._items = 0
        self._ids: set[str] = set()
        self._open: list[GrowingItem] = []
        self._current: GrowingItem | None = None  # what a part of its kind joins
        self._done: dict[int, bytes] = {}
        self._usage: Usage | UnsetType = UNSET
        self._stop: Stop = Stop.END
        self._refused = False
        self._ended = False

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return the frames for ``events``."""
        out: list[bytes] = []
        for event in events:
            if self._ended:
                break
            if isinstance(event, _GROWTH):
                part = self._parts.get(event.part)
                if part is not None and event.text:
                    self._grow(part, event, out)
            else:
                self._rare(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    # ---- the many ------------------------------------------------------------------------------------------------

    def _grow(self, part: GrowingPart, event: TextDelta | ReasoningDelta | ArgumentsDelta, out: list[bytes]) -> None:
        if not part.head:
            self._announce(part, out)
        part.pieces.append(event.text)
        if part.held:
            return
        tail = part.tail
        if isinstance(event, TextDelta) and event.logprobs is not UNSET and part.kind == "text":
            own = own_logprobs(event.logprobs)
            part.logprobs.append(own)
            tail = b',"logprobs":' + own + b',"sequence_number":'
        out.append(b"%b%b%b%d}\n\n" % (part.head, encode(event.text), tail, self._sequence))
        self._sequence += 1

    def _send(self, name: bytes, fields: bytes, out: list[bytes]) -> None:
        form = b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n'
        out.append(form % (name, name, fields, self._sequence))
        self._sequence += 1

    # ---- items ---------------------------------------------------------------------------------------------------

    def _announce(self, part: GrowingPart, out: list[bytes]) -> None:
        """Give a part its place: in the item it joins, or in a new one."""
        current = self._current
        if current is None or not current.takes(part):
            current = self._begin_item(part, out)
        fields = current.add(part)
        for name, told in fields:
            self._send(name, told, out)

    def _begin_item(self, part: GrowingPart, out: list[bytes]) -> GrowingItem:
        self._leave(out)
        index = self._next_index(out)
        spare_id = f"{self._reply.id}_{index}"
        item: GrowingItem
        if part.kind == "call":
            item = CallItem(index, spare_id, self._ids, part)
        elif part.kind == "reasoning":
            item = ReasoningItem(index, spare_id, self._ids, part)
        else:
            item = MessageItem(index, spare_id, self._ids)
        self._current = item
        self._open.append(item)
        self._send(b"response.output_item.added", b'"output_index":%d,"item":%b' % (index, encode(item.begun())), out)
        return item

    def _next_index(self, out: list[bytes]) -> int:
        if self._frame is None:
            self._begin(Started("", ""), out)
        index = self._items
        self._items += 1
        return index

    def _leave(self, out: list[bytes]) -> None:
        """End the item that something else follows, unless parts of it are still open."""
        current, self._current = self._current, None
        if current is not None and not current.open_parts:
            self._end_item(current, "completed", out)

    def _end_item(self, item: GrowingItem, status: str, out: list[bytes]) -> None:
        self._open.remove(item)
        if self._current is item:
            self._current = None
        whole = self._done[item.index] = encode(item.whole(status))
        self._send(b"response.output_item.done", b'"output_index":%d,"item":%b' % (item.index, whole), out)
        seal = item.call_seal()
        if seal is not None:
            index = self._next_index(out)
            self._at_once(index, seal(f"rs_{self._reply.id}_{index}"), out)

    def _at_once(self, index: int, item: Fields | Raw, out: list[bytes]) -> None:
        whole = self._done[index] = encode(item)
        for name in (b"response.output_item.added", b"response.output_item.done"):
            self._send(name, b'"output_index":%d,"item":%b' % (index, whole), out)

    def _close(self, number: int, out: list[bytes]) -> None:
        part = self._parts.pop(number, None)
        if part is not None:
            self._close_part(part, "completed", out)

    def _close_part(self, part: GrowingPart, status: str, out: list[bytes]) -> None:
        if part.kind == "call" and not part.head:
            self._announce(part, out)
        item = part.item
        if item is None:
            return  # nothing of it ever came
        for name, told in item.end(part):
            self._send(name, told, out)
        if not item.open_parts and (item is not self._current or not item.may_grow):
            self._end_item(item, status, out)

    # ---- the few -------------------------------------------------------------------------------------------------

    def _rare(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Opened(choice=0) | ToolOpened(choice=0):
                self._opened(event, out)
            case Closed():
                self._close(event.part, out)
            case Started():
                self._begin(event, out)
            case Metered():
                self._usage = event.usage
            case Stopped(choice=0):
                self._stopped(event, out)
            case Finished():
                self._finish(out)
            case Failed():
                self._fail(event.fault, out)
            case Ping():
                out.append(HEARTBEAT)
            case _:
                self._rarest(event, out)

    def _opened(self, event: Opened | ToolOpened, out: list[bytes]) -> None:
        if event.part not in self._parts:
            part = self._parts[event.part] = GrowingPart(event, self._reply)
            if part.kind == "call":
                self._announce(part, out)

    def _rarest(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Signed() if event.part in self._parts:
                part = self._parts[event.part]
                if part.kind == "reasoning" and not part.head:
                    self._announce(part, out)
                part.signed = event
            case Cited() if event.part in self._parts:
                self._cite(self._parts[event.part], event, out)
            case AudioDelta() if event.part in self._parts and event.transcript:
                self._grow(self._parts[event.part], TextDelta(event.part, event.transcript), out)
            case Whole(choice=0, value=Redacted() as sealed):
                self._leave(out)
                index = self._next_index(out)
                self._at_once(index, item_fields([sealed], f"rs_{self._reply.id}_{index}"), out)
            case Whole(choice=0, value=Image() as image):
                item = image_item(image, f"{self._reply.id}_{self._items}")
                if item is not None:
                    self._leave(out)
                    self._at_once(self._next_index(out), item, out)
            case Whole(choice=0, value=Opaque(Dialect.OPENAI_RESPONSES, raw)):
                self._leave(out)
                self._at_once(self._next_index(out), raw, out)
            case _:
                pass  # a part that no other dialect has

    def _cite(self, part: GrowingPart, event: Cited, out: list[bytes]) -> None:
        annotation = annotation_of(event.citation, "".join(part.pieces))
        if annotation is None or part.kind != "text":
            return
        if not part.head:
            self._announce(part, out)
        where = b"%b,%b" % (part.where, b'"annotation_index":%d,"annotation":' % len(part.annotations))
        part.annotations.append(annotation)
        self._send(b"response.output_text.annotation.added", where + encode(annotation), out)

    # ---- the answer ----------------------------------------------------------------------------------------------

    def _begin(self, event: Started, out: list[bytes]) -> None:
        if self._frame is not None:
            return
        self._frame = ResponseFrame(event.id, event.created, self._reply)
        begun = b'"response":' + self._frame.write("in_progress", None, b"", b"null")
        self._send(b"response.created", begun, out)
        self._send(b"response.in_progress", begun, out)

    def _stopped(self, event: Stopped, out: list[bytes]) -> None:
        if event.reason is Stop.BAD_TOOL:
            self._fail(BAD_TOOL, out)
            return
        self._stop = event.reason
        self._settle(out)

    def _settle(self, out: list[bytes]) -> None:
        """End every part and item."""
        status = "incomplete" if end_of(self._stop, refusal=False)[0] == "incomplete" else "completed"
        parts, self._parts = self._parts, {}
        for part in parts.values():
            self._close_part(part, status, out)
        for item in list(self._open):
            self._end_item(item, status, out)

    def _end(self, name: bytes, status: str, reason: str | None, error: bytes, out: list[bytes]) -> None:
        self._ended = True
        if self._frame is not None:
            usage = b"null" if self._usage is UNSET else encode(write_usage(self._usage))
            output = b",".join(self._done[index] for index in sorted(self._done))
            whole = self._frame.write(status, reason, output, usage, error)
            self._send(name, b'"response":' + whole, out)

    def _finish(self, out: list[bytes]) -> None:
        self._begin(Started("", ""), out)
        self._settle(out)
        refused = any(b'"type":"refusal"' in item for item in self._done.values())
        status, reason = end_of(self._stop, refusal=refused)
        name = b"response.incomplete" if status == "incomplete" else b"response.completed"
        self._end(name, status, reason, b"null", out)

    def _fail(self, fault: Fault, out: list[bytes]) -> None:
        self._begin(Started("", ""), out)
        out.append(error_event(fault, self._sequence))
        self._sequence += 1
        self._end(b"response.failed", "failed", None, encode(error_of(fault)), out)
