"""Read Anthropic's blocks into parts, in requests and in answers."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.anthropic.shapes import BlockIn, CacheControl, CitesIn, SourceIn
from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import MALFORMED, text_of, told, wrong_request
from tidemill.wire.canonical_parts import (
    ANTHROPIC,
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
    Remote,
    ResultPart,
    Source,
    Stored,
    Text,
    ToolCall,
    ToolResult,
)
from tidemill.wire.canonical_seal import Seal, read_seal

_blocks = msgspec.json.Decoder(BlockIn)
_contents = msgspec.json.Decoder(str | list[Raw] | None)
_lists = msgspec.json.Decoder(list[Raw])
_settings = msgspec.json.Decoder(CitesIn)


def read_blocks(content: str | Sequence[Raw], where: str) -> tuple[Part, ...]:
    """Return a message's parts; raises WireError naming the block. Seals of calls are put where they belong."""
    if isinstance(content, str):
        return (Text(content),)
    parts: list[Part] = []
    call_seals: dict[str, Seal] = {}
    for place, raw in enumerate(content):
        try:
            block = _blocks.decode(raw)
        except MALFORMED as error:
            raise wrong_request(error, f"{where}[{place}]") from None
        part = read_block(block, raw, f"{where}[{place}]")
        if isinstance(part, Seal):
            call_seals[part.call] = part
        else:
            parts.append(part)
    if call_seals:
        parts = [_with_seal(part, call_seals) for part in parts]
    return tuple(parts)


def _with_seal(part: Part, seals: dict[str, Seal]) -> Part:
    seal = seals.get(part.id) if isinstance(part, ToolCall) else None
    return part if seal is None else msgspec.structs.replace(part, signature=seal.data, issuer=seal.issuer)


def read_block(block: BlockIn, raw: Raw, where: str) -> Part | Seal:
    """Return one block as a part; a block that no other dialect has stays as it came."""
    if block.type in {"thinking", "redacted_thinking"}:
        return _thought(block)
    cache = cache_mark(block.cache_control)
    part: Part | None = Opaque(Dialect.ANTHROPIC, raw, block.type)
    match block:
        case BlockIn(type="text"):
            part = None if block.text is None else Text(block.text, cache, tuple(read_citations(block.citations)))
        case BlockIn(type="tool_use"):
            part = _call(block, cache)
        case BlockIn(type="tool_result"):
            part = _result(block, where, cache)
        case BlockIn(type="image"):
            part = None if block.source is None else _image(block.source, raw, cache)
        case BlockIn(type="document"):
            part = None if block.source is None else _document(block, block.source, raw, cache)
        case _:
            pass
    if part is None:
        raise bad_request(f"{where}: a block of type {block.type} lacks a field", where)
    return part


def _call(block: BlockIn, cache: CacheMark | UnsetType) -> ToolCall | None:
    if block.id is None or block.name is None:
        return None
    return ToolCall(block.id, block.name, arguments_of(block.input), cache=cache)


def _image(came: SourceIn, raw: Raw, cache: CacheMark | UnsetType) -> Image | Opaque:
    source = _source(came)
    return Opaque(Dialect.ANTHROPIC, raw, "image") if source is None else Image(source, cache=cache)


def cache_mark(came: CacheControl | None) -> CacheMark | UnsetType:
    """Return a block's cache mark."""
    return UNSET if came is None else CacheMark(told(came.ttl))


def arguments_of(raw: Raw) -> str:
    """Return a tool's input as JSON text; none is an empty object."""
    return text_of(raw) or "{}"


def _result(block: BlockIn, where: str, cache: CacheMark | UnsetType) -> ToolResult | None:
    if block.tool_use_id is None:
        return None
    parts: tuple[Part, ...] = ()
    if memoryview(block.content):
        try:
            content = _contents.decode(block.content)
        except MALFORMED as error:
            raise wrong_request(error, f"{where}.content") from None
        parts = read_blocks(content or (), f"{where}.content")
    kept = tuple(part for part in parts if isinstance(part, ResultPart))
    return ToolResult(block.tool_use_id, kept, is_error=told(block.is_error), cache=cache)


def _source(came: SourceIn) -> Source | None:
    match came:
        case SourceIn(type="base64", data=str(data)):
            return Inline(came.media_type or "application/octet-stream", data)
        case SourceIn(type="url", url=str(url)):
            return Remote(url)
        case SourceIn(type="file", file_id=str(file_id)):
            return Stored(file_id)
        case SourceIn(type="text", data=str(text)):
            return Plain(text)
        case SourceIn(type="content", content=str(text)):
            return Plain(text)
        case _:
            return None


def _document(block: BlockIn, came: SourceIn, raw: Raw, cache: CacheMark | UnsetType) -> Part:
    source = _source(came)
    if source is None:  # blocks as a source: no other dialect nests them
        return Opaque(Dialect.ANTHROPIC, raw, block.type)
    try:
        cites = _settings.decode(block.citations).enabled if memoryview(block.citations) else None
    except MALFORMED:
        cites = None
    return File(source, told(block.title), told(block.context), told(cites), cache)


def _thought(block: BlockIn) -> Reasoning | Redacted | Seal:
    if block.type == "redacted_thinking":
        data = block.data or ""
        seal = read_seal(data)
        if seal is None:
            return Redacted(data, ANTHROPIC)
        return seal if seal.call else Redacted(seal.data, seal.issuer, seal.item_id or UNSET)
    text = block.thinking or ""
    if not block.signature:
        return Reasoning(text)
    seal = read_seal(block.signature)
    if seal is None:
        return Reasoning(text, block.signature, ANTHROPIC)
    item_id = seal.item_id or UNSET
    if seal.sealed:
        return Reasoning(text, UNSET, seal.issuer, sealed=seal.data, item_id=item_id)
    return Reasoning(text, seal.data, seal.issuer, item_id=item_id)


class _CitationIn(Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    document_title: str | None = None
    cited_text: str | None = None


_citations = msgspec.json.Decoder(_CitationIn)


def read_citations(citations: Raw) -> Iterator[Citation]:
    """Yield the sources that a text names. Their places are in the source, not in the text."""
    try:
        raws = _lists.decode(citations) if memoryview(citations) else []
    except MALFORMED:
        raws = []
    for raw in raws:
        yield read_citation(raw)


def read_citation(raw: Raw) -> Citation:
    """Return one source."""
    try:
        came = _citations.decode(raw)
    except MALFORMED:
        came = _CitationIn()
    title = told(came.title or came.document_title)
    return Citation(Dialect.ANTHROPIC, raw, told(came.url), title, told(came.cited_text))
