"""From a stream's events to the whole answer, and from a whole answer to the events of a stream."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical import Answer, Choice, Stop
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
    ReasoningDelta,
    Signed,
    Started,
    Stopped,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.canonical_json import encode, fields_of
from tidemill.wire.canonical_parts import (
    Audio,
    Citation,
    File,
    Image,
    Inline,
    Issuer,
    Opaque,
    Part,
    Reasoning,
    Redacted,
    Refusal,
    Text,
    ToolCall,
)
from tidemill.wire.canonical_usage import Usage


class _Growing:
    """A part on its way."""

    __slots__ = ("audio", "citations", "issuer", "opened", "pieces", "sealed", "signature")

    def __init__(self, opened: Opened | ToolOpened) -> None:
        self.opened = opened
        self.pieces: list[str] = []
        self.citations: list[Citation] = []
        self.signature: str | UnsetType = UNSET
        self.issuer: Issuer | UnsetType = UNSET
        self.sealed: str | UnsetType = UNSET
        self.audio = Audio(Inline("", ""))

    def hear(self, event: AudioDelta) -> None:
        audio, source = self.audio, self.audio.source
        data = source.data if isinstance(source, Inline) else ""
        self.audio = msgspec.structs.replace(
            audio,
            source=Inline("", data + event.data),
            id=audio.id if event.id is UNSET else event.id,
            transcript=(audio.transcript or "") + event.transcript if event.transcript else audio.transcript,
            expires_at=audio.expires_at if event.expires_at is UNSET else event.expires_at,
        )

    def part(self) -> Part | None:
        """Return what it has become; None for a text that never came."""
        text, opened = "".join(self.pieces), self.opened
        if isinstance(opened, ToolOpened):
            return ToolCall(
                opened.id, opened.name, text, opened.custom, self.signature, self.issuer, item_id=opened.item_id
            )
        match opened.kind:
            case "text":
                said = text or self.citations or self.signature is not UNSET
                return Text(text, UNSET, tuple(self.citations), self.signature, self.issuer) if said else None
            case "reasoning":
                said = text or self.signature is not UNSET or self.sealed is not UNSET
                return (
                    Reasoning(text, self.signature, self.issuer, opened.summary, self.sealed, opened.item_id)
                    if said
                    else None
                )
            case "refusal":
                return Refusal(text)
            case "audio":
                return self.audio


class Collector:
    """Builds the answer that a stream tells; ``fault`` is what broke it, ``finished`` that it ended well."""

    def __init__(self) -> None:
        self.started: Started | None = None
        self.usage: Usage | UnsetType = UNSET
        self.fault: Fault | None = None
        self.finished = False
        self._parts: dict[int, _Growing | Whole] = {}
        self._stops: dict[int, Stopped] = {}
        self._logprobs: dict[int, list[Raw]] = {}

    def take(self, events: Iterable[Event]) -> None:
        """Add events."""
        for event in events:
            match event:
                case TextDelta() | ReasoningDelta() | ArgumentsDelta() | AudioDelta() | Signed() | Cited():
                    self._grow(event)
                case Opened() | ToolOpened():
                    self._parts[event.part] = _Growing(event)
                case Whole():
                    self._parts[event.part] = event
                case Started():
                    self.started = event
                    self.usage = event.usage
                case Metered():
                    self.usage = event.usage
                case Stopped():
                    self._stops[event.choice] = event
                case Failed():
                    self.fault = event.fault
                case Finished():
                    self.finished = True
                case _:
                    pass

    def _grow(self, event: TextDelta | ReasoningDelta | ArgumentsDelta | AudioDelta | Signed | Cited) -> None:
        part = self._parts.get(event.part)
        if not isinstance(part, _Growing):
            return
        match event:
            case TextDelta() | ReasoningDelta() | ArgumentsDelta():
                part.pieces.append(event.text)
                if isinstance(event, TextDelta) and event.logprobs is not UNSET:
                    self._logprobs.setdefault(part.opened.choice, []).append(event.logprobs)
            case AudioDelta():
                part.hear(event)
            case Signed(sealed=True):
                part.sealed = event.signature
            case Signed():
                part.signature, part.issuer = event.signature, event.issuer
            case Cited():
                part.citations.append(event.citation)

    def answer(self) -> Answer:
        """Return what came; of a broken stream what came before it broke."""
        parts: dict[int, list[Part]] = {choice: [] for choice in self._stops}
        for item in self._parts.values():
            choice = item.choice if isinstance(item, Whole) else item.opened.choice
            part = item.value if isinstance(item, Whole) else item.part()
            if part is not None:
                parts.setdefault(choice, []).append(part)
        started = self.started
        return Answer(
            id=started.id if started else "",
            model=started.model if started else "",
            created=started.created if started else UNSET,
            choices=tuple(self._choice(index, parts[index]) for index in sorted(parts)),
            usage=self.usage,
        )

    def _choice(self, index: int, parts: list[Part]) -> Choice:
        stop = self._stops.get(index)
        return Choice(
            index=index,
            parts=tuple(parts),
            stop=stop.reason if stop else UNSET,
            stop_string=stop.stop_string if stop else UNSET,
            stop_detail=stop.detail if stop else UNSET,
            logprobs=_joined(self._logprobs.get(index, [])),
        )


def _joined(pieces: list[Raw]) -> Raw | UnsetType:
    """Join OpenAI's logprobs of several chunks: lists of the same name follow one another."""
    if not pieces:
        return UNSET
    whole: dict[str, list[object]] = {}
    for piece in pieces:
        for name, values in fields_of(msgspec.json.decode(piece)).items():
            if isinstance(values, list):
                whole.setdefault(name, []).extend(values)  # pyright: ignore[reportUnknownArgumentType]
    return Raw(encode(whole))


def events_of(answer: Answer) -> list[Event]:
    """Return the stream that would have told ``answer``."""
    events: list[Event] = [Started(answer.id, answer.model, answer.created)]
    number = 0
    for choice in answer.choices:
        logprobs = choice.logprobs
        for part in choice.parts:
            events += _events_of_part(number, choice.index, part, logprobs)
            if isinstance(part, Text):
                logprobs = UNSET
            number += 1
    if answer.usage is not UNSET:
        events.append(Metered(answer.usage))
    events += [
        Stopped(choice.stop or Stop.END, choice.index, choice.stop_string, choice.stop_detail)
        for choice in answer.choices
    ]
    events.append(Finished())
    return events


def _events_of_part(number: int, choice: int, part: Part, logprobs: Raw | UnsetType) -> list[Event]:
    match part:
        case Text():
            events: list[Event] = [Opened(number, "text", choice)]
            if part.text:
                events.append(TextDelta(number, part.text, logprobs))
            events += [Cited(number, citation) for citation in part.citations]
        case Reasoning():
            events = [Opened(number, "reasoning", choice, part.summary, part.item_id)]
            if part.text:
                events.append(ReasoningDelta(number, part.text))
            if part.sealed is not UNSET:
                events.append(Signed(number, part.sealed, part.issuer, sealed=True))
        case ToolCall():
            events = [ToolOpened(number, part.id, part.name, choice, part.custom, part.item_id)]
            if part.arguments:
                events.append(ArgumentsDelta(number, part.arguments))
        case _:
            return _events_of_whole(number, choice, part)
    if part.signature is not UNSET:
        events.append(Signed(number, part.signature, part.issuer))
    events.append(Closed(number))
    return events


def _events_of_whole(number: int, choice: int, part: Part) -> list[Event]:
    match part:
        case Refusal():
            return [Opened(number, "refusal", choice), TextDelta(number, part.text), Closed(number)]
        case Audio(source=Inline() as source):
            told = AudioDelta(number, source.data, part.transcript or "", part.id, part.expires_at)
            return [Opened(number, "audio", choice), told, Closed(number)]
        case Redacted() | Image() | Audio() | File() | Opaque():
            return [Whole(number, part, choice)]
        case _:
            return []  # a tool's result is no part of an answer
