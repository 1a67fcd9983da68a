"""Items of a streamed answer while they grow: what each kind's events are called, and where its parts stand."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical_events import Opened, Signed, ToolOpened
from tidemill.wire.canonical_json import encode
from tidemill.wire.canonical_parts import Reasoning, ToolCall
from tidemill.wire.canonical_tools import unwrap_custom
from tidemill.wire.codec import Reply
from tidemill.wire.openai_responses.answer import call_item_id, foreign_signature, message_fields
from tidemill.wire.openai_responses.items_out import call_fields
from tidemill.wire.openai_responses.reasoning import (
    call_seal_fields,
    encrypted_content,
    own_item_id,
    reasoning_fields,
)

Fields = dict[str, Any]
# The name of an event, and its fields but for the type and the number.
Told = tuple[bytes, bytes]

_NO_LOGPROBS = b',"logprobs":[],"sequence_number":'
_NUMBER = b',"sequence_number":'


class GrowingPart:
    """A part: its deltas are ``head``, the news, ``tail`` and the event's number. ``held``: told only whole."""

    __slots__ = (
        "annotations",
        "head",
        "held",
        "item",
        "kind",
        "logprobs",
        "opened",
        "pieces",
        "place",
        "signed",
        "tail",
        "where",
    )

    def __init__(self, opened: Opened | ToolOpened, reply: Reply) -> None:
        self.opened = opened
        if isinstance(opened, ToolOpened):
            self.kind = "call"
            # A free-text tool that the upstream called as a function.
            self.held = not opened.custom and opened.name in reply.custom_tools
        else:
            self.kind = "text" if opened.kind == "audio" else opened.kind
            self.held = False
        self.item: GrowingItem | None = None
        self.pieces: list[str] = []
        self.annotations: list[Fields | Raw] = []
        self.logprobs: list[bytes] = []
        self.signed: Signed | None = None
        self.place = 0
        self.head = b""
        self.tail = _NUMBER
        self.where = b""

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.pieces)

    def stand(self, item: "GrowingItem", name: bytes, where: bytes) -> None:
        """Take a place: ``name`` is the event's of its deltas, ``where`` the fields that say which part is meant."""
        self.item = item
        self.where = where
        self.head = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, where)


class GrowingItem(ABC):
    """An item; ``may_grow`` while further parts may join it."""

    may_grow = False

    def __init__(self, index: int, item_id: str, spare_id: str, taken: set[str]) -> None:
        self.index = index
        self.id = spare_id if item_id in taken else item_id  # no upstream may name two items alike
        taken.add(self.id)
        self.open_parts = 0
        self._stand = b'"item_id":%b,"output_index":%d' % (encode(self.id), index)

    def takes(self, part: GrowingPart) -> bool:
        """Tell whether ``part`` joins this item."""
        del part
        return False

    @abstractmethod
    def begun(self) -> Fields:
        """Return the item as it is announced."""

    @abstractmethod
    def add(self, part: GrowingPart) -> list[Told]:
        """Give a part its place; returns what announces it."""

    @abstractmethod
    def end(self, part: GrowingPart) -> list[Told]:
        """End a part; returns what tells so."""

    @abstractmethod
    def whole(self, status: str) -> Fields:
        """Return the item complete."""

    def call_seal(self) -> Callable[[str], Fields] | None:
        """Return what makes the item that carries this one's signature, if it needs one."""
        return None


class MessageItem(GrowingItem):
    """Words."""

    may_grow = True

    def __init__(self, index: int, spare_id: str, taken: set[str]) -> None:
        super().__init__(index, f"msg_{spare_id}", spare_id, taken)
        self._content: list[Fields] = []

    def takes(self, part: GrowingPart) -> bool:
        """Tell whether ``part`` is words too."""
        return part.kind in {"text", "refusal"}

    def begun(self) -> Fields:
        """Return the message, empty."""
        return message_fields(self.id, "in_progress", [])

    def add(self, part: GrowingPart) -> list[Told]:
        """Announce a part of the content."""
        part.place = len(self._content)
        where = self._stand + b',"content_index":%d' % part.place
        if part.kind == "text":
            part.stand(self, b"response.output_text.delta", where)
            part.tail = _NO_LOGPROBS
        else:
            part.stand(self, b"response.refusal.delta", where)
        self.open_parts += 1
        empty = _content(part, "")
        self._content.append(empty)
        return [(b"response.content_part.added", where + b',"part":' + encode(empty))]

    def end(self, part: GrowingPart) -> list[Told]:
        """Tell the whole part."""
        self.open_parts -= 1
        text = part.text
        content = self._content[part.place] = _content(part, text)
        if part.kind == "text":
            told = b',"text":%b,"logprobs":%b' % (encode(text), encode(content["logprobs"]))
            first = (b"response.output_text.done", part.where + told)
        else:
            first = (b"response.refusal.done", part.where + b',"refusal":' + encode(text))
        return [first, (b"response.content_part.done", part.where + b',"part":' + encode(content))]

    def whole(self, status: str) -> Fields:
        """Return the message."""
        return message_fields(self.id, status, self._content)


def _content(part: GrowingPart, text: str) -> Fields:
    if part.kind == "refusal":
        return {"type": "refusal", "refusal": text}
    logprobs = b",".join(piece[1:-1] for piece in part.logprobs)
    return {
        "type": "output_text",
        "text": text,
        "annotations": list(part.annotations) if text or part.annotations else [],
        "logprobs": Raw(b"[%b]" % logprobs),
    }


class ReasoningItem(GrowingItem):
    """Thinking: parts of one item of the upstream's stay in one."""

    def __init__(self, index: int, spare_id: str, taken: set[str], part: GrowingPart) -> None:
        opened = part.opened
        own_id: str | UnsetType = opened.item_id if isinstance(opened, Opened) else UNSET
        shown = own_item_id(Reasoning("", item_id=own_id)) or f"rs_{spare_id}"
        super().__init__(index, shown, f"rs_{spare_id}", taken)
        self._own_id = own_id
        self.may_grow = own_id is not UNSET
        self._summaries: list[str] = []
        self._thoughts: list[str] = []
        self._sealed: str | None = None

    def takes(self, part: GrowingPart) -> bool:
        """Tell whether ``part`` is of the same item."""
        same = isinstance(part.opened, Opened) and part.opened.item_id == self._own_id
        return part.kind == "reasoning" and self.may_grow and same and self._sealed is None

    def begun(self) -> Fields:
        """Return the item, empty."""
        return reasoning_fields(self.id, [], [], None)

    def add(self, part: GrowingPart) -> list[Told]:
        """Announce a summary or a text."""
        self.open_parts += 1
        if _is_summary(part):
            part.place = len(self._summaries)
            self._summaries.append("")
            where = self._stand + b',"summary_index":%d' % part.place
            part.stand(self, b"response.reasoning_summary_text.delta", where)
            empty = encode({"type": "summary_text", "text": ""})
            return [(b"response.reasoning_summary_part.added", where + b',"part":' + empty)]
        part.place = len(self._thoughts)
        self._thoughts.append("")
        where = self._stand + b',"content_index":%d' % part.place
        part.stand(self, b"response.reasoning_text.delta", where)
        empty = encode({"type": "reasoning_text", "text": ""})
        return [(b"response.content_part.added", where + b',"part":' + empty)]

    def end(self, part: GrowingPart) -> list[Told]:
        """Tell the whole of it."""
        self.open_parts -= 1
        text, summary = part.text, _is_summary(part)
        (self._summaries if summary else self._thoughts)[part.place] = text
        self._sealed = encrypted_content(_thought(part, text))
        kind, name = ("summary_text", b"reasoning_summary_text") if summary else ("reasoning_text", b"reasoning_text")
        last = b"response.reasoning_summary_part.done" if summary else b"response.content_part.done"
        whole = encode({"type": kind, "text": text})
        return [
            (b"response.%b.done" % name, part.where + b',"text":' + encode(text)),
            (last, part.where + b',"part":' + whole),
        ]

    def whole(self, status: str) -> Fields:
        """Return the item."""
        del status
        summaries = [text for text in self._summaries if text]
        return reasoning_fields(self.id, summaries, [text for text in self._thoughts if text], self._sealed)


def _is_summary(part: GrowingPart) -> bool:
    return isinstance(part.opened, Opened) and part.opened.summary


def _thought(part: GrowingPart, text: str) -> Reasoning:
    own_id: str | UnsetType = part.opened.item_id
    signed = part.signed
    if signed is None:
        return Reasoning(text, item_id=own_id)
    if signed.sealed:
        return Reasoning(text, UNSET, signed.issuer, sealed=signed.signature, item_id=own_id)
    return Reasoning(text, signed.signature, signed.issuer, item_id=own_id)


class CallItem(GrowingItem):
    """A call of a tool."""

    def __init__(self, index: int, spare_id: str, taken: set[str], part: GrowingPart) -> None:
        opened = part.opened
        if not isinstance(opened, ToolOpened):
            raise TypeError(opened)
        custom = opened.custom or part.held
        call_id = f"{opened.id}_{index}" if opened.id in taken else opened.id
        taken.add(call_id)
        self._call = ToolCall(call_id, opened.name, "", custom, item_id=opened.item_id)
        spare = call_item_id(ToolCall("", "", "", custom), spare_id)
        super().__init__(index, call_item_id(self._call, spare_id), spare, taken)
        self._part = part

    def begun(self) -> Fields:
        """Return the call without arguments."""
        status = None if self._call.custom else "in_progress"
        fields = call_fields(self._call, self.id, status)
        fields["input" if self._call.custom else "arguments"] = ""
        return fields

    def add(self, part: GrowingPart) -> list[Told]:
        """Take the call's arguments as its one part."""
        self.open_parts += 1
        name = b"custom_tool_call_input" if self._call.custom else b"function_call_arguments"
        part.stand(self, b"response.%b.delta" % name, self._stand)
        return []

    def _arguments(self) -> str:
        text = self._part.text
        if self._part.held:
            return unwrap_custom(text)
        return text if self._call.custom else text or "{}"

    def end(self, part: GrowingPart) -> list[Told]:
        """Tell all the arguments."""
        self.open_parts -= 1
        whole = encode(self._arguments())
        told: list[Told] = []
        if self._call.custom:
            if part.held:
                told.append((b"response.custom_tool_call_input.delta", part.where + b',"delta":' + whole))
            told.append((b"response.custom_tool_call_input.done", part.where + b',"input":' + whole))
            return told
        return [(b"response.function_call_arguments.done", part.where + b',"arguments":' + whole)]

    def _complete(self) -> ToolCall:
        call, signed = self._call, self._part.signed
        signature, issuer = (UNSET, UNSET) if signed is None else (signed.signature, signed.issuer)
        return ToolCall(call.id, call.name, self._arguments(), call.custom, signature, issuer, call.item_id)

    def whole(self, status: str) -> Fields:
        """Return the call."""
        return call_fields(self._complete(), self.id, None if self._call.custom else status)

    def call_seal(self) -> Callable[[str], Fields] | None:
        """Return what makes the item that carries the call's signature."""
        call = self._complete()
        signed = foreign_signature(call)
        return None if signed is None else lambda item_id: call_seal_fields(call, *signed, item_id)
