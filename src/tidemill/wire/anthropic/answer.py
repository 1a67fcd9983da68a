"""Anthropic's whole answers, both ways."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.anthropic.blocks_in import read_blocks
from tidemill.wire.anthropic.blocks_out import (
    call_seal_fields,
    redacted_fields,
    thought_fields,
    told_call_fields,
    told_text_fields,
)
from tidemill.wire.anthropic.errors import read_fault
from tidemill.wire.anthropic.shapes import AnswerIn, StopDetails
from tidemill.wire.anthropic.usage import UsageOut, read_usage, write_usage
from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_fault import BAD_TOOL, WireError, bad_answer
from tidemill.wire.canonical_json import encode, read_answer, told
from tidemill.wire.canonical_parts import (
    ANTHROPIC,
    Audio,
    Dialect,
    Opaque,
    Part,
    Reasoning,
    Redacted,
    Refusal,
    Text,
    ToolCall,
)
from tidemill.wire.codec import Reply

ID_PREFIX = "msg_"

_STOP_OF_REASON: Mapping[str, Stop] = MappingProxyType(
    {
        "end_turn": Stop.END,
        "stop_sequence": Stop.STOP_STRING,
        "max_tokens": Stop.LENGTH,
        "model_context_window_exceeded": Stop.LENGTH,
        "tool_use": Stop.TOOLS,
        "refusal": Stop.FILTERED,
        "pause_turn": Stop.PAUSE,
    }
)
_REASON_OF_STOP: Mapping[Stop, str] = MappingProxyType(
    {
        Stop.END: "end_turn",
        Stop.STOP_STRING: "stop_sequence",
        Stop.LENGTH: "max_tokens",
        Stop.TOOLS: "tool_use",
        Stop.FILTERED: "refusal",
        Stop.PAUSE: "pause_turn",
    }
)

Fields = dict[str, Any]

_answers = msgspec.json.Decoder(AnswerIn)


def stop_of(reason: str | None, *, calls: bool) -> Stop:
    """Return why the model stopped; some upstreams leave it out."""
    if reason is None:
        return Stop.TOOLS if calls else Stop.END
    return _STOP_OF_REASON.get(reason, Stop.END)


def reason_of(stop: Stop | UnsetType, stop_string: str | UnsetType) -> str:
    """Return Anthropic's word; a stop string nobody can name is an end."""
    if stop is UNSET or (stop is Stop.STOP_STRING and stop_string is UNSET):
        return "end_turn"
    return _REASON_OF_STOP.get(stop, "end_turn")


def decode_answer(body: bytes) -> Answer:
    """Return the answer; raises WireError for an error behind a good status."""
    came = read_answer(_answers.decode, body)
    if came.type == "error" or came.error:
        raise WireError(read_fault(body))
    if came.content is None:
        raise bad_answer("the upstream's answer has no content")
    try:
        parts = read_blocks(came.content, "content")
    except WireError as error:
        raise bad_answer(f"the upstream's answer has an unknown shape: {error}") from None
    calls = any(isinstance(part, ToolCall) for part in parts)
    return Answer(
        id=came.id or "",
        model=came.model or "",
        choices=(
            Choice(
                parts=parts,
                stop=stop_of(came.stop_reason, calls=calls),
                stop_string=told(came.stop_sequence),
                stop_detail=told((came.stop_details or StopDetails()).explanation),
            ),
        ),
        usage=read_usage(came.usage),
    )


# ---- out -------------------------------------------------------------------------------------------------------------


class _AnswerOut(Struct, frozen=True):
    id: str
    type: str
    role: str
    model: str
    content: list[Fields | Raw]
    stop_reason: str
    stop_sequence: str | None
    usage: UsageOut
    stop_details: Fields | None = None
    container: None = None


def shown_id(answer_id: str, reply: Reply) -> str:
    """Return the id that the client sees: the upstream's own where it looks like Anthropic's."""
    return answer_id if answer_id.startswith(ID_PREFIX) else ID_PREFIX + reply.id


def stop_details(stop: Stop | UnsetType, detail: str | UnsetType) -> Fields | None:
    """Return why a model refused; None when it did not, or nobody said."""
    if stop is not Stop.FILTERED or detail is UNSET:
        return None
    return {"type": "refusal", "category": None, "explanation": detail}


def encode_answer(answer: Answer, reply: Reply) -> bytes:
    """Return the body for a client, who gets the first choice; raises WireError for an answer that is a failure."""
    choice = answer.choices[0] if answer.choices else Choice(parts=())
    if choice.stop is Stop.BAD_TOOL:
        raise WireError(BAD_TOOL)
    return encode(
        _AnswerOut(
            shown_id(answer.id, reply),
            "message",
            "assistant",
            reply.model,
            list(_blocks(choice.parts)),
            reason_of(choice.stop, choice.stop_string),
            choice.stop_string or None,
            write_usage(answer.usage, reply.prompt_tokens),
            stop_details(choice.stop, choice.stop_detail),
        )
    )


def _blocks(parts: Iterable[Part]) -> Iterable[Fields | Raw]:
    for part in parts:
        if isinstance(part, ToolCall):
            yield told_call_fields(part)
            if part.signature is not UNSET and part.issuer is not UNSET and part.issuer != ANTHROPIC:
                yield call_seal_fields(part.id, part.signature, part.issuer)
        else:
            block = spoken_block(part)
            if block is not None:
                yield block


def spoken_block(part: Part) -> Fields | Raw | None:
    """Return a part of an answer as a block; None for what this dialect's answers cannot hold."""
    block: Fields | Raw | None = None
    match part:
        case Text():
            block = told_text_fields(part) if part.text else None
        case Reasoning():
            block = thought_fields(part)
        case Redacted():
            block = redacted_fields(part)
        case Refusal(text) | Audio(transcript=str(text)):
            block = told_text_fields(Text(text)) if text else None
        case Opaque(Dialect.ANTHROPIC, raw):
            block = raw
        case _:
            pass
    return block
