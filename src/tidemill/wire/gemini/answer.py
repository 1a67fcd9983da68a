"""Gemini's whole answers, both ways."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.kernel.ids import short_id
from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_fault import BAD_TOOL, WireError, bad_answer
from tidemill.wire.canonical_json import MALFORMED, encode, read_answer, told
from tidemill.wire.canonical_parts import (
    Audio,
    Citation,
    Dialect,
    Image,
    Inline,
    Opaque,
    Part,
    Reasoning,
    Redacted,
    Refusal,
    Text,
    ToolCall,
)
from tidemill.wire.canonical_tools import arguments_object, wrap_custom
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply
from tidemill.wire.gemini.citations import read_citations, source_fields
from tidemill.wire.gemini.errors import read_fault
from tidemill.wire.gemini.logprobs import read_logprobs, write_logprobs
from tidemill.wire.gemini.parts_in import Calls, add_part, read_part
from tidemill.wire.gemini.shapes import AnswerIn, CandidateIn, FeedbackIn, PartIn
from tidemill.wire.gemini.signatures import seal_of, thought_seal, write_signature
from tidemill.wire.gemini.usage import read_usage, write_usage

_STOP_OF_REASON: Mapping[str, Stop] = MappingProxyType(
    {
        "STOP": Stop.END,
        "MAX_TOKENS": Stop.LENGTH,
        "SAFETY": Stop.FILTERED,
        "RECITATION": Stop.FILTERED,
        "LANGUAGE": Stop.FILTERED,
        "BLOCKLIST": Stop.FILTERED,
        "PROHIBITED_CONTENT": Stop.FILTERED,
        "SPII": Stop.FILTERED,
        "MODEL_ARMOR": Stop.FILTERED,
        "CONTINUATION": Stop.PAUSE,
        "MALFORMED_FUNCTION_CALL": Stop.BAD_TOOL,
        "UNEXPECTED_TOOL_CALL": Stop.BAD_TOOL,
        "TOO_MANY_TOOL_CALLS": Stop.BAD_TOOL,
        "MISSING_THOUGHT_SIGNATURE": Stop.BAD_TOOL,
        "MALFORMED_RESPONSE": Stop.BAD_TOOL,
    }
)
_REASON_OF_STOP: Mapping[Stop, str] = MappingProxyType(
    {
        Stop.END: "STOP",
        Stop.STOP_STRING: "STOP",
        Stop.LENGTH: "MAX_TOKENS",
        Stop.TOOLS: "STOP",
        Stop.FILTERED: "SAFETY",
        Stop.PAUSE: "CONTINUATION",
    }
)
_IMAGE = ("IMAGE_", "NO_IMAGE")
_ID_LENGTH = 24

Fields = dict[str, Any]

_answers = msgspec.json.Decoder(AnswerIn)
_parts = msgspec.json.Decoder(PartIn)


def stop_of(reason: str, *, calls: bool) -> Stop:
    """Return why a model stopped; that it calls tools has no word of its own here."""
    stop = _STOP_OF_REASON.get(reason)
    if stop is None:
        stop = Stop.FILTERED if reason.startswith(_IMAGE) else Stop.END
    return Stop.TOOLS if stop is Stop.END and calls else stop


def reason_of(stop: Stop | UnsetType) -> str:
    """Return Gemini's word."""
    return "STOP" if stop is UNSET else _REASON_OF_STOP.get(stop, "OTHER")


class AnswerCalls(Calls):
    """Ids of the calls of one answer: drawn, for a talk holds the calls of many answers."""

    def call(self, name: str, given: str | None) -> str:
        """Return the id of a call."""
        del name
        return given or f"call_{short_id(_ID_LENGTH)}"


def blocked(came: FeedbackIn | None) -> Choice | None:
    """Return the answer to a prompt that was refused; None for one that was not."""
    if came is None or not came.block_reason:
        return None
    detail = came.block_reason_message or came.block_reason
    return Choice(parts=(), stop=Stop.FILTERED, stop_detail=detail)


def decode_answer(body: bytes) -> Answer:
    """Return the answer; raises WireError for an error behind a good status."""
    came = read_answer(_answers.decode, body)
    if came.error:
        raise WireError(read_fault(body))
    refused = blocked(came.prompt_feedback)
    if not came.candidates and refused is None:
        raise bad_answer("the upstream's answer has no candidates")
    calls = AnswerCalls()
    choices = [_choice(place, candidate, calls) for place, candidate in enumerate(came.candidates or ())]
    return Answer(
        id=came.response_id or "",
        model=came.model_version or "",
        choices=tuple(choices) if choices else (refused,) if refused is not None else (),
        usage=with_searches(read_usage(came.usage_metadata), came),
        created=created_of(came.create_time),
    )


def created_of(moment: str | None) -> int | UnsetType:
    """Return an RFC 3339 time in Unix seconds."""
    try:
        return UNSET if moment is None else int(datetime.fromisoformat(moment).timestamp())
    except (ValueError, OverflowError):
        return UNSET


def with_searches(usage: Usage | UnsetType, came: AnswerIn) -> Usage | UnsetType:
    """Return the usage with the searches that were made for the answer."""
    grounded = [candidate.grounding_metadata for candidate in came.candidates or () if candidate.grounding_metadata]
    count = sum(len(source.web_search_queries or ()) for source in grounded)
    return usage if usage is UNSET or not count else msgspec.structs.replace(usage, searches=count)


def _choice(place: int, candidate: CandidateIn, calls: Calls) -> Choice:
    try:
        parts = spoken(candidate, calls)
    except (*MALFORMED, WireError):
        raise bad_answer("the upstream's answer has an unknown shape") from None
    said = "".join(part.text for part in parts if isinstance(part, Text))
    citations = tuple(read_citations(candidate, said))
    if citations:
        _cite(parts, citations)
    return Choice(
        parts=tuple(parts),
        stop=stop_of(candidate.finish_reason or "STOP", calls=any(isinstance(part, ToolCall) for part in parts)),
        stop_detail=told(candidate.finish_message),
        index=place if candidate.index is None else candidate.index,
        logprobs=read_logprobs(candidate.logprobs_result),
    )


def _cite(parts: list[Part], citations: tuple[Citation, ...]) -> None:
    for place in range(len(parts) - 1, -1, -1):
        part = parts[place]
        if isinstance(part, Text):
            parts[place] = msgspec.structs.replace(part, citations=citations)
            return
    parts.append(Text("", citations=citations))


def spoken(candidate: CandidateIn, calls: Calls) -> list[Part]:
    """Return what a candidate says; raises what msgspec raises, and WireError."""
    content = candidate.content
    parts: list[Part] = []
    for raw in (content.parts or ()) if content is not None else ():
        add_part(parts, read_part(raw, _parts.decode(raw), "content", calls))
    return parts


# ---- out -------------------------------------------------------------------------------------------------------------


def shown_id(answer_id: str, reply: Reply) -> str:
    """Return the id that the client sees."""
    return answer_id or reply.id


def encode_answer(answer: Answer, reply: Reply) -> bytes:
    """Return the body for a client; raises WireError for an answer that is a failure."""
    if any(choice.stop is Stop.BAD_TOOL for choice in answer.choices):
        raise WireError(BAD_TOOL)
    fields: Fields = {"candidates": [_candidate(choice) for choice in answer.choices]}
    if answer.usage is not UNSET:
        fields["usageMetadata"] = write_usage(answer.usage)
    fields["modelVersion"] = reply.model
    fields["responseId"] = shown_id(answer.id, reply)
    return encode(fields)


def _candidate(choice: Choice) -> Fields:
    parts = [written for part in choice.parts if (written := part_fields(part)) is not None]
    fields: Fields = {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
    fields.update(end_fields(choice.stop, choice.stop_detail))
    fields["index"] = choice.index
    sources = [
        source
        for part in choice.parts
        if isinstance(part, Text)
        for citation in part.citations
        if (source := source_fields(citation, part.text)) is not None
    ]
    if sources:
        fields["citationMetadata"] = {"citationSources": sources}
    logprobs = None if choice.logprobs is UNSET else write_logprobs(choice.logprobs)
    if logprobs is not None:
        fields["logprobsResult"] = logprobs
    return fields


def end_fields(stop: Stop | UnsetType, detail: str | UnsetType) -> Fields:
    """Return why a candidate stopped."""
    fields: Fields = {"finishReason": reason_of(stop)}
    if detail is not UNSET:
        fields["finishMessage"] = detail
    return fields


def part_fields(part: Part) -> Fields | Raw | None:
    """Return a part of an answer; None for what this dialect's answers cannot hold."""
    fields: Fields | Raw | None = None
    match part:
        case Text(text):
            fields = {"text": text, **_signed(part)} if text or part.signature is not UNSET else None
        case Reasoning() | Redacted():
            fields = thought_fields(part)
        case ToolCall():
            fields = call_fields(part)
        case Refusal(text) | Audio(source=Inline(media_type=""), transcript=str(text)):
            fields = {"text": text} if text else None
        case Image(source=Inline(media_type, data)) | Audio(source=Inline(media_type, data)):
            fields = {"inlineData": {"mimeType": media_type, "data": data}}
        case Opaque(Dialect.GEMINI, raw):
            fields = raw
        case _:
            pass
    return fields


def thought_fields(part: Reasoning | Redacted) -> Fields | None:
    """Return thinking; None for what says nothing. What is sealed and has no text of its own is no thought to show."""
    seal = thought_seal(part)
    signed = {} if seal is None else {"thoughtSignature": write_signature(seal)}
    if isinstance(part, Redacted):
        return {"text": "", **signed}
    return {"text": part.text, "thought": True, **signed} if part.text or signed else None


def call_fields(call: ToolCall) -> Fields:
    """Return a call; free text is wrapped, for arguments are an object here."""
    arguments = wrap_custom(call.arguments) if call.custom else call.arguments
    fields: Fields = {"functionCall": {"id": call.id, "name": call.name, "args": arguments_object(arguments)}}
    return {**fields, **_signed(call)}


def _signed(part: Text | ToolCall) -> Fields:
    if part.signature is UNSET:
        return {}
    return {"thoughtSignature": write_signature(seal_of(part.signature, part.issuer, UNSET))}
