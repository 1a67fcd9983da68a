"""Write a streamed Gemini answer, as an event stream or as a JSON list: every chunk is an answer with the news alone.

A call goes out whole when it is closed, for its arguments are an object here; why each candidate stopped, its sources
and the usage stand in the last chunk.
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
from tidemill.wire.canonical_parts import Audio, Image, Inline, Opaque, Redacted, ToolCall
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply
from tidemill.wire.gemini.answer import call_fields, end_fields, part_fields, shown_id
from tidemill.wire.gemini.citations import source_fields
from tidemill.wire.gemini.errors import error_body
from tidemill.wire.gemini.logprobs import write_logprobs
from tidemill.wire.gemini.signatures import seal_of, write_signature
from tidemill.wire.gemini.usage import write_usage

# Google's own SDK takes a comment for a broken chunk and raises; blank lines it skips, and so does a JSON list.
HEARTBEAT = b"\n\n"

Fields = dict[str, Any]

_GROWTH = (TextDelta, ReasoningDelta, ArgumentsDelta)
_SOUND = "audio/wav"


class _Part:
    """A part: its chunks are ``head``, the text and a tail."""

    __slots__ = ("choice", "head", "kind", "opened", "pieces", "signed", "tail")

    def __init__(self, opened: Opened | ToolOpened) -> None:
        self.opened = opened
        self.choice = opened.choice
        self.kind = "call" if isinstance(opened, ToolOpened) else opened.kind
        self.pieces: list[str] = []
        self.signed: Signed | None = None
        self.head = b""
        self.tail = b""


class GeminiStreamEncoder:
    """Writes one stream for one client. A part that was never opened, or is closed, adds nothing."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._sse = reply.sse
        self._parts: dict[int, _Part] = {}
        self._usage: Usage | UnsetType = UNSET
        self._stops: dict[int, Stopped] = {}
        self._sources: dict[int, list[Fields | Raw]] = {}
        self._before = b"data: " if reply.sse else b"["
        self._after = b""
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

    def _grow(self, part: _Part, event: TextDelta | ReasoningDelta | ArgumentsDelta, out: list[bytes]) -> None:
        part.pieces.append(event.text)
        if part.kind == "call":
            return
        if isinstance(event, TextDelta) and event.logprobs is not UNSET:
            self._chunk(part.choice, {"text": event.text}, out, logprobsResult=write_logprobs(event.logprobs))
            return
        if not part.head or not self._sse:
            self._prepare(part)
        out.append(part.head + encode(event.text) + part.tail)

    def _prepare(self, part: _Part) -> None:
        self._begin(Started("", ""))
        part.head = self._next() + b'{"candidates":[{"content":{"parts":[{"text":'
        thought = b',"thought":true' if part.kind == "reasoning" else b""
        part.tail = thought + b'}],"role":"model"},"index":%d}]' % part.choice + self._after

    def _next(self) -> bytes:
        """Return what stands before a chunk: in a list a comma, but for the first."""
        before = self._before
        if not self._sse:
            self._before = b",\r\n"
        return before

    def _begin(self, event: Started) -> None:
        if not self._after:
            end = b"\n\n" if self._sse else b""
            told = (encode(self._reply.model), encode(shown_id(event.id, self._reply)))
            self._after = b',"modelVersion":%b,"responseId":%b}' % told + end

    def _chunk(self, choice: int, part: Fields | Raw, out: list[bytes], **beside: Any) -> None:
        self._begin(Started("", ""))
        told = {name: value for name, value in beside.items() if value is not None}
        candidate = {"content": {"parts": [part], "role": "model"}, "index": choice, **told}
        out.append(self._next() + b'{"candidates":[' + encode(candidate) + b"]" + self._after)

    # ---- the few -------------------------------------------------------------------------------------------------

    def _rare(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Opened() | ToolOpened():
                self._parts.setdefault(event.part, _Part(event))
            case Closed():
                self._close(event.part, out)
            case Started():
                self._begin(event)
            case Metered():
                self._usage = event.usage
            case Stopped():
                self._stop(event, out)
            case Finished():
                self._finish(out)
            case Failed():
                self._fail(event.fault, out)
            case _:
                self._rarest(event, out)

    def _rarest(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Ping():
                out.append(HEARTBEAT)
            case Signed() if event.part in self._parts:
                self._sign(self._parts[event.part], event, out)
            case AudioDelta() if event.part in self._parts:
                self._sound(self._parts[event.part].choice, event, out)
            case Cited() if event.part in self._parts:
                part = self._parts[event.part]
                source = source_fields(event.citation, "".join(part.pieces))
                if source is not None:
                    self._sources.setdefault(part.choice, []).append(source)
            case Whole(value=Redacted() | Image() | Audio() | Opaque() as value):
                fields = part_fields(value)
                if fields is not None:
                    self._chunk(event.choice, fields, out)
            case _:
                pass  # a part that no other dialect has

    def _sound(self, choice: int, event: AudioDelta, out: list[bytes]) -> None:
        if event.data:
            part = part_fields(Audio(Inline(_SOUND, event.data)))
            if part is not None:
                self._chunk(choice, part, out)
        elif event.transcript:
            self._chunk(choice, {"text": event.transcript}, out)

    def _sign(self, part: _Part, event: Signed, out: list[bytes]) -> None:
        if part.kind == "call":
            part.signed = event
            return
        seal = seal_of(event.signature, event.issuer, part.opened.item_id, sealed=event.sealed)
        fields: Fields = {"text": "", "thoughtSignature": write_signature(seal)}
        if part.kind == "reasoning":
            fields["thought"] = True
        self._chunk(part.choice, fields, out)

    def _close(self, number: int, out: list[bytes]) -> None:
        part = self._parts.pop(number, None)
        if part is None or not isinstance(part.opened, ToolOpened):
            return
        opened, signed = part.opened, part.signed
        signature, issuer = (UNSET, UNSET) if signed is None else (signed.signature, signed.issuer)
        call = ToolCall(opened.id, opened.name, "".join(part.pieces), opened.custom, signature, issuer)
        self._chunk(part.choice, call_fields(call), out)

    # ---- the answer ----------------------------------------------------------------------------------------------

    def _stop(self, event: Stopped, out: list[bytes]) -> None:
        if event.reason is Stop.BAD_TOOL:
            self._fail(BAD_TOOL, out)
            return
        for number in [number for number, part in self._parts.items() if part.choice == event.choice]:
            self._close(number, out)
        self._stops[event.choice] = event

    def _finish(self, out: list[bytes]) -> None:
        for number in list(self._parts):
            self._close(number, out)
        self._begin(Started("", ""))
        stops = self._stops or {0: Stopped(Stop.END)}
        candidates = [self._last(choice, stops[choice]) for choice in sorted(stops)]
        usage = b"" if self._usage is UNSET else b',"usageMetadata":' + encode(write_usage(self._usage))
        out.append(self._next() + b'{"candidates":' + encode(candidates) + usage + self._after)
        self._end(out)

    def _last(self, choice: int, stop: Stopped) -> Fields:
        candidate: Fields = {"content": {"parts": [{"text": ""}], "role": "model"}}
        candidate.update(end_fields(stop.reason, stop.detail))
        candidate["index"] = choice
        if choice in self._sources:
            candidate["citationMetadata"] = {"citationSources": self._sources[choice]}
        return candidate

    def _fail(self, fault: Fault, out: list[bytes]) -> None:
        out.append(self._next() + error_body(fault) + (b"\n\n" if self._sse else b""))
        self._end(out)

    def _end(self, out: list[bytes]) -> None:
        self._ended = True
        if not self._sse:
            out.append(b"]")
