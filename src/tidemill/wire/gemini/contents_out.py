"""Write turns as Gemini's contents: speakers alternate, and every result of a function names it."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import UNSET, Raw

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import object_of
from tidemill.wire.canonical_media import inline_text
from tidemill.wire.canonical_parts import (
    GOOGLE,
    Audio,
    Dialect,
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Plain,
    Reasoning,
    Refusal,
    Remote,
    Source,
    Stored,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tidemill.wire.canonical_tools import arguments_object, wrap_custom
from tidemill.wire.codec import Target
from tidemill.wire.gemini.media import is_fetched
from tidemill.wire.gemini.parts_in import ERROR, OUTPUT

Fields = dict[str, Any]

_MEDIA = Image | Audio | File
# Said in place of a user who has said nothing.
_SILENCE: Fields = {"role": "user", "parts": [{"text": "."}]}
# Gemini 3 refuses a call without a signature in the turn that goes on; this word of Google's own lets one pass that
# another model made.
_UNSIGNED = "skip_thought_signature_validator"


class ContentWriter:
    """Writes the contents of one request for one upstream."""

    def __init__(self, request: Request, target: Target) -> None:
        self._own = request.dialect == Dialect.GEMINI
        self._turns = request.turns
        self._levels = target.thinking == "level"  # Gemini 3 and later
        self._names = {part.id: part.name for part in _parts_of(request.turns) if isinstance(part, ToolCall)}
        self._order = {call_id: place for place, call_id in enumerate(self._names)}
        self.dropped_marks = any(_is_marked(part) for part in (*request.system, *_parts_of(request.turns)))

    def contents(self) -> list[Fields]:
        """Return the contents; raises WireError for content that this dialect has no form for."""
        contents: list[Fields] = []
        for role, parts in _speeches(self._turns):
            written = list(self._said(parts) if role == "assistant" else self._heard(parts))
            if written:
                contents.append({"role": "model" if role == "assistant" else "user", "parts": written})
        return contents or [_SILENCE]

    # ---- what the model hears ------------------------------------------------------------------------------------

    def _heard(self, parts: Iterable[Part]) -> Iterator[Fields | Raw]:
        results = [part for part in parts if isinstance(part, ToolResult)]
        # In the order of the calls: whoever leaves ids aside goes by name and order.
        results.sort(key=lambda part: self._order.get(part.call_id, len(self._order)))
        shown: list[Part] = []
        for part in results:
            yield self._result(part, shown)
        for part in (*shown, *(part for part in parts if not isinstance(part, ToolResult))):
            written = self._part(part)
            if written is not None:
                yield written

    def _result(self, part: ToolResult, shown: list[Part]) -> Fields:
        name = self._names.get(part.call_id, part.name)
        if name is UNSET:
            raise bad_request(f"a tool's result answers the call {part.call_id}, which is not in the conversation")
        text = "\n".join(inner.text for inner in part.parts if isinstance(inner, Text))
        media = [inner for inner in part.parts if isinstance(inner, _MEDIA)]
        fields: Fields = {"id": part.call_id, "name": name, "response": _response(text, is_error=part.is_error is True)}
        if media and self._levels:
            fields["parts"] = [self._part(medium) for medium in media]
        elif media:  # older models take only text from functions
            shown += [Text(f"Result of the call {part.call_id}:"), *media]
        return {"functionResponse": fields}

    def _part(self, part: Part) -> Fields | Raw | None:
        match part:
            case Text(text) | Refusal(text):
                return {"text": text} if text else None
            case Image(source=source) | File(source=source):
                return self._medium(source)
            case Audio(source=Inline(data="")):
                return None  # sound of an earlier answer, by an id that another provider gave
            case Audio(source=source):
                return self._medium(source)
            case Opaque(Dialect.GEMINI, raw):
                return raw
            case _:
                return None  # another dialect's own part

    def _medium(self, source: Source) -> Fields:
        match source:
            case Inline(media_type, data):
                return {"inlineData": {"mimeType": media_type, "data": data}}
            case Plain(text):
                inline = inline_text(text)
                return {"inlineData": {"mimeType": inline.media_type, "data": inline.data}}
            case Stored(address, media_type):
                if not self._own:
                    raise bad_request("a file uploaded to another provider cannot be sent to this one")
            case Remote(address, media_type):
                if not (self._own or is_fetched(address)):
                    raise bad_request("this provider fetches no addresses; send the bytes themselves")
        file: Fields = {"fileUri": address}
        if media_type is not UNSET:
            file["mimeType"] = media_type
        return {"fileData": file}

    # ---- what it said --------------------------------------------------------------------------------------------

    def _said(self, parts: Iterable[Part]) -> Iterator[Fields | Raw]:
        first = True
        for part in parts:
            match part:
                case ToolCall():
                    yield self._call(part, first=first)
                    first = False
                case Reasoning():
                    if self._own or (part.signature and part.issuer == GOOGLE):
                        yield from _thought(part)
                case Text(text, signature=str(signature), issuer=issuer) if issuer == GOOGLE:
                    yield {"text": text, "thoughtSignature": signature}
                case Audio(transcript=str(said)) if said:
                    yield {"text": said}
                case _:
                    written = self._part(part)
                    if written is not None:
                        yield written

    def _call(self, call: ToolCall, *, first: bool) -> Fields:
        arguments = wrap_custom(call.arguments) if call.custom else call.arguments
        fields: Fields = {
            "functionCall": {"id": call.id, "name": call.name, "args": arguments_object(arguments)},
        }
        if call.signature and call.issuer == GOOGLE:
            fields["thoughtSignature"] = call.signature
        elif first and self._levels:
            fields["thoughtSignature"] = _UNSIGNED
        return fields


def _thought(part: Reasoning) -> Iterator[Fields]:
    fields: Fields = {"text": part.text, "thought": True}
    if part.signature and part.issuer == GOOGLE:
        fields["thoughtSignature"] = part.signature
    if part.text or len(fields) > 2:  # noqa: PLR2004 - text and thought alone say nothing
        yield fields


def _response(text: str, *, is_error: bool) -> Fields | Raw:
    """Return a result as an object: the text itself if it is one, unless it would be read as something else."""
    if is_error:
        return {ERROR: text}
    fields = object_of(text)
    if fields is None or fields.keys() in ({OUTPUT}, {ERROR}) or not fields:
        return {OUTPUT: text}
    return Raw(text.encode())


def _speeches(turns: Iterable[Turn]) -> list[tuple[str, list[Part]]]:
    """Join what one speaker says in a row."""
    speeches: list[tuple[str, list[Part]]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        if speeches and speeches[-1][0] == turn.role:
            speeches[-1][1].extend(turn.parts)
        else:
            speeches.append((turn.role, list(turn.parts)))
    return speeches


def _parts_of(turns: Iterable[Turn]) -> Iterator[Part]:
    for turn in turns:
        yield from turn.parts


def _is_marked(part: Part) -> bool:
    return getattr(part, "cache", UNSET) is not UNSET
