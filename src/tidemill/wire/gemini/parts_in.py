"""Read Gemini's parts, in requests and in answers."""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import MALFORMED, object_of, text_of
from tidemill.wire.canonical_parts import (
    Audio,
    Dialect,
    File,
    Image,
    Inline,
    Issuer,
    Opaque,
    Part,
    Redacted,
    Remote,
    Source,
    Stored,
    Text,
    ToolCall,
    ToolResult,
)
from tidemill.wire.gemini.media import is_stored
from tidemill.wire.gemini.shapes import BlobIn, CallIn, FileDataIn, MediumIn, PartIn, ResultIn
from tidemill.wire.gemini.signatures import joined, read_signature, read_thought, standard_base64

Medium = Image | Audio | File

_strings = msgspec.json.Decoder(str)
# Who answers a call with a text stands in an object of this one field.
OUTPUT, ERROR = "output", "error"


class Calls:
    """Ids of calls, which Gemini may leave out: a result is then of the first call of its name that has none yet."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, str]] = []
        self._given: set[str] = set()
        self._last = 0

    def call(self, name: str, given: str | None) -> str:
        """Return the id of a call."""
        call_id = given or self._spare()
        self._given.add(call_id)
        self._waiting.append((name, call_id))
        return call_id

    def result(self, name: str, given: str | None) -> str:
        """Return the id of the call that a result answers."""
        for waiting in self._waiting:
            if waiting[1] == given or (not given and waiting[0] == name):
                self._waiting.remove(waiting)
                return waiting[1]
        return given or self._spare()

    def _spare(self) -> str:
        # Counted, not drawn: the same talk gives the same ids, so that an upstream's prompt cache knows it again.
        while True:
            self._last += 1
            if f"call_{self._last}" not in self._given:
                return f"call_{self._last}"


def read_part(raw: Raw, came: PartIn, where: str, calls: Calls) -> Part:
    """Return one part; one of a kind that no other dialect has stays as it came."""
    if came.function_call is not None:
        return _call(came.function_call, came.thought_signature, where, calls)
    if came.function_response is not None:
        return _result(came.function_response, where, calls)
    if came.thought and (came.text is not None or came.thought_signature):
        return read_thought(came.text or "", came.thought_signature)
    if came.text is not None:
        return _text(came.text, came.thought_signature)
    return read_medium(came.inline_data, came.file_data) or Opaque(Dialect.GEMINI, raw, _kind_of(raw))


def _text(text: str, signature: str | None) -> Text | Redacted:
    if not signature:
        return Text(text)
    seal = read_signature(signature)
    if seal.sealed:
        return Redacted(seal.data, seal.issuer or UNSET, seal.item_id or UNSET)
    return Text(text, signature=seal.data, issuer=seal.issuer or UNSET)


def add_part(parts: list[Part], part: Part) -> None:
    """Add a part, a signature to the thinking it is of; what says nothing is left out."""
    whole = joined(parts[-1] if parts else None, part)
    if whole is not None:
        parts[-1] = whole
    elif not isinstance(part, Text) or part.text or part.signature is not UNSET:
        parts.append(part)


def _kind_of(raw: Raw) -> str:
    return next(iter(object_of(text_of(raw)) or {}), "")


def signature_of(text: str | None) -> tuple[str | UnsetType, Issuer | UnsetType]:
    """Return the signature of a part that is no thinking."""
    if not text:
        return UNSET, UNSET
    seal = read_signature(text)
    return seal.data, seal.issuer or UNSET


def _call(came: CallIn, signed: str | None, where: str, calls: Calls) -> ToolCall:
    if not came.name:
        raise bad_request(f"{where}.functionCall.name is missing", f"{where}.functionCall.name")
    signature, issuer = signature_of(signed)
    call_id = calls.call(came.name, came.id)
    return ToolCall(call_id, came.name, arguments_of(came.args), signature=signature, issuer=issuer)


def arguments_of(raw: Raw) -> str:
    """Return a call's arguments as JSON text; none is an empty object."""
    text = text_of(raw)
    return "{}" if text in {"", "null"} else text


def _result(came: ResultIn, where: str, calls: Calls) -> ToolResult:
    if not came.name:
        raise bad_request(f"{where}.functionResponse.name is missing", f"{where}.functionResponse.name")
    text, is_error = _said(came.response)
    parts: list[Text | Medium] = [Text(text)] if text else []
    parts += [medium for part in came.parts or () if (medium := _medium(part)) is not None]
    return ToolResult(calls.result(came.name, came.id), tuple(parts), came.name, is_error)


def _medium(came: MediumIn) -> Medium | None:
    return read_medium(came.inline_data, came.file_data)


def _said(raw: Raw) -> tuple[str, bool | UnsetType]:
    """Return a result as text: what stands in an object of one known field, else the object itself."""
    text = text_of(raw)
    fields = object_of(text) if text else {}
    if not fields:
        return text.strip() if fields is None else "", UNSET
    name = next(iter(fields))
    if len(fields) == 1 and name in {OUTPUT, ERROR}:
        try:
            said = _strings.decode(fields[name])
        except MALFORMED:
            return text, UNSET
        return said, True if name == ERROR else UNSET
    return text, UNSET


def read_medium(blob: BlobIn | None, file: FileDataIn | None) -> Medium | None:
    """Return a picture, a sound or a file by its media type; None when there is none."""
    if blob is not None and blob.data is not None:
        media_type = blob.mime_type or "application/octet-stream"
        return _by_type(media_type, Inline(media_type, standard_base64(blob.data)), blob.display_name)
    if file is not None and file.file_uri is not None:
        media_type = file.mime_type or UNSET
        address = file.file_uri
        stored = is_stored(address)
        source = Stored(address, media_type) if stored else Remote(address, media_type)
        return _by_type(file.mime_type or "", source, None)
    return None


def _by_type(media_type: str, source: Source, name: str | None) -> Medium:
    match media_type.partition("/")[0]:
        case "image":
            return Image(source)
        case "audio":
            return Audio(source)
        case _:
            return File(source, name or UNSET)
