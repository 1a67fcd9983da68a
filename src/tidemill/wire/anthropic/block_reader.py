"""Read the blocks of a streamed Anthropic message; a block that no other dialect has is told when it is whole."""

import msgspec
from msgspec import Raw, Struct

from tidemill.wire.anthropic.blocks_in import arguments_of, read_block, read_citation
from tidemill.wire.anthropic.shapes import ABSENT, BlockIn, StopDetails
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
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_json import MALFORMED
from tidemill.wire.canonical_parts import ANTHROPIC, Dialect, Opaque, Redacted
from tidemill.wire.canonical_seal import read_seal


class DeltaIn(Struct, frozen=True, gc=False):
    """What an event adds to a block, or to the message."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Block:
    """An open block."""

    __slots__ = ("at_start", "kind", "pieces", "raw")

    def __init__(self, kind: str, raw: Raw) -> None:
        self.kind = kind  # text, thinking, tool_use, else a block that only this dialect has
        self.raw = raw
        self.at_start = ""  # a tool's input that came with the block, should no pieces follow
        self.pieces: list[str] = []

    def begin(self, index: int, came: BlockIn, out: list[Event]) -> None:
        """Tell of the block, and of what it holds already."""
        match self.kind:
            case "text":
                out.append(Opened(index, "text"))
                if came.text:
                    out.append(TextDelta(index, came.text))
            case "thinking":
                out.append(Opened(index, "reasoning"))
                if came.thinking:
                    out.append(ReasoningDelta(index, came.thinking))
                _sign(index, came.signature or "", out)
            case "tool_use":
                out.append(ToolOpened(index, came.id or "", came.name or ""))
                given = arguments_of(came.input)
                self.at_start = "" if given.strip() in {"{}", "null"} else given
            case _:
                pass  # told when it is whole

    def grow(self, index: int, delta: DeltaIn, out: list[Event]) -> bool:
        """Take more of it; returns whether it is of its kind."""
        match self.kind, delta.type:
            case "text", "text_delta":
                if delta.text:
                    out.append(TextDelta(index, delta.text))
            case "thinking", "thinking_delta":
                if delta.thinking:
                    out.append(ReasoningDelta(index, delta.thinking))
            case _, "input_json_delta":
                self._arguments(index, delta.partial_json, out)
            case "thinking", "signature_delta":
                _sign(index, delta.signature or "", out)
            case "text", "citations_delta":
                out.append(Cited(index, read_citation(delta.citation)))
            case _:
                return False
        return True

    def _arguments(self, index: int, piece: str | None, out: list[Event]) -> None:
        if not piece:
            return
        self.at_start = ""
        if self.kind == "tool_use":
            out.append(ArgumentsDelta(index, piece))
        else:
            self.pieces.append(piece)

    def end(self, index: int, out: list[Event]) -> bool:
        """Tell that it is complete; returns whether it could be read."""
        if self.kind in {"text", "thinking", "tool_use"}:
            if self.at_start:
                out.append(ArgumentsDelta(index, self.at_start))
            out.append(Closed(index))
            return True
        raw = _with_input(self.raw, "".join(self.pieces)) if self.pieces else self.raw
        try:
            part = read_block(_blocks.decode(raw), raw, "content")
        except (*MALFORMED, WireError):
            return False
        own = isinstance(part, Redacted | Opaque)
        out.append(Whole(index, part if own else Opaque(Dialect.ANTHROPIC, raw, self.kind)))
        return True


_blocks = msgspec.json.Decoder(BlockIn)
_objects = msgspec.json.Decoder(dict[str, Raw])


class BlockReader:
    """The blocks of one stream. ``called``: a tool was; ``garbage`` counts what could not be read."""

    __slots__ = ("_open", "called", "garbage")

    def __init__(self) -> None:
        self._open: dict[int, _Block] = {}
        self.called = False
        self.garbage = 0

    def begin(self, index: int, raw: Raw, out: list[Event]) -> None:
        """Read ``content_block_start``."""
        try:
            came = _blocks.decode(raw)
        except MALFORMED:
            self.garbage += 1
            return
        self.end(index, out)
        self.called |= came.type == "tool_use"
        block = self._open[index] = _Block(came.type, raw)
        block.begin(index, came, out)

    def grow(self, index: int, delta: DeltaIn, out: list[Event]) -> None:
        """Read ``content_block_delta``."""
        block = self._open.get(index)
        if block is None or not block.grow(index, delta, out):
            self.garbage += 1

    def end(self, index: int, out: list[Event]) -> None:
        """Read ``content_block_stop``."""
        block = self._open.pop(index, None)
        if block is not None and not block.end(index, out):
            self.garbage += 1

    def end_all(self, out: list[Event]) -> None:
        """Close what the upstream left open."""
        for index in list(self._open):
            self.end(index, out)


def _sign(index: int, signature: str, out: list[Event]) -> None:
    if not signature:
        return  # said by upstreams that sign nothing
    seal = read_seal(signature)
    if seal is None:
        out.append(Signed(index, signature, ANTHROPIC))
    else:
        out.append(Signed(index, seal.data, seal.issuer, seal.sealed))


def _with_input(raw: Raw, text: str) -> Raw:
    """Return a block with the input that came in pieces."""
    try:
        fields = _objects.decode(raw)
        fields["input"] = Raw(msgspec.json.encode(msgspec.json.decode(text, type=Raw)))
    except MALFORMED:
        return raw
    return Raw(msgspec.json.encode(fields))
