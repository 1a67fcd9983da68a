"""Sources of an answer: Gemini counts places in bytes of UTF-8, everybody else in characters."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical_json import MALFORMED, raw_of, told
from tidemill.wire.canonical_parts import Citation, Dialect
from tidemill.wire.gemini.shapes import CandidateIn, CitationsIn, GroundingChunkIn, GroundingIn, SegmentIn, WebIn

Fields = dict[str, Any]


class _SourceIn(Struct, frozen=True, rename="camel"):
    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


_sources = msgspec.json.Decoder(_SourceIn)


def read_citations(candidate: CandidateIn, text: str) -> Iterator[Citation]:
    """Yield the sources that a candidate names; ``text`` is what it said."""
    if candidate.citation_metadata is not None:
        yield from _repeated(candidate.citation_metadata, text.encode())
    if candidate.grounding_metadata is not None:
        yield from _grounded(candidate.grounding_metadata, text.encode())


def _repeated(came: CitationsIn, said: bytes) -> Iterator[Citation]:
    for raw in came.citation_sources or came.citations or ():
        try:
            source = _sources.decode(raw)
        except MALFORMED:
            continue
        start = None if source.start_index is None else _characters(said, source.start_index)
        end = None if source.end_index is None else _characters(said, source.end_index)
        yield Citation(Dialect.GEMINI, raw, told(source.uri), told(source.title), start=told(start), end=told(end))


def _grounded(came: GroundingIn, said: bytes) -> Iterator[Citation]:
    sources = [_source(chunk) for chunk in came.grounding_chunks or ()]
    used: set[int] = set()
    for support in came.grounding_supports or ():
        for number in support.grounding_chunk_indices or ():
            if 0 <= number < len(sources):
                used.add(number)
                yield _citation(sources[number], support.segment, said)
    for number, source in enumerate(sources):
        if number not in used:
            yield _citation(source, None, said)


def _source(chunk: GroundingChunkIn) -> WebIn:
    return chunk.web or chunk.retrieved_context or chunk.maps or WebIn()


def _citation(source: WebIn, segment: SegmentIn | None, said: bytes) -> Citation:
    fields: Fields = {"uri": source.uri or "", "title": source.title or ""}
    if segment is None:
        return Citation(Dialect.GEMINI, raw_of(fields), told(source.uri), told(source.title))
    end = len(said) if segment.end_index is None else segment.end_index
    raw = raw_of({**fields, "startIndex": segment.start_index, "endIndex": end})
    places = _characters(said, segment.start_index), _characters(said, end)
    return Citation(Dialect.GEMINI, raw, told(source.uri), told(source.title), told(segment.text), *places)


def _characters(said: bytes, place: int) -> int:
    return len(said[: max(place, 0)].decode(errors="ignore"))


def source_fields(citation: Citation, text: str) -> Fields | Raw | None:
    """Return a source of ``text`` as Gemini writes it; None for one without an address."""
    if citation.dialect == Dialect.GEMINI:
        return citation.raw
    if citation.url is UNSET:
        return None
    start = 0 if citation.start is UNSET else citation.start
    end = len(text) if citation.end is UNSET else citation.end
    places = {"startIndex": len(text[:start].encode()), "endIndex": len(text[:end].encode())}
    titled = {} if citation.title is UNSET else {"title": citation.title}
    return {**places, "uri": citation.url, **titled}
