"""Write turns as OpenAI messages: results of tools come before the rest of their turn, calls stand with the words."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, UnsetType

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_media import audio_format, data_url, file_type, inline_text
from tidemill.wire.canonical_parts import (
    ANTHROPIC,
    GOOGLE,
    OPENAI,
    Audio,
    CacheMark,
    Dialect,
    File,
    Image,
    Inline,
    Issuer,
    Part,
    Plain,
    Reasoning,
    Redacted,
    Refusal,
    Remote,
    Source,
    Stored,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tidemill.wire.codec import Target

FORMAT_OF_ISSUER: Mapping[Issuer, str] = MappingProxyType(
    {ANTHROPIC: "anthropic-claude-v1", GOOGLE: "google-gemini-v1", OPENAI: "openai-responses-v1"}
)
_OPENAI_FILES = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})
# OpenAI's own cache marks know these lifetimes only.
_OPENAI_TTLS = frozenset({"30m", "12h"})

Fields = dict[str, Any]


class MessageWriter:
    """Writes the messages of one request for one upstream."""

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self.dropped_marks = False

    def messages(self) -> list[Fields]:
        """Return the messages; raises WireError for content this dialect has no form for."""
        written: list[Fields] = []
        if self._request.system:
            written.append({"role": "system", "content": self._joined(self._request.system, "\n\n")})
        for turn in self._request.turns:
            written += self._turn(turn)
        return written

    def _turn(self, turn: Turn) -> Iterator[Fields]:
        named: Fields = {} if turn.name is UNSET else {"name": turn.name}
        if turn.role == "system":
            texts = [part for part in turn.parts if isinstance(part, Text)]
            yield {"role": "system", **named, "content": self._joined(texts, "\n\n")}
        elif turn.role == "assistant":
            yield {"role": "assistant", **named, **self._spoken(turn.parts)}
        else:
            yield from self._heard(turn.parts, named)

    # ---- users and tools -----------------------------------------------------------------------------------------

    def _heard(self, parts: Iterable[Part], named: Fields) -> Iterator[Fields]:
        shown: list[Part] = []  # what results of tools hold beside text: only a user may show pictures
        rest: list[Part] = []
        for part in parts:
            if not isinstance(part, ToolResult):
                rest.append(part)
                continue
            texts = [inner for inner in part.parts if isinstance(inner, Text)]
            others = [inner for inner in part.parts if not isinstance(inner, Text)]
            if others:
                shown += [Text(f"Result of the call {part.call_id}:"), *others]
            yield {"role": "tool", "tool_call_id": part.call_id, "content": self._joined(texts, "\n")}
        if shown or rest:
            yield {"role": "user", **named, "content": self._content([*shown, *rest])}

    def _content(self, parts: list[Part]) -> str | list[Fields]:
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) == len(parts) and (len(texts) == 1 or self._target.flat_text) and not self._marked(texts):
            return "\n\n".join(part.text for part in texts)
        return [field for part in parts if (field := self._field(part)) is not None]

    def _field(self, part: Part) -> Fields | None:
        match part:
            case Text():
                return {"type": "text", "text": part.text, **self._mark(part.cache)}
            case Image():
                image: Fields = {"url": self._address(part.source, "image")}
                if part.detail is not UNSET:
                    image["detail"] = part.detail
                return {"type": "image_url", "image_url": image, **self._mark(part.cache)}
            case Audio(source=Inline(media_type, data)):
                sound = {"data": data, "format": audio_format(media_type)}
                return {"type": "input_audio", "input_audio": sound, **self._mark(part.cache)}
            case Audio():
                raise bad_request("OpenAI chat takes sound only in the message itself")
            case File():
                return {"type": "file", "file": self._file(part), **self._mark(part.cache)}
            case Refusal():
                return {"type": "text", "text": part.text}
            case _:
                return None  # another dialect's own part

    def _address(self, source: Source, kind: str) -> str:
        match source:
            case Inline():
                return data_url(source)
            case Remote(url):
                return url
            case _:
                raise bad_request(f"an uploaded {kind} cannot be sent to a provider of OpenAI's chat protocol")

    def _file(self, part: File) -> Fields:
        named: Fields = {} if part.name is UNSET else {"filename": part.name}
        match part.source:
            case Stored(file_id):
                if self._request.dialect not in _OPENAI_FILES:
                    raise bad_request("a file uploaded to another provider cannot be sent to this one")
                return {"file_id": file_id}
            case Plain(text):
                return {"filename": "document.txt", **named, "file_data": data_url(inline_text(text))}
            case Remote(url):
                return {**named, "file_data": url}
            case Inline() as source:
                suffix = "pdf" if source.media_type == file_type(None) else "bin"
                return {"filename": f"document.{suffix}", **named, "file_data": data_url(source)}

    # ---- what a model said ---------------------------------------------------------------------------------------

    def _spoken(self, parts: Iterable[Part]) -> Fields:
        fields: Fields = {"content": None}
        texts = [part for part in parts if isinstance(part, Text)]
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if texts:
            fields["content"] = self._joined(texts, "")
        for part in parts:
            if isinstance(part, Refusal):
                fields["refusal"] = part.text
            elif isinstance(part, Audio) and part.id is not UNSET:
                fields["audio"] = {"id": part.id}
        if calls:
            signed = "extra_content" in self._target.extensions
            fields["tool_calls"] = [call_fields(call, signed=signed) for call in calls]
        elif not texts and "refusal" not in fields and "audio" not in fields:
            fields["content"] = ""  # neither words nor calls: null alone is refused
        return {**fields, **self._thoughts(parts)}

    def _thoughts(self, parts: Iterable[Part]) -> Fields:
        history = self._target.history
        if history == "none":
            return {}
        if history == "reasoning_details":
            details = detail_fields(parts)
            return {"reasoning_details": details} if details else {}
        text = "".join(part.text for part in parts if isinstance(part, Reasoning))
        return {history: text} if text else {}

    # ---- text ----------------------------------------------------------------------------------------------------

    def _joined(self, texts: Iterable[Text], between: str) -> str | list[Fields]:
        """Return several texts as one string, which every upstream takes, unless marks need them apart."""
        texts = list(texts)
        if self._marked(texts):
            return [{"type": "text", "text": part.text, **self._mark(part.cache)} for part in texts]
        return between.join(part.text for part in texts)

    def _marked(self, texts: Iterable[Text]) -> bool:
        marked = any(part.cache is not UNSET for part in texts)
        self.dropped_marks |= marked and self._target.cache_marks == "none"
        return marked and self._target.cache_marks != "none"

    def _mark(self, mark: CacheMark | UnsetType) -> Fields:
        if mark is UNSET:
            return {}
        match self._target.cache_marks:
            case "none":
                self.dropped_marks = True
                return {}
            case "cache_control":
                ttl: Fields = {} if mark.ttl is UNSET else {"ttl": mark.ttl}
                return {"cache_control": {"type": "ephemeral", **ttl}}
            case "prompt_cache_breakpoint":
                ttl = {"ttl": mark.ttl} if mark.ttl in _OPENAI_TTLS else {}
                return {"prompt_cache_breakpoint": {"mode": "explicit", **ttl}}


def call_fields(call: ToolCall, *, signed: bool) -> Fields:
    """Return a whole call as OpenAI writes it; a signature, where it may be told, stands where Google puts it."""
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    fields: Fields = {"id": call.id, "type": "function", "function": function}
    if signed and call.signature is not UNSET:
        fields["extra_content"] = signature_fields(call.signature, call.issuer)
    return fields


def signature_fields(signature: str, issuer: Issuer | UnsetType) -> Fields:
    """Return ``extra_content`` for a signed part."""
    return {GOOGLE if issuer is UNSET else issuer: {"thought_signature": signature}}


def detail_fields(parts: Iterable[Part]) -> list[Fields]:
    """Return ``reasoning_details`` for all thinking among ``parts``: signed text, summaries, sealed data."""
    details: list[Fields] = []
    for part in parts:
        if not isinstance(part, Reasoning | Redacted):
            continue
        detail: Fields = {"index": len(details)}
        if part.issuer is not UNSET:
            detail["format"] = FORMAT_OF_ISSUER.get(part.issuer, part.issuer)
        if part.item_id is not UNSET:
            detail["id"] = part.item_id
        if isinstance(part, Redacted):
            details.append({"type": "reasoning.encrypted", "data": part.data, **detail})
            continue
        if part.summary:
            details.append({"type": "reasoning.summary", "summary": part.text, **detail})
        elif part.text or part.signature is not UNSET:
            if part.signature is not UNSET:
                detail["signature"] = part.signature
            details.append({"type": "reasoning.text", "text": part.text, **detail})
        if part.sealed is not UNSET:
            details.append({"type": "reasoning.encrypted", "data": part.sealed, **detail, "index": len(details)})
    return details
