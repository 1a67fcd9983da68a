"""Write a streamed Anthropic message: one block open at a time, indices without a gap, whatever the events' order.

A part that begins while another is open waits, with all that comes for it, till that one is closed. A block is begun
with the first thing it holds, so no empty text goes out: sent back by the client it would be refused.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, UnsetType

from tidemill.wire.anthropic.answer import reason_of, shown_id, spoken_block, stop_details
from tidemill.wire.anthropic.blocks_out import call_seal_fields, citation_fields, own_signature, told_call_fields
from tidemill.wire.anthropic.errors import error_frame
from tidemill.wire.anthropic.usage import write_delta_usage, write_usage
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
from tidemill.wire.canonical_fault import BAD_TOOL
from tidemill.wire.canonical_json import encode
from tidemill.wire.canonical_parts import ANTHROPIC, ToolCall
from tidemill.wire.canonical_seal import Seal, write_seal
from tidemill.wire.canonical_tools import wrap_custom
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{%b}}\n\n'
_DELTA_HEAD = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
_BLOCK_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_BLOCK_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_END = b"}}\n\n"
_GROWTH = (TextDelta, ReasoningDelta, ArgumentsDelta)

# By the kind of a part: the start of its block (a call's is its own), and the type and field of its deltas.
_FORMS = {
    "text": (b'{"type":"text","text":"","citations":null}', b"text_delta", b"text"),
    "thinking": (b'{"type":"thinking","thinking":"","signature":""}', b"thinking_delta", b"thinking"),
    "tool_use": (b"", b"input_json_delta", b"partial_json"),
}
_KINDS = {"text": "text", "refusal": "text", "audio": "text", "reasoning": "thinking"}


class _Part:
    """A part of the answer: not begun, waiting, open or done.

    Invariant: ``head``, the beginning of its deltas, is there exactly while the part's block is the open one.
    """

    __slots__ = (
        "block",
        "call_id",
        "closed",
        "custom",
        "head",
        "index",
        "kind",
        "queued",
        "said",
        "seal",
        "signature",
        "waiting",
    )

    def __init__(self, kind: str, block: bytes = b"") -> None:
        self.kind = kind
        self.block = block or _FORMS[kind][0]
        self.call_id = ""
        self.custom: list[str] | None = None  # free text, told when it is whole
        self.head = b""
        self.index = -1
        self.said = False  # arguments of a call, or the signature of thinking
        self.queued = False
        self.waiting: list[bytes] = []  # frames of deltas, but for the index
        self.closed = False
        self.seal: Signed | None = None
        self.signature = b'""'  # of thinking, as JSON; the last thing in its block, whatever grew after it came


class MessageStreamEncoder:
    """Writes one stream for one client, who gets the first choice."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._parts: dict[int, _Part] = {}
        self._queue: deque[_Part] = deque()
        self._open: _Part | None = None
        self._next_index = 0
        self._usage: Usage | UnsetType = UNSET
        self._stopped: Stopped | None = None
        self._called = False
        self._started = False
        self._ended = False

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return the frames for ``events``."""
        out: list[bytes] = []
        for event in events:
            if self._ended:
                break
            if isinstance(event, _GROWTH):
                part = self._parts.get(event.part)
                if part is None or not event.text:
                    continue
                if part.custom is not None:
                    part.custom.append(event.text)
                elif part.head:
                    part.said = True
                    out.append(part.head + encode(event.text) + _END)
                else:
                    self._add(part, event.text, out)
            else:
                self._rare(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    # ---- blocks --------------------------------------------------------------------------------------------------

    def _add(self, part: _Part, text: str, out: list[bytes]) -> None:
        """Add to a part that is not open."""
        _, kind, field = _FORMS[part.kind]
        part.said |= part.kind == "tool_use"
        self._delta(part, b'"type":"%b","%b":%b' % (kind, field, encode(text)), out)

    def _delta(self, part: _Part, delta: bytes, out: list[bytes]) -> None:
        """Write a delta of any type, beginning the part's block or waiting for it."""
        if not part.head and not part.queued:
            self._begin(part, out)
        if part.head:
            out.append(_DELTA % (part.index, delta))
        else:
            part.waiting.append(delta)

    def _begin(self, part: _Part, out: list[bytes]) -> None:
        """Open a part's block, or queue it behind the open one."""
        if self._open is not None:
            part.queued = True
            self._queue.append(part)
            return
        self._begin_message(out)
        part.index = self._next_index
        self._next_index += 1
        out.append(_BLOCK_START % (part.index, part.block))
        if part.kind == "whole":
            out.append(_BLOCK_STOP % part.index)
            return
        _, kind, field = _FORMS[part.kind]
        part.head = _DELTA_HEAD % (part.index, kind, field)
        self._open = part
        out += [_DELTA % (part.index, delta) for delta in part.waiting]
        if part.closed:
            self._end(part, out)

    def _end(self, part: _Part, out: list[bytes]) -> None:
        """Close the open block."""
        if part.custom is not None:
            out.append(part.head + encode(wrap_custom("".join(part.custom))) + _END)
        elif part.kind == "tool_use" and not part.said:
            out.append(part.head + b'"{}"' + _END)  # no arguments are an empty object, not nothing
        elif part.kind == "thinking":
            out.append(_DELTA % (part.index, b'"type":"signature_delta","signature":' + part.signature))
        out.append(_BLOCK_STOP % part.index)
        part.head = b""
        self._open = None
        if part.kind == "tool_use" and part.seal is not None and part.seal.issuer is not UNSET:
            seal = call_seal_fields(part.call_id, part.seal.signature, part.seal.issuer)
            self._begin(_Part("whole", encode(seal)), out)

    def _close(self, part: _Part, out: list[bytes]) -> None:
        part.closed = True
        if part is self._open:
            self._end(part, out)
            while self._queue and self._open is None:
                self._begin(self._queue.popleft(), out)

    # ---- the few -------------------------------------------------------------------------------------------------

    def _rare(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Opened():
                self._forget(event.part, out)
                if event.choice == 0:
                    self._parts[event.part] = _Part(_KINDS[event.kind])
            case ToolOpened():
                self._forget(event.part, out)
                if event.choice == 0:
                    self._open_call(event, out)
            case Closed():
                self._forget(event.part, out)
            case Started():
                self._start(event, out)
            case Metered():
                self._usage = event.usage
            case Stopped():
                self._stop(event, out)
            case Finished():
                self._finish(out)
            case _:
                self._rarest(event, out)

    def _rarest(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Failed():
                self._ended = True
                out.append(error_frame(event.fault))
            case Ping():
                out.append(PING)
            case Whole(choice=0):
                block = spoken_block(event.value)
                if block is not None:
                    self._begin(_Part("whole", encode(block)), out)
            case Signed() if event.part in self._parts:
                self._sign(self._parts[event.part], event, out)
            case Cited() if event.part in self._parts and self._parts[event.part].kind == "text":
                citation = citation_fields(event.citation)
                if citation is not None:
                    delta = b'"type":"citations_delta","citation":' + encode(citation)
                    self._delta(self._parts[event.part], delta, out)
            case AudioDelta() if event.transcript and event.part in self._parts:
                self._add(self._parts[event.part], event.transcript, out)
            case _:
                pass  # another choice's, or a part that this dialect has no form for

    def _forget(self, number: int, out: list[bytes]) -> None:
        part = self._parts.pop(number, None)
        if part is not None:
            self._close(part, out)

    def _open_call(self, event: ToolOpened, out: list[bytes]) -> None:
        self._called = True
        block = told_call_fields(ToolCall(event.id, event.name, "{}"))
        part = self._parts[event.part] = _Part("tool_use", encode(block))
        part.call_id = event.id
        part.custom = [] if event.custom else None
        self._begin(part, out)

    def _sign(self, part: _Part, event: Signed, out: list[bytes]) -> None:
        if part.kind == "tool_use":
            part.seal = None if event.issuer == ANTHROPIC else event
        elif part.kind == "thinking":
            signature = own_signature(event.signature, event.issuer)
            if event.sealed:
                signature = write_seal(Seal(event.issuer or "", event.signature, sealed=True))
            part.signature = encode(signature)
            if not part.head and not part.queued:
                self._begin(part, out)

    # ---- the message ---------------------------------------------------------------------------------------------

    def _begin_message(self, out: list[bytes]) -> None:
        if not self._started:
            self._start(Started("", ""), out)

    def _start(self, event: Started, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        message: dict[str, Any] = {
            "id": shown_id(event.id, self._reply),
            "type": "message",
            "role": "assistant",
            "model": self._reply.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            "usage": write_usage(event.usage, self._reply.prompt_tokens),
        }
        out.append(b'event: message_start\ndata: {"type":"message_start","message":' + encode(message) + b"}\n\n")
        self._usage = event.usage

    def _stop(self, event: Stopped, out: list[bytes]) -> None:
        if event.reason is Stop.BAD_TOOL:
            self._ended = True
            out.append(error_frame(BAD_TOOL))
        elif event.choice == 0:
            self._stopped = event

    def _finish(self, out: list[bytes]) -> None:
        """Write what waits, then why the message ended and what it used: known for certain only now."""
        self._begin_message(out)
        for part in (*self._queue, *self._parts.values()):
            part.closed = True
        self._parts.clear()
        if self._open is not None:
            self._close(self._open, out)
        stopped = self._stopped or Stopped(Stop.TOOLS if self._called else Stop.END)
        delta = {
            "stop_reason": reason_of(stopped.reason, stopped.stop_string),
            "stop_sequence": stopped.stop_string or None,
            "stop_details": stop_details(stopped.reason, stopped.detail),
            "container": None,
        }
        usage = write_delta_usage(self._usage, self._reply.prompt_tokens)
        told = encode({"type": "message_delta", "delta": delta, "usage": usage})
        out.append(b"event: message_delta\ndata: " + told + b"\n\n" + _STOP)
        self._ended = True
