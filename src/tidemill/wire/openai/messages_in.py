"""Read OpenAI messages into turns: instructions, results of tools in one turn, reasoning from any of its fields."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import encode, fields_of, string_in, told
from tidemill.wire.canonical_media import audio_type, file_type, read_data_url, source_of
from tidemill.wire.canonical_parts import (
    ANTHROPIC,
    GOOGLE,
    OPENAI,
    Audio,
    CacheMark,
    Citation,
    Dialect,
    File,
    Image,
    Inline,
    Issuer,
    Part,
    Reasoning,
    Redacted,
    Refusal,
    Remote,
    ResultPart,
    Stored,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tidemill.wire.openai.shapes import AudioRef, CallIn, ContentIn, FileIn, ImageUrl, MessageIn, ReasoningDetail

ISSUER_OF_FORMAT: Mapping[str, Issuer] = MappingProxyType(
    {"anthropic-claude-v1": ANTHROPIC, "google-gemini-v1": GOOGLE, "openai-responses-v1": OPENAI}
)
_INSTRUCTIONS = frozenset({"system", "developer"})
_LEGACY_ID = "call_function_{}"


def read_messages(messages: Sequence[MessageIn]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the instructions that come before the talk, and the talk; raises WireError naming the message."""
    system: list[Text] = []
    turns: list[Turn] = []
    results: list[ToolResult] = []
    legacy_calls = 0
    for index, message in enumerate(messages):
        if message.role in {"tool", "function"}:
            results.append(_result(message, index, legacy_calls))
            continue
        if results:
            turns.append(Turn("user", tuple(results)))
            results = []
        if message.role in _INSTRUCTIONS:
            parts = tuple(_texts(message, index))
            if turns:
                turns.append(Turn("system", parts, told(message.name)))
            else:
                system += parts
        elif message.role == "user":
            turns.append(Turn("user", tuple(_content(message, index)), told(message.name)))
        elif message.role == "assistant":
            legacy_calls += message.function_call is not None
            turns.append(Turn("assistant", tuple(read_spoken(message, legacy_calls)), told(message.name)))
        else:
            raise bad_request(f"messages[{index}].role: unknown role {message.role!r}", f"messages[{index}].role")
    if results:
        turns.append(Turn("user", tuple(results)))
    return tuple(system), tuple(turns)


def _result(message: MessageIn, index: int, legacy_calls: int) -> ToolResult:
    legacy = message.role == "function"
    call_id = _LEGACY_ID.format(legacy_calls) if legacy else message.tool_call_id
    if call_id is None:
        raise bad_request(f"messages[{index}].tool_call_id is missing", f"messages[{index}].tool_call_id")
    parts = [part for part in _content(message, index) if not isinstance(part, Text) or part.text]
    return ToolResult(call_id, tuple(_result_part(part) for part in parts), told(message.name))


def _result_part(part: Part) -> ResultPart:
    return part if isinstance(part, ResultPart) else Text(part.text if isinstance(part, Refusal) else "")


def _texts(message: MessageIn, index: int) -> Iterator[Text]:
    for part in _content(message, index):
        if not isinstance(part, Text):
            raise bad_request(f"messages[{index}].content: instructions are text", f"messages[{index}].content")
        yield part


def _content(message: MessageIn, index: int) -> Iterator[Part]:
    content = message.content
    if isinstance(content, str):
        yield Text(content)
        return
    for place, item in enumerate(content or ()):
        if isinstance(item, str):
            yield Text(item)
            continue
        part = _part(item)
        if part is None:
            where = f"messages[{index}].content[{place}]"
            raise bad_request(f"{where}: a part of type {item.type!r} is unknown or incomplete", where)
        yield part


def _part(item: ContentIn) -> Part | None:
    cache = _cache_mark(item)
    match item.type:
        case "text" | "input_text" | "output_text":
            return None if item.text is None else Text(item.text, cache)
        case "image_url" | "input_image":
            return _image(item.image_url, cache)
        case "input_audio":
            sound = item.input_audio
            return None if sound is None else Audio(Inline(audio_type(sound.format), sound.data), cache=cache)
        case "file":
            return None if item.file is None else _file(item.file, cache)
        case "refusal":
            return None if item.refusal is None else Refusal(item.refusal)
        case _:
            return None


def read_image(item: ContentIn) -> Image | None:
    """Return a picture that a model made; None when it is none."""
    return _image(item.image_url, UNSET)


def _image(image: ImageUrl | str | None, cache: CacheMark | UnsetType) -> Image | None:
    if image is None:
        return None
    if isinstance(image, str):
        return Image(source_of(image), UNSET, cache)
    return Image(source_of(image.url), told(image.detail), cache)


def _cache_mark(item: ContentIn) -> CacheMark | UnsetType:
    mark = item.cache_control or item.prompt_cache_breakpoint
    return UNSET if mark is None else CacheMark(told(mark.ttl))


def _file(file: FileIn, cache: CacheMark | UnsetType) -> File | None:
    if file.file_data is not None:
        source = read_data_url(file.file_data)
        if source is None:
            address = file.file_data.startswith(("http://", "https://"))
            source = Remote(file.file_data) if address else Inline(file_type(file.filename), file.file_data)
    elif file.file_id is not None:
        source = Stored(file.file_id)
    else:
        return None
    return File(source, told(file.filename), cache=cache)


# ---- what a model said -----------------------------------------------------------------------------------------------


def read_spoken(message: MessageIn, legacy_calls: int = 1, tail: str = "") -> Iterator[Part]:
    """Yield the parts of an assistant's message: thinking, words, then calls. ``tail`` makes ids of nameless calls."""
    yield from _thoughts(message)
    yield from _words(message)
    for image in message.images or ():
        part = read_image(image)
        if part is not None:
            yield part
    if message.audio is not None:
        yield _audio(message.audio)
    for place, call in enumerate(message.tool_calls or ()):
        yield read_call(call, f"call_{tail}{place}")
    if message.function_call is not None:
        called = message.function_call
        yield ToolCall(_LEGACY_ID.format(legacy_calls), called.name or "", arguments_text(called.arguments))


def _words(message: MessageIn) -> Iterator[Part]:
    citations = tuple(read_citations(message.annotations or ()))
    signature, issuer = signature_in(message.extra_content)
    for part in _content(message, 0):
        if isinstance(part, Text):
            if not part.text and signature is UNSET:
                continue
            yield Text(part.text, part.cache, citations, signature, issuer)
            citations, signature, issuer = (), UNSET, UNSET
        else:
            yield part
    if message.refusal:
        yield Refusal(message.refusal)


def _audio(audio: AudioRef) -> Audio:
    return Audio(Inline("", audio.data or ""), told(audio.id), told(audio.transcript), told(audio.expires_at))


def read_call(call: CallIn, spare_id: str) -> ToolCall:
    """Return a whole call; one without an id gets ``spare_id``."""
    signature, issuer = signature_in(call.extra_content)
    if call.custom is not None:
        return ToolCall(call.id or spare_id, call.custom.name or "", call.custom.input or "", custom=True)
    called = call.function
    name, arguments = (called.name, called.arguments) if called is not None else (None, None)
    return ToolCall(call.id or spare_id, name or "", arguments_text(arguments), signature=signature, issuer=issuer)


def arguments_text(arguments: str | dict[str, Any] | None) -> str:
    """Return arguments as JSON text."""
    if isinstance(arguments, dict):
        return encode(arguments).decode()
    return arguments or ""


def signature_in(extra: Any) -> tuple[str | UnsetType, Issuer | UnsetType]:
    """Return the signature in ``extra_content: {"google": {"thought_signature": …}}``, and who gave it."""
    for issuer, inner in fields_of(extra).items():
        signature = string_in(fields_of(inner), "thought_signature")
        if signature is not UNSET:
            return signature, issuer
    return UNSET, UNSET


def _thoughts(message: MessageIn) -> Iterator[Part]:
    """Yield thinking from whichever field holds it; signed fields also hold the text, so they win."""
    details = [part for part in map(read_detail, message.reasoning_details or ()) if part is not None]
    details += [
        Redacted(block.data or "", ANTHROPIC)
        if block.type == "redacted_thinking"
        else Reasoning(block.thinking or "", told(block.signature), ANTHROPIC)
        for block in message.thinking_blocks or ()
        if not details
    ]
    text = message.reasoning_content or message.reasoning
    signed = [part for part in details if isinstance(part, Reasoning)]
    if text and not any(part.text for part in signed):
        if len(signed) == 1:  # the detail holds the signature alone
            first = signed[0]
            yield Reasoning(text, first.signature, first.issuer, item_id=first.item_id)
            details.remove(first)
        else:
            yield Reasoning(text)
    yield from details


def read_detail(detail: ReasoningDetail) -> Reasoning | Redacted | None:
    """Return one entry of ``reasoning_details``; None for a kind we do not know."""
    issuer = UNSET if detail.format is None else ISSUER_OF_FORMAT.get(detail.format, detail.format)
    match detail.type:
        case "reasoning.text":
            return Reasoning(detail.text or "", told(detail.signature), issuer, item_id=told(detail.id))
        case "reasoning.summary":
            return Reasoning(detail.summary or "", UNSET, issuer, summary=True, item_id=told(detail.id))
        case "reasoning.encrypted":
            return Redacted(detail.data or "", issuer, told(detail.id))
        case _:
            return None


class _UrlCitation(msgspec.Struct, frozen=True):
    url: str
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Annotation(msgspec.Struct, frozen=True):
    type: str = ""
    url_citation: _UrlCitation | None = None


_annotations = msgspec.json.Decoder(_Annotation)


def read_citations(annotations: Sequence[Raw]) -> Iterator[Citation]:
    """Yield the sources that a message names."""
    for raw in annotations:
        try:
            cited = _annotations.decode(raw).url_citation
        except msgspec.MsgspecError:
            cited = None
        if cited is None:
            yield Citation(Dialect.OPENAI_CHAT, raw)
            continue
        yield Citation(
            Dialect.OPENAI_CHAT,
            raw,
            cited.url,
            told(cited.title),
            start=told(cited.start_index),
            end=told(cited.end_index),
        )
