"""OpenAI's whole answers, both ways."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_fault import BAD_TOOL, Fault, Kind, WireError, bad_answer
from tidemill.wire.canonical_json import encode, fields_of, read_answer, told
from tidemill.wire.canonical_media import data_url
from tidemill.wire.canonical_parts import (
    Audio,
    Citation,
    Dialect,
    Image,
    Inline,
    Part,
    Reasoning,
    Redacted,
    Refusal,
    Remote,
    Text,
    ToolCall,
)
from tidemill.wire.canonical_tools import unwrap_custom
from tidemill.wire.codec import Reply
from tidemill.wire.openai.errors import fault_of
from tidemill.wire.openai.messages_in import read_spoken
from tidemill.wire.openai.messages_out import call_fields, detail_fields, signature_fields
from tidemill.wire.openai.request_in import present
from tidemill.wire.openai.shapes import ABSENT, MessageIn
from tidemill.wire.openai.usage import read_usage, write_usage
from tidemill.wire.openai_errors import read_complaint

ID_PREFIX = "chatcmpl-"

_STOP_OF_REASON: Mapping[str, Stop] = MappingProxyType(
    {
        "stop": Stop.END,
        "eos": Stop.END,
        "stop_sequence": Stop.STOP_STRING,
        "length": Stop.LENGTH,
        "max_tokens": Stop.LENGTH,
        "tool_calls": Stop.TOOLS,
        "function_call": Stop.TOOLS,
        "content_filter": Stop.FILTERED,
        "safety": Stop.FILTERED,
        "sensitive": Stop.FILTERED,  # Zhipu
    }
)
_REASON_OF_STOP: Mapping[Stop, str] = MappingProxyType(
    {
        Stop.END: "stop",
        Stop.STOP_STRING: "stop",
        Stop.LENGTH: "length",
        Stop.TOOLS: "tool_calls",
        Stop.FILTERED: "content_filter",
        Stop.PAUSE: "stop",
    }
)
# Finish reasons that say that the upstream itself broke off.
BROKEN = MappingProxyType(
    {
        "error": Kind.UPSTREAM,
        "network_error": Kind.UPSTREAM,  # Zhipu
        "insufficient_system_resource": Kind.OVERLOADED,  # DeepSeek
    }
)

Fields = dict[str, Any]


class ChoiceIn(Struct, frozen=True):
    """One choice as it came; ``stop_reason`` (vLLM) is the stop string, or a token's number."""

    index: int | None = None
    message: MessageIn | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    logprobs: Raw = ABSENT
    error: Any = None


class AnswerIn(Struct, frozen=True):
    """An answer as it came."""

    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[ChoiceIn] | None = None
    usage: Any = None
    error: Any = None
    object: str | None = None
    service_tier: str | None = None


_answers = msgspec.json.Decoder(AnswerIn)


def stop_of(reason: str, *, calls: bool, refused: bool, stop_string: Any) -> tuple[Stop, str | UnsetType]:
    """Return why a choice ended, and the stop string if an upstream tells it.

    Several upstreams say "stop" after calls of tools, and OpenAI itself says it after a refusal.
    """
    stop = _STOP_OF_REASON.get(reason, Stop.END)
    if stop is not Stop.END:
        return stop, UNSET
    if calls:
        return Stop.TOOLS, UNSET
    if refused:
        return Stop.FILTERED, UNSET
    if isinstance(stop_string, str):
        return Stop.STOP_STRING, stop_string
    return stop, UNSET


def reason_of(stop: Stop, *, refusal: bool, legacy: bool) -> str:
    """Return OpenAI's word; a refusal in words ends as an answer does."""
    if legacy and stop is Stop.TOOLS:
        return "function_call"
    return "stop" if refusal and stop is Stop.FILTERED else _REASON_OF_STOP.get(stop, "stop")


def decode_answer(body: bytes) -> Answer:
    """Return the answer; raises WireError for an error behind a good status."""
    came = read_answer(_answers.decode, body)
    if came.error or came.object == "error":
        raise WireError(fault_of(read_complaint(body)))
    if not came.choices:
        raise bad_answer("the upstream's answer has no choices")
    return Answer(
        id=came.id or "",
        model=came.model or "",
        created=UNSET if came.created is None else int(came.created),
        choices=tuple(_choice(place, choice, came.id or "") for place, choice in enumerate(came.choices)),
        usage=read_usage(came.usage),
        service_tier=told(came.service_tier),
    )


def _choice(place: int, choice: ChoiceIn, answer_id: str) -> Choice:
    broken = BROKEN.get(choice.finish_reason or "")
    if broken is not None:
        said = fields_of(choice.error).get("message")
        message = said if isinstance(said, str) else f"the upstream broke off: {choice.finish_reason}"
        raise WireError(Fault(kind=broken, message=message))
    message = choice.message or MessageIn()
    parts = tuple(read_spoken(message, tail=f"{answer_id.removeprefix(ID_PREFIX)}_{place}_" if answer_id else ""))
    stop, stop_string = stop_of(
        choice.finish_reason or "",
        calls=any(isinstance(part, ToolCall) for part in parts),
        refused=any(isinstance(part, Refusal) for part in parts),
        stop_string=choice.stop_reason,
    )
    index = place if choice.index is None else choice.index
    return Choice(parts=parts, stop=stop, stop_string=stop_string, index=index, logprobs=present(choice.logprobs))


# ---- out -------------------------------------------------------------------------------------------------------------


class _ChoiceOut(Struct, frozen=True):
    index: int
    message: Fields
    logprobs: Raw | None
    finish_reason: str


class _AnswerOut(Struct, frozen=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[_ChoiceOut]
    usage: Any = UNSET
    service_tier: str | UnsetType = UNSET


def shown_id(answer_id: str, reply: Reply) -> str:
    """Return the id that the client sees: the upstream's own where it looks like OpenAI's."""
    return answer_id if answer_id.startswith(ID_PREFIX) else ID_PREFIX + reply.id


def encode_answer(answer: Answer, reply: Reply) -> bytes:
    """Return the body for a client; raises WireError for an answer that is a failure."""
    if any(choice.stop is Stop.BAD_TOOL for choice in answer.choices):
        raise WireError(BAD_TOOL)
    return encode(
        _AnswerOut(
            shown_id(answer.id, reply),
            "chat.completion",
            reply.created if answer.created is UNSET else answer.created,
            reply.model,
            [_choice_out(choice, reply) for choice in answer.choices],
            UNSET if answer.usage is UNSET else write_usage(answer.usage),
            answer.service_tier,
        )
    )


def _choice_out(choice: Choice, reply: Reply) -> _ChoiceOut:
    refusal = any(isinstance(part, Refusal) for part in choice.parts)
    reason = reason_of(choice.stop or Stop.END, refusal=refusal, legacy=reply.legacy_functions)
    logprobs = None if choice.logprobs is UNSET else choice.logprobs
    return _ChoiceOut(choice.index, message_fields(choice.parts, reply), logprobs, reason)


def message_fields(parts: Iterable[Part], reply: Reply) -> Fields:
    """Return the message of an answer."""
    fields: Fields = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    words, thoughts, refused = _words(parts, Text), _words(parts, Reasoning), _words(parts, Refusal)
    calls = [_own_call(part, reply) for part in parts if isinstance(part, ToolCall)]
    if words or not (calls or refused):
        fields["content"] = words
    if refused:
        fields["refusal"] = refused
    if thoughts:
        fields["reasoning_content"] = thoughts
    if calls and reply.legacy_functions:
        fields["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        fields["tool_calls"] = [call_fields(call, signed=True) for call in calls]
    if any(isinstance(part, Redacted) or _is_signed(part) for part in parts):
        fields["reasoning_details"] = detail_fields(parts)
    fields.update(_extras(parts))
    return fields


def _words(parts: Iterable[Part], kind: type[Text | Reasoning | Refusal]) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


def _is_signed(part: Part) -> bool:
    return isinstance(part, Reasoning) and not (part.signature is UNSET and part.sealed is UNSET and not part.summary)


def _own_call(call: ToolCall, reply: Reply) -> ToolCall:
    """Return a call as the client offered its tool: as free text if it did."""
    if call.custom or call.name not in reply.custom_tools:
        return call
    return msgspec.structs.replace(call, custom=True, arguments=unwrap_custom(call.arguments))


def _extras(parts: Iterable[Part]) -> Fields:
    fields: Fields = {}
    annotations = list(_annotations(parts))
    if annotations:
        fields["annotations"] = annotations
    images = [image_fields(part) for part in parts if isinstance(part, Image)]
    if images:
        fields["images"] = images
    for part in parts:
        if isinstance(part, Audio):
            fields["audio"] = audio_fields(part)
        elif isinstance(part, Text) and part.signature is not UNSET:
            fields["extra_content"] = signature_fields(part.signature, part.issuer)
    return fields


def _annotations(parts: Iterable[Part]) -> Iterator[Fields | Raw]:
    """Yield the sources; one whose place nobody told stands for the whole of its text."""
    begin = 0
    for part in parts:
        if not isinstance(part, Text):
            continue
        end = begin + len(part.text)
        for cited in part.citations:
            placed = cited if cited.end is not UNSET else msgspec.structs.replace(cited, start=begin, end=end)
            annotation = annotation_of(placed)
            if annotation is not None:
                yield annotation
        begin = end


def image_fields(image: Image) -> Fields:
    """Return a picture that a model made, as OpenAI's look-alikes write it."""
    source = image.source
    url = data_url(source) if isinstance(source, Inline) else source.url if isinstance(source, Remote) else ""
    return {"type": "image_url", "image_url": {"url": url}}


def audio_fields(audio: Audio) -> Fields:
    """Return sound that a model made."""
    return {
        "id": audio.id or "",
        "data": audio.source.data if isinstance(audio.source, Inline) else "",
        "expires_at": audio.expires_at or 0,
        "transcript": audio.transcript or "",
    }


def annotation_of(citation: Citation) -> Fields | Raw | None:
    """Return a source as OpenAI writes it; None for one without an address."""
    if citation.dialect == Dialect.OPENAI_CHAT:
        return citation.raw
    if citation.url is UNSET:
        return None
    place = {"start_index": citation.start or 0, "end_index": citation.end or 0}
    return {"type": "url_citation", "url_citation": {"url": citation.url, "title": citation.title or "", **place}}
