"""Media in messages: data URLs, formats' names, and addresses that somebody has to fetch first."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import cast
from urllib.parse import unquote_to_bytes

import msgspec

from tidemill.wire.canonical import Request
from tidemill.wire.canonical_parts import (
    Audio,
    File,
    Image,
    Inline,
    Part,
    Plain,
    Remote,
    ResultPart,
    Source,
    ToolResult,
)

_FORMAT_OF_AUDIO: Mapping[str, str] = MappingProxyType(
    {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav"}
)
_AUDIO_OF_FORMAT: Mapping[str, str] = MappingProxyType({"mp3": "audio/mpeg", "wav": "audio/wav"})
_TYPE_OF_SUFFIX: Mapping[str, str] = MappingProxyType(
    {
        "pdf": "application/pdf",
        "txt": "text/plain",
        "md": "text/markdown",
        "csv": "text/csv",
        "json": "application/json",
    }
)


def read_data_url(url: str) -> Inline | None:
    """Return what a ``data:`` URL (RFC 2397) holds; None for any other address."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    media_type, *parameters = head.split(";")
    if "base64" not in {parameter.strip().lower() for parameter in parameters}:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return Inline(media_type.strip().lower() or "text/plain", data)


def data_url(source: Inline) -> str:
    """Return inline bytes as a ``data:`` URL."""
    return f"data:{source.media_type};base64,{source.data}"


def source_of(url: str) -> Inline | Remote:
    """Return what an address stands for."""
    return read_data_url(url) or Remote(url)


def audio_format(media_type: str) -> str:
    """Return OpenAI's word for a sound's media type."""
    return _FORMAT_OF_AUDIO.get(media_type, media_type.removeprefix("audio/"))


def audio_type(name: str) -> str:
    """Return the media type for OpenAI's word."""
    return _AUDIO_OF_FORMAT.get(name, f"audio/{name}")


def file_type(name: str | None) -> str:
    """Return the media type that a file's name suggests; a PDF for want of better, what most files here are."""
    return _TYPE_OF_SUFFIX.get((name or "").rpartition(".")[2].lower(), "application/pdf")


def plain_text(source: Source) -> str | None:
    """Return the text of a document that is text; None for anything else."""
    if isinstance(source, Plain):
        return source.text
    if not isinstance(source, Inline) or not source.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(source.data, validate=False).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def inline_text(text: str, media_type: str = "text/plain") -> Inline:
    """Return a document that is text as inline bytes."""
    return Inline(media_type, base64.b64encode(text.encode()).decode())


def remote_sources(request: Request) -> Iterator[Remote]:
    """Yield every address that media of the request point at, for upstreams that fetch none themselves."""
    for turn in request.turns:
        for part in turn.parts:
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            for media in inner:
                if isinstance(media, Image | Audio | File) and isinstance(media.source, Remote):
                    yield media.source


def with_sources(request: Request, replace: Callable[[Remote], Source]) -> Request:
    """Return the request with each address replaced (by the bytes somebody fetched from it)."""

    def changed(part: Part) -> Part:
        if isinstance(part, ToolResult):
            inner = tuple(cast("ResultPart", changed(media)) for media in part.parts)
            return msgspec.structs.replace(part, parts=inner)
        if isinstance(part, Image | Audio | File) and isinstance(part.source, Remote):
            return msgspec.structs.replace(part, source=replace(part.source))
        return part

    turns = tuple(
        msgspec.structs.replace(turn, parts=tuple(changed(part) for part in turn.parts)) for turn in request.turns
    )
    return msgspec.structs.replace(request, turns=turns)
