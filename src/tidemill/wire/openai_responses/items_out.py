"""Write turns as items of the Responses, for an upstream."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_media import audio_format, data_url, file_type, inline_text
from tidemill.wire.canonical_parts import (
    OPENAI,
    Audio,
    CacheMark,
    Citation,
    Dialect,
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Plain,
    Reasoning,
    Redacted,
    Refusal,
    Remote,
    Stored,
    Text,
    ToolCall,
    ToolResult,
)
from tidemill.wire.codec import Target
from tidemill.wire.openai_responses.reasoning import Thought, item_fields, joins, reasoning_fields

Fields = dict[str, Any]
Item = Fields | Raw

_OPENAI_FILES = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})
_TTLS = frozenset({"30m", "12h"})
_MARKABLE = Text | Image | File


class ItemWriter:
    """Writes the items of one request for one upstream."""

    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._own = request.dialect == Dialect.OPENAI_RESPONSES
        # Only their calls tell which results are of free-text tools, for other dialects' results do not.
        self._custom = {
            part.id for turn in request.turns for part in turn.parts if isinstance(part, ToolCall) and part.custom
        }
        self._written = 0
        self.dropped_marks = False
        self.sends_sealed = False

    def items(self) -> list[Item]:
        """Return the items; raises WireError for content that this dialect has no form for."""
        items: list[Item] = []
        for turn in self._request.turns:
            items += self._spoken(turn.parts) if turn.role == "assistant" else self._heard(turn.role, turn.parts)
        return items

    def message(self, role: str, parts: list[Part]) -> Fields:
        """Return a message that the model hears."""
        only = parts[0] if len(parts) == 1 else None
        if isinstance(only, Text) and not self._mark(only.cache):
            return {"role": role, "content": only.text}
        return {"role": role, "content": [field for part in parts if (field := self._field(part)) is not None]}

    # ---- what the model hears ------------------------------------------------------------------------------------

    def _heard(self, role: str, parts: Iterable[Part]) -> Iterator[Item]:
        rest: list[Part] = []
        for part in parts:
            if isinstance(part, ToolResult):
                yield self._result(part)
            elif isinstance(part, Opaque):
                if part.dialect == Dialect.OPENAI_RESPONSES:
                    yield part.raw
            else:
                rest.append(part)
        if rest:
            yield self.message(role, rest)

    def _result(self, part: ToolResult) -> Fields:
        kind = "custom_tool_call_output" if part.custom or part.call_id in self._custom else "function_call_output"
        texts = [inner for inner in part.parts if isinstance(inner, Text)]
        plain = len(texts) == len(part.parts) and (len(texts) < 2 or self._target.flat_text)  # noqa: PLR2004 - several
        output: str | list[Fields] = "\n".join(text.text for text in texts)
        if not plain:
            output = [field for inner in part.parts if (field := self._field(inner)) is not None]
        return {"type": kind, "call_id": part.call_id, "output": output}

    def _field(self, part: Part) -> Fields | None:
        match part:
            case Text(text) | Refusal(text):
                fields: Fields | None = {"type": "input_text", "text": text}
            case Image():
                detail = "auto" if part.detail is UNSET else part.detail
                fields = {"type": "input_image", "detail": detail, **self._image(part)}
            case File():
                fields = {"type": "input_file", **self._file(part)}
            case Audio(source=Inline(media_type, data)):
                fields = {"type": "input_audio", "input_audio": {"data": data, "format": audio_format(media_type)}}
            case Audio():
                raise bad_request("the Responses take sound only in the message itself")
            case _:
                fields = None  # another dialect's own part
        if fields is not None and isinstance(part, _MARKABLE):
            fields.update(self._mark(part.cache))
        return fields

    def _image(self, part: Image) -> Fields:
        match part.source:
            case Inline() as source:
                return {"image_url": data_url(source)}
            case Remote(url):
                return {"image_url": url}
            case Stored(file_id):
                return {"file_id": self._stored(file_id)}
            case Plain():
                raise bad_request("a text cannot be sent as a picture")

    def _file(self, part: File) -> Fields:
        named: Fields = {} if part.name is UNSET else {"filename": part.name}
        match part.source:
            case Stored(file_id):
                return {"file_id": self._stored(file_id)}
            case Remote(url):
                return {**named, "file_url": url}
            case Plain(text):
                return {"filename": "document.txt", **named, "file_data": data_url(inline_text(text))}
            case Inline() as source:
                suffix = "pdf" if source.media_type == file_type(None) else "bin"
                return {"filename": f"document.{suffix}", **named, "file_data": data_url(source)}

    def _stored(self, file_id: str) -> str:
        if self._request.dialect not in _OPENAI_FILES:
            raise bad_request("a file uploaded to another provider cannot be sent to this one")
        return file_id

    def _mark(self, mark: CacheMark | UnsetType) -> Fields:
        if mark is UNSET:
            return {}
        if self._target.cache_marks != "prompt_cache_breakpoint":
            self.dropped_marks = True
            return {}
        ttl = {"ttl": mark.ttl} if mark.ttl in _TTLS else {}
        return {"prompt_cache_breakpoint": {"mode": "explicit", **ttl}}

    # ---- what it said --------------------------------------------------------------------------------------------

    def _spoken(self, parts: Iterable[Part]) -> Iterator[Item]:
        words: list[Text | Refusal] = []
        thoughts: list[Thought] = []
        for part in parts:
            spoken = Text(part.transcript or "") if isinstance(part, Audio) else part
            if thoughts and not (isinstance(spoken, Thought) and joins(thoughts[-1], spoken)):
                yield from self._thought(thoughts)
                thoughts = []
            if isinstance(spoken, Text | Refusal):
                words += [spoken] if spoken.text else []
                continue
            if words:
                yield _message_fields(words)
                words = []
            if isinstance(spoken, Thought):
                thoughts.append(spoken)
            elif isinstance(spoken, ToolCall):
                yield call_fields(spoken, _own_id(spoken))
            elif isinstance(spoken, Opaque) and spoken.dialect == Dialect.OPENAI_RESPONSES:
                yield spoken.raw
        if words:
            yield _message_fields(words)
        if thoughts:
            yield from self._thought(thoughts)

    def _thought(self, parts: list[Thought]) -> Iterator[Item]:
        """Yield thinking that this upstream made, or that it wants to see whoever made it."""
        last = parts[-1]
        sealed = isinstance(last, Redacted) or last.sealed is not UNSET
        if sealed and last.issuer == OPENAI:
            self.sends_sealed = True
            # What other dialects say of it can only be its summary: OpenAI shows nothing else.
            yield item_fields(parts if self._own else [_summed_up(part) for part in parts], None)
        elif not sealed and self._own and last.item_id is not UNSET and last.issuer in {UNSET, OPENAI}:
            yield item_fields(parts, None)
        elif self._target.history != "none":
            text = [part.text for part in parts if isinstance(part, Reasoning) and part.text]
            if text:
                self._written += 1
                yield reasoning_fields(f"rs_{self._written}", [], text, None)


def _summed_up(part: Thought) -> Thought:
    return msgspec.structs.replace(part, summary=True) if isinstance(part, Reasoning) else part


def _own_id(call: ToolCall) -> str | None:
    prefix = "ctc_" if call.custom else "fc_"
    return call.item_id if call.item_id is not UNSET and call.item_id.startswith(prefix) else None


def _message_fields(words: list[Text | Refusal]) -> Fields:
    only = words[0]
    if len(words) == 1 and isinstance(only, Text) and not only.citations:
        return {"role": "assistant", "content": only.text}
    content = [content_fields(part) for part in words]
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def content_fields(part: Text | Refusal) -> Fields:
    """Return a part of what a model said."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    annotations = [annotation_of(citation, part.text) for citation in part.citations]
    told = [annotation for annotation in annotations if annotation is not None]
    return {"type": "output_text", "text": part.text, "annotations": told}


def annotation_of(citation: Citation, text: str) -> Fields | Raw | None:
    """Return a source as the Responses write it; None without an address. One without a place is of all of ``text``."""
    if citation.dialect == Dialect.OPENAI_RESPONSES:
        return citation.raw
    if citation.url is UNSET:
        return None
    start = 0 if citation.start is UNSET else citation.start
    end = len(text) if citation.end is UNSET else citation.end
    place = {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url": citation.url, "title": citation.title or "", **place}


def call_fields(call: ToolCall, item_id: str | None, status: str | None = None) -> Fields:
    """Return the item of a call."""
    fields: Fields = {} if item_id is None else {"id": item_id}
    if call.custom:
        fields |= {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    else:
        fields |= {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}
    if status is not None:
        fields["status"] = status
    return fields
