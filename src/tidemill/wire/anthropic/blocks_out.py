"""Write parts as Anthropic's blocks, in requests and in answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_media import plain_text
from tidemill.wire.canonical_parts import (
    ANTHROPIC,
    Audio,
    CacheMark,
    Citation,
    Dialect,
    File,
    Image,
    Inline,
    Issuer,
    Opaque,
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
)
from tidemill.wire.canonical_seal import Seal, write_seal
from tidemill.wire.canonical_tools import arguments_object, plain_id, wrap_custom

Fields = dict[str, Any]

# OpenAI's lifetimes, in Anthropic's: the longer one, for what is asked for is at least that long.
_TTLS: Mapping[str, str] = MappingProxyType({"5m": "5m", "1h": "1h", "30m": "1h", "12h": "1h"})


def mark_fields(mark: CacheMark | UnsetType) -> Fields:
    """Return a cache mark."""
    if mark is UNSET:
        return {}
    ttl = _TTLS.get(mark.ttl or "")
    return {"cache_control": {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}}


def text_fields(part: Text) -> Fields:
    """Return a text block with its sources."""
    fields: Fields = {"type": "text", "text": part.text, **mark_fields(part.cache)}
    cited = [citation_fields(citation) for citation in part.citations]
    told = [citation for citation in cited if citation is not None]
    if told:
        fields["citations"] = told
    return fields


def citation_fields(citation: Citation) -> Fields | Raw | None:
    """Return a source; None for one without an address."""
    if citation.dialect == Dialect.ANTHROPIC:
        return citation.raw
    if citation.url is UNSET:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title or None,
        "cited_text": citation.quoted or "",
        "encrypted_index": "",
    }


def call_fields(call: ToolCall) -> Fields:
    """Return a call of a tool; free text is wrapped, for input is an object here."""
    arguments = wrap_custom(call.arguments) if call.custom else call.arguments
    block = {"type": "tool_use", "id": plain_id(call.id), "name": call.name, "input": arguments_object(arguments)}
    return {**block, **mark_fields(call.cache)}


def thought_fields(part: Reasoning) -> Fields:
    """Return thinking; a signature of somebody else is sealed, so that it is known when it comes back."""
    return {"type": "thinking", "thinking": part.text, "signature": signature_of(part)}


def signature_of(part: Reasoning) -> str:
    """Return what stands for the signature of thinking."""
    item_id = part.item_id or ""
    if part.sealed is not UNSET:
        return write_seal(Seal(part.issuer or "", part.sealed, item_id=item_id, sealed=True))
    if part.signature is UNSET:
        return ""
    return own_signature(part.signature, part.issuer, item_id)


def own_signature(signature: str, issuer: Issuer | UnsetType, item_id: str = "") -> str:
    """Return a signature as it stands in a block."""
    if issuer is UNSET or issuer == ANTHROPIC or not signature:
        return signature
    return write_seal(Seal(issuer, signature, item_id=item_id))


def redacted_fields(part: Redacted) -> Fields:
    """Return thinking that only its issuer can open."""
    data = part.data
    if part.issuer is not UNSET and part.issuer != ANTHROPIC:
        data = write_seal(Seal(part.issuer, data, item_id=part.item_id or ""))
    return {"type": "redacted_thinking", "data": data}


def call_seal_fields(call_id: str, signature: str, issuer: Issuer) -> Fields:
    """Return the block that carries a call's signature: blocks of calls have no place for one."""
    return {"type": "redacted_thinking", "data": write_seal(Seal(issuer, signature, call=plain_id(call_id)))}


# ---- answers only ----------------------------------------------------------------------------------------------------


def told_text_fields(part: Text) -> Fields:
    """Return a text block of an answer, which names its sources even where it has none."""
    return {"citations": None, **text_fields(part)}


def told_call_fields(call: ToolCall) -> Fields:
    """Return a call in an answer, which tells who called: the model, and no code of its own."""
    return {**call_fields(call), "caller": {"type": "direct"}}


# ---- requests only ---------------------------------------------------------------------------------------------------


class BlockWriter:
    """Writes the blocks of one request. ``own``: it came in this dialect, so its uploads are this provider's."""

    def __init__(self, *, own: bool, unsigned_reasoning: bool) -> None:
        self._own = own
        self._unsigned = unsigned_reasoning

    def block(self, part: Part) -> Fields | Raw | None:
        """Return a part as a block; None for what this dialect has no use for. Raises WireError for lost content."""
        block: Fields | Raw | None
        match part:
            case Text():
                block = text_fields(part) if part.text else None
            case ToolCall():
                block = call_fields(part)
            case ToolResult():
                block = self._result(part)
            case Reasoning() | Redacted():
                block = self._thought(part)
            case Refusal(text):
                block = {"type": "text", "text": text} if text else None
            case Opaque(dialect, raw):
                block = raw if dialect == Dialect.ANTHROPIC else None
            case _:
                block = self._media(part)
        return block

    def _media(self, part: Image | Audio | File) -> Fields | None:
        match part:
            case Image():
                return {"type": "image", "source": self._source(part.source), **mark_fields(part.cache)}
            case File():
                return self._document(part)
            case Audio(transcript=str(said)):
                return {"type": "text", "text": said}
            case Audio(source=Inline(data="")):
                return None  # sound of an earlier answer, by an id that another provider gave
            case Audio():
                raise bad_request("this model takes no sound")

    def _thought(self, part: Reasoning | Redacted) -> Fields | None:
        """Return thinking that this provider can verify; any other is refused there."""
        if isinstance(part, Redacted):
            return {"type": "redacted_thinking", "data": part.data} if part.issuer == ANTHROPIC else None
        if part.signature and part.issuer == ANTHROPIC:
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        if self._unsigned and part.text:
            return {"type": "thinking", "thinking": part.text, "signature": ""}
        return None

    def _result(self, part: ToolResult) -> Fields:
        fields: Fields = {"type": "tool_result", "tool_use_id": plain_id(part.call_id)}
        if len(part.parts) == 1 and isinstance(part.parts[0], Text) and part.parts[0].cache is UNSET:
            fields["content"] = part.parts[0].text
        elif part.parts:
            fields["content"] = [block for inner in part.parts if (block := self.block(inner)) is not None]
        if part.is_error is not UNSET:
            fields["is_error"] = part.is_error
        return {**fields, **mark_fields(part.cache)}

    def _source(self, source: Source) -> Fields:
        match source:
            case Inline(media_type, data):
                return {"type": "base64", "media_type": media_type, "data": data}
            case Remote(url):
                return {"type": "url", "url": url}
            case Stored(file_id) if self._own:
                return {"type": "file", "file_id": file_id}
            case Stored():
                raise bad_request("a file uploaded to another provider cannot be sent to this one")
            case Plain(text):
                return {"type": "text", "media_type": "text/plain", "data": text}

    def _document(self, part: File) -> Fields:
        text = plain_text(part.source)
        source = self._source(part.source if text is None else Plain(text))
        fields: Fields = {"type": "document", "source": source, **mark_fields(part.cache)}
        if part.name is not UNSET:
            fields["title"] = part.name
        if part.context is not UNSET:
            fields["context"] = part.context
        if part.cites is not UNSET:
            fields["citations"] = {"enabled": part.cites}
        return fields
