"""One stream of a client over several of services: where one breaks, the next goes on in the same words.

Every part of every service's stream is renumbered into the client's one stream; there is one start, one run of text
and one end. Only text can go on: once a call of a tool, a sound or a second choice has gone out, a break is an end.
"""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.pipeline.joint import Joint, given_of
from tidemill.wire.canonical import Request
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
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import StreamEncoder
from tidemill.wire.tokens import NOTHING, TokenCounts

MAX_CONTINUATIONS = 2
# A longer text is not worth sending twice.
_MAX_TEXT = 1024 * 1024


class Thread:
    """A client's stream, and where it stands. ``breaks``: how often a service's stream broke off after content."""

    __slots__ = (
        "_text",
        "blocked",
        "breaks",
        "encoder",
        "failure",
        "next_part",
        "open_text",
        "spent",
        "suitable",
        "usage",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self.blocked = False
        self.breaks = 0
        self.encoder: StreamEncoder | None = None
        self.failure: UpstreamFailed | None = None
        self.next_part = 0
        self.open_text: int | None = None
        self.spent: TokenCounts = NOTHING
        self.suitable: bool | None = None
        self.usage: Usage | UnsetType = UNSET

    @property
    def text(self) -> str:
        """All text that has gone out."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    def begin(self, encoder: StreamEncoder) -> StreamEncoder:
        """Start over, for nothing has gone out, and write with ``encoder``."""
        self._text = []
        self.blocked, self.next_part, self.open_text = False, 0, None
        self.encoder = encoder
        return encoder

    def add(self, text: str) -> None:
        """Note that ``text`` has gone out."""
        self._text.append(text)

    def may_go_on(self) -> bool:
        """Tell whether another service may take over after what has gone out."""
        return not self.blocked and self.breaks < MAX_CONTINUATIONS and len(self.text) <= _MAX_TEXT

    def broke(self, failure: UpstreamFailed, spent: TokenCounts, usage: Usage) -> None:
        """Note that a service's stream broke after content, and what all have taken so far."""
        self.breaks += 1
        self.failure, self.spent, self.usage = failure, spent, usage

    def failed(self, fault: Fault) -> bytes:
        """Return what ends the client's stream; nothing when it has not begun."""
        return b"" if self.encoder is None else self.encoder.encode([Failed(fault)])


def suits(request: Request) -> bool:
    """Tell whether the answer to ``request`` may go on elsewhere: one choice, of text, without probabilities."""
    return (
        request.n in {UNSET, 1}
        and request.modalities in {UNSET, ("text",)}
        and not request.sampling.logprobs
        and not request.leans_on
    )


class Strand:
    """One service's part of a thread: turns its events into those of the client's stream.

    ``restates``: the service is known to repeat what it was given.
    """

    def __init__(self, thread: Thread, *, restates: bool = False) -> None:
        self._thread = thread
        self._continues = thread.breaks > 0
        self._parts: dict[int, int | None] = {}  # theirs → the client's, None: not shown again
        text = thread.text
        # A text whose service has closed it; for the client it stays open until something follows it.
        self._closing: int | None = None
        self._joint = Joint(text, given_of(text), restates=restates) if self._continues else Joint("", "")

    def take(self, events: Iterable[Event]) -> list[Event]:
        """Return what ``events`` are in the client's stream."""
        out: list[Event] = []
        for event in events:
            self._take(event, out)
        return out

    def _take(self, event: Event, out: list[Event]) -> None:  # noqa: C901 - a line or two for each kind of event
        match event:
            case Started():
                if not self._continues:
                    out.append(event)
            case Opened():
                self._open(event, out)
            case ToolOpened() | Whole():
                self._block(out)
                out.append(msgspec.structs.replace(event, part=self._new(event.part)))
            case TextDelta():
                self._grow(event, out)
            case Closed():
                self._close(event, out)
            case ReasoningDelta() | ArgumentsDelta() | AudioDelta() | Signed() | Cited():
                part = self._parts.get(event.part)
                if part is not None:
                    out.append(msgspec.structs.replace(event, part=part))
            case Metered():
                before = self._thread.usage
                out.append(event if before is UNSET else Metered(plus(before, event.usage)))
            case Stopped():
                self._flush(out)
                self._close_text(out)
                self._thread.blocked = True
                self._end_text(out)
                out.append(event)
            case Finished():
                self._flush(out)
                self._close_text(out)
                out.append(event)
            case Ping() | Failed():
                out.append(event)

    def _open(self, event: Opened, out: list[Event]) -> None:
        thread = self._thread
        if event.kind == "reasoning" and self._continues:
            self._parts[event.part] = None  # it thinks anew over what is said already
            return
        if event.kind == "text" and event.choice == 0:
            if self._continues and thread.open_text is not None and thread.open_text not in self._parts.values():
                self._parts[event.part] = thread.open_text
                return
            self._close_text(out)
            thread.open_text = self._new(event.part)
            out.append(msgspec.structs.replace(event, part=thread.open_text))
            return
        if event.kind == "reasoning":
            self._close_text(out)
        else:
            self._block(out)
        out.append(msgspec.structs.replace(event, part=self._new(event.part)))

    def _grow(self, event: TextDelta, out: list[Event]) -> None:
        part = self._parts.get(event.part)
        if part is None:
            return
        text = event.text if self._joint.decided else self._joint.feed(event.text)
        if text or not event.text:
            self._thread.add(text)
            out.append(msgspec.structs.replace(event, part=part, text=text))

    def _close(self, event: Closed, out: list[Event]) -> None:
        part = self._parts.get(event.part)
        if part is None:
            return
        if part == self._thread.open_text:
            self._flush(out)
            self._closing = part
        else:
            out.append(Closed(part))

    def _close_text(self, out: list[Event]) -> None:
        """Close a text that its service has closed."""
        if self._closing is not None:
            out.append(Closed(self._closing))
            self._closing = self._thread.open_text = None

    def _flush(self, out: list[Event]) -> None:
        """Let go of what was held back."""
        if self._joint.decided:
            return
        text, part = self._joint.rest(), self._thread.open_text
        if text and part is not None:
            self._thread.add(text)
            out.append(TextDelta(part, text))

    def _block(self, out: list[Event]) -> None:
        """From here on nothing else may take over; a text that this service did not open is over."""
        self._flush(out)
        self._close_text(out)
        self._thread.blocked = True
        self._end_text(out)

    def _end_text(self, out: list[Event]) -> None:
        part = self._thread.open_text
        if self._continues and part is not None and part not in self._parts.values():
            self._thread.open_text = None
            out.append(Closed(part))

    def _new(self, part: int) -> int:
        thread = self._thread
        number = self._parts[part] = thread.next_part
        thread.next_part += 1
        return number


def plus(one: Usage, other: Usage) -> Usage:
    """Return the tokens of both; a bucket that neither tells stays untold."""
    first, second = msgspec.structs.asdict(one), msgspec.structs.asdict(other)
    told = {name: (first[name] or 0) + (second[name] or 0) for name in first if (first[name], second[name]) != _UNTOLD}
    return Usage(**told)


def sum_of(one: TokenCounts, other: TokenCounts) -> TokenCounts:
    """Return the tokens of both; estimated if either is."""
    first, second = msgspec.structs.astuple(one), msgspec.structs.astuple(other)
    *counts, estimated = (a + b for a, b in zip(first, second, strict=True))
    return TokenCounts(*counts, estimated=bool(estimated))


_UNTOLD = (UNSET, UNSET)
