"""Read one candidate of a streamed answer: its thinking, words and calls, opened and closed as they come."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    AudioDelta,
    Cited,
    Closed,
    Event,
    Opened,
    ReasoningDelta,
    Signed,
    Stopped,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_json import told
from tidemill.wire.canonical_parts import Audio, Inline, Part, Reasoning, Text, ToolCall, ToolResult
from tidemill.wire.gemini.answer import AnswerCalls, stop_of
from tidemill.wire.gemini.citations import read_citations
from tidemill.wire.gemini.logprobs import read_logprobs
from tidemill.wire.gemini.partial_args import PartialArguments
from tidemill.wire.gemini.parts_in import arguments_of, read_part, signature_of
from tidemill.wire.gemini.shapes import CallIn, CandidateIn, PartIn

_parts = msgspec.json.Decoder(PartIn)


class Numbers:
    """Gives parts their numbers, for all candidates of a stream together."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def next(self) -> int:
        """Return the next one."""
        self._last += 1
        return self._last


class _Pieces:
    """A call whose arguments come in pieces."""

    __slots__ = ("arguments", "part")

    def __init__(self, part: int) -> None:
        self.part = part
        self.arguments = PartialArguments()


class CandidateReader:
    """One candidate on its way: at most one part of it is open."""

    __slots__ = (
        "_call",
        "_called",
        "_calls",
        "_choice",
        "_detail",
        "_kind",
        "_numbers",
        "_open",
        "_said",
        "finish",
    )

    def __init__(self, choice: int, numbers: Numbers, calls: AnswerCalls) -> None:
        self._choice = choice
        self._numbers = numbers
        self._calls = calls
        self._kind = ""
        self._open = -1
        self._call: _Pieces | None = None
        self._called = False
        self._said: list[str] = []  # of the open text, for places of its sources
        self._detail: str | None = None
        self.finish: str | None = None

    def take(self, candidate: CandidateIn, out: list[Event]) -> None:
        """Read a chunk's part of this candidate; raises what msgspec raises, and WireError."""
        content = candidate.content
        logprobs: Any = UNSET
        if candidate.logprobs_result is not None:
            logprobs = read_logprobs(candidate.logprobs_result)
        if content is not None and content.parts is not None:
            for raw in content.parts:
                came = _parts.decode(raw)
                if came.text and not came.thought and came.thought_signature is None:
                    self._said.append(came.text)
                    out.append(TextDelta(self._part("text", out), came.text, logprobs))
                    logprobs = UNSET
                else:
                    self._rare(raw, came, out)
        if candidate.citation_metadata is not None or candidate.grounding_metadata is not None:
            self._cite(candidate, out)
        if candidate.finish_reason is not None:
            self.finish, self._detail = candidate.finish_reason, candidate.finish_message

    def _part(self, kind: Any, out: list[Event]) -> int:
        """Return the open part of ``kind``, opening it (and closing what was open) if need be."""
        if self._kind == kind:
            return self._open
        self._rest(out)
        self._kind = kind
        self._open = self._numbers.next()
        out.append(Opened(self._open, kind, self._choice))
        return self._open

    def _rest(self, out: list[Event]) -> None:
        """Close what is open."""
        if self._call is not None:
            self._end_call(self._call, out)
        if self._kind:
            out.append(Closed(self._open))
            self._kind = ""
            self._said = []

    def _rare(self, raw: Raw, came: PartIn, out: list[Event]) -> None:
        call = came.function_call
        if call is not None and (self._call is not None or call.partial_args is not None or call.will_continue):
            self._piece(call, came.thought_signature, out)
            return
        part = read_part(raw, came, "content", self._calls)
        match part:
            case Text():
                self._text(part, out)
            case Reasoning():
                self._thought(part, out)
            case ToolCall():
                self._whole_call(part, out)
            case Audio(source=Inline() as sound):
                out.append(AudioDelta(self._part("audio", out), sound.data))
            case ToolResult():
                pass  # a tool's result is no part of an answer
            case _:
                self._whole(part, out)

    def _text(self, part: Text, out: list[Event]) -> None:
        if part.text:
            self._said.append(part.text)
            out.append(TextDelta(self._part("text", out), part.text))
        if part.signature is not UNSET:
            # It may follow the text in a part of its own.
            out.append(Signed(self._part("text", out), part.signature, part.issuer))

    def _thought(self, part: Reasoning, out: list[Event]) -> None:
        if part.text:
            out.append(ReasoningDelta(self._part("reasoning", out), part.text))
        if part.sealed is not UNSET:
            out.append(Signed(self._part("reasoning", out), part.sealed, part.issuer, sealed=True))
        elif part.signature is not UNSET:
            out.append(Signed(self._part("reasoning", out), part.signature, part.issuer))
        else:
            return
        self._rest(out)  # signed is ended

    def _whole(self, part: Part, out: list[Event]) -> None:
        if not isinstance(part, Text | Reasoning | ToolCall | ToolResult):
            self._rest(out)
            out.append(Whole(self._numbers.next(), part, self._choice))  # pyright: ignore[reportArgumentType] - no refusals here

    # ---- calls ---------------------------------------------------------------------------------------------------

    def _whole_call(self, call: ToolCall, out: list[Event]) -> None:
        self._rest(out)
        self._called = True
        number = self._numbers.next()
        out.append(ToolOpened(number, call.id, call.name, self._choice))
        out.append(ArgumentsDelta(number, call.arguments))
        if call.signature is not UNSET:
            out.append(Signed(number, call.signature, call.issuer))
        out.append(Closed(number))

    def _piece(self, came: CallIn, signed: str | None, out: list[Event]) -> None:
        """Take a piece of a call; its arguments are told when they are whole, for they come in no order."""
        if self._call is not None and came.name:
            self._end_call(self._call, out)
        call = self._call
        if call is None:
            self._rest(out)
            self._called = True
            call = self._call = _Pieces(self._numbers.next())
            call_id = self._calls.call(came.name or "", came.id)
            out.append(ToolOpened(call.part, call_id, came.name or "", self._choice))
        signature, issuer = signature_of(signed)
        if signature is not UNSET:
            out.append(Signed(call.part, signature, issuer))
        call.arguments.take(came.partial_args or [])
        if memoryview(came.args) and not came.partial_args and not came.will_continue:
            self._call = None
            out += [ArgumentsDelta(call.part, arguments_of(came.args)), Closed(call.part)]
        elif not came.will_continue:
            self._end_call(call, out)

    def _end_call(self, call: _Pieces, out: list[Event]) -> None:
        self._call = None
        out += [ArgumentsDelta(call.part, call.arguments.text()), Closed(call.part)]

    # ---- the end -------------------------------------------------------------------------------------------------

    def _cite(self, candidate: CandidateIn, out: list[Event]) -> None:
        citations = list(read_citations(candidate, "".join(self._said)))
        if citations:
            part = self._part("text", out)
            out += [Cited(part, citation) for citation in citations]

    def end(self, out: list[Event]) -> None:
        """Close everything and say why the candidate stopped."""
        self._rest(out)
        stop = stop_of(self.finish or "STOP", calls=self._called)
        out.append(Stopped(stop, self._choice, UNSET, told(self._detail)))
