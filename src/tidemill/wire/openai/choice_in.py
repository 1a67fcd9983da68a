"""Read one choice of a streamed chat completion: its thinking, words and calls, opened and closed as they come."""

from typing import Any

from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical_events import (
    AudioDelta,
    Cited,
    Closed,
    Event,
    Opened,
    ReasoningDelta,
    Signed,
    Stopped,
    TextDelta,
    Whole,
)
from tidemill.wire.canonical_json import told
from tidemill.wire.canonical_parts import Reasoning, Redacted
from tidemill.wire.openai.answer import stop_of
from tidemill.wire.openai.messages_in import read_citations, read_detail, read_image, signature_in
from tidemill.wire.openai.request_in import present
from tidemill.wire.openai.shapes import ABSENT, AudioRef, CalledIn, CallIn, ContentIn, ReasoningDetail
from tidemill.wire.openai.tool_calls_in import CallReader


class DeltaIn(Struct, frozen=True, gc=False):
    """What a chunk adds to a choice."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallIn] | None = None
    refusal: str | None = None
    function_call: CalledIn | None = None
    audio: AudioRef | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    annotations: list[Raw] | None = None
    images: list[ContentIn] | None = None
    extra_content: Any = None


class ChoiceIn(Struct, frozen=True, gc=False):
    """A chunk's part of one choice."""

    index: int | None = None
    delta: DeltaIn | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    logprobs: Raw = ABSENT
    error: Any = None


class Numbers:
    """Gives parts their numbers, for all choices of a stream together."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def next(self) -> int:
        """Return the next one."""
        self._last += 1
        return self._last


class ChoiceReader:
    """One choice on its way: at most one text, refusal, thought or sound is open, beside calls of tools."""

    __slots__ = ("_numbers", "_thought", "calls", "choice", "finish", "kind", "open", "refused", "stop_reason")

    def __init__(self, choice: int, numbers: Numbers) -> None:
        self.choice = choice
        self._numbers = numbers
        self.open = -1
        self.kind = ""
        self._thought = False
        self.refused = False
        self.finish: str | None = None
        self.stop_reason: Any = None
        self.calls = CallReader(choice, numbers.next)

    def part(self, kind: Any, out: list[Event]) -> int:
        """Return the open part of ``kind``, opening it (and closing what was open) if need be."""
        if self.kind == kind:
            return self.open
        self.rest(out)
        self.calls.close_whole(out)
        self.kind = kind
        self.open = self._numbers.next()
        out.append(Opened(self.open, kind, self.choice))
        return self.open

    def rest(self, out: list[Event]) -> None:
        """Close what is open, but for calls of tools."""
        if self.kind:
            out.append(Closed(self.open))
            self.kind = ""

    def take(self, choice: ChoiceIn, out: list[Event]) -> None:
        """Read a chunk's part of this choice."""
        delta = choice.delta
        if delta is not None:
            thought = delta.reasoning_content or delta.reasoning
            if thought:
                self._thought = True
                out.append(ReasoningDelta(self.part("reasoning", out), thought))
            if delta.reasoning_details is not None:
                self._details(delta.reasoning_details, out, told_already=bool(thought))
            if delta.content:
                logprobs = present(choice.logprobs) if choice.logprobs is not ABSENT else UNSET
                out.append(TextDelta(self.part("text", out), delta.content, logprobs))
            if delta.tool_calls is not None:
                if delta.tool_calls:
                    self.rest(out)
                for call in delta.tool_calls:
                    self.calls.take(call, out)
            self._rare(delta, out)
        if choice.finish_reason is not None:
            self.finish, self.stop_reason = choice.finish_reason, choice.stop_reason

    def _rare(self, delta: DeltaIn, out: list[Event]) -> None:
        if delta.refusal:
            self.refused = True
            out.append(TextDelta(self.part("refusal", out), delta.refusal))
        if delta.function_call is not None:
            self.rest(out)
            self.calls.take_legacy(delta.function_call, out)
        if delta.audio is not None:
            heard = delta.audio
            part = self.part("audio", out)
            sound = AudioDelta(part, heard.data or "", heard.transcript or "", told(heard.id), told(heard.expires_at))
            out.append(sound)
        if delta.annotations:
            part = self.part("text", out)
            out += [Cited(part, citation) for citation in read_citations(delta.annotations)]
        for image in delta.images or ():
            self._image(image, out)
        if delta.extra_content is not None:
            signature, issuer = signature_in(delta.extra_content)
            if signature is not UNSET:
                out.append(Signed(self.part("text", out), signature, issuer))

    def _image(self, image: ContentIn, out: list[Event]) -> None:
        part = read_image(image)
        if part is not None:
            self.rest(out)
            out.append(Whole(self._numbers.next(), part, self.choice))

    def _details(self, details: list[ReasoningDetail], out: list[Event], *, told_already: bool) -> None:
        """Take signatures and sealed thinking; its text only when no other field ever told it."""
        for detail in details:
            part = read_detail(detail)
            if isinstance(part, Redacted):
                self.rest(out)
                out.append(Whole(self._numbers.next(), part, self.choice))
            elif isinstance(part, Reasoning):
                if part.text and not told_already and not self._thought:
                    out.append(ReasoningDelta(self.part("reasoning", out), part.text))
                if part.signature is not UNSET:
                    out.append(Signed(self.part("reasoning", out), part.signature, part.issuer))
                    self._thought = False
                    self.rest(out)

    def end(self, out: list[Event]) -> None:
        """Close everything and say why the choice stopped."""
        self.rest(out)
        self.calls.close(out)
        stop, stop_string = stop_of(
            self.finish or "", calls=self.calls.any, refused=self.refused, stop_string=self.stop_reason
        )
        out.append(Stopped(stop, self.choice, stop_string))
