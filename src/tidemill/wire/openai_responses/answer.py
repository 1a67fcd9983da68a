"""Whole answers of the Responses, both ways."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_fault import BAD_TOOL, WireError, bad_answer
from tidemill.wire.canonical_json import MALFORMED, encode, read_answer, told
from tidemill.wire.canonical_parts import (
    OPENAI,
    Audio,
    Dialect,
    Image,
    Inline,
    Issuer,
    Opaque,
    Part,
    Reasoning,
    Redacted,
    Refusal,
    Text,
    ToolCall,
)
from tidemill.wire.canonical_tools import unwrap_custom
from tidemill.wire.codec import Reply
from tidemill.wire.openai_responses.errors import read_fault
from tidemill.wire.openai_responses.frame import ResponseFrame
from tidemill.wire.openai_responses.items_in import chat_logprobs, own_logprobs, read_output
from tidemill.wire.openai_responses.items_out import call_fields, content_fields
from tidemill.wire.openai_responses.reasoning import Thought, call_seal_fields, item_fields, joins
from tidemill.wire.openai_responses.shapes import ResponseIn
from tidemill.wire.openai_responses.usage import read_usage, write_usage

Fields = dict[str, Any]

_answers = msgspec.json.Decoder(ResponseIn)
_BROKEN = frozenset({"failed", "cancelled"})
_UNFINISHED = frozenset({"in_progress", "queued"})


def stop_of(came: ResponseIn, parts: Iterable[Part]) -> Stop:
    """Return why a model stopped; calls and refusals have no word of their own here."""
    if came.status in _UNFINISHED:
        return Stop.PAUSE
    if came.status == "incomplete":
        reason = (came.incomplete_details or _WHY).reason
        return Stop.FILTERED if reason == "content_filter" else Stop.LENGTH
    stop = Stop.END
    for part in parts:
        if isinstance(part, ToolCall):
            return Stop.TOOLS
        if isinstance(part, Refusal):
            stop = Stop.FILTERED
    return stop


class _Why(Struct, frozen=True):
    reason: str | None = None


_WHY = _Why()


def fault_in(came: ResponseIn, body: bytes | Raw) -> WireError | None:
    """Return the failure that an answer is; None for one that is none."""
    if came.error or came.status in _BROKEN:
        return WireError(read_fault(body))
    return None


def decode_answer(body: bytes) -> Answer:
    """Return the answer; raises WireError for one that failed, or for an error behind a good status."""
    came = read_answer(_answers.decode, body)
    broken = fault_in(came, body)
    if broken is not None:
        raise broken
    if came.output is None:
        raise bad_answer("the upstream's answer has no output")
    try:
        parts, logprobs = read_output(came.output)
    except MALFORMED:
        raise bad_answer("the upstream's answer has an unknown shape") from None
    choice = Choice(parts=parts, stop=stop_of(came, parts), logprobs=chat_logprobs(logprobs) if logprobs else UNSET)
    return Answer(
        id=came.id or "",
        model=came.model or "",
        choices=(choice,),
        usage=read_usage(came.usage),
        created=UNSET if came.created_at is None else int(came.created_at),
        service_tier=told(came.service_tier),
    )


# ---- out -------------------------------------------------------------------------------------------------------------


def end_of(stop: Stop | UnsetType, *, refusal: bool) -> tuple[str, str | None]:
    """Return the status, and the reason why an answer is incomplete."""
    match stop:
        case Stop.LENGTH:
            return "incomplete", "max_output_tokens"
        case Stop.FILTERED if not refusal:
            return "incomplete", "content_filter"
        case Stop.PAUSE:
            return "in_progress", None
        case _:
            return "completed", None


def encode_answer(answer: Answer, reply: Reply) -> bytes:
    """Return the body for a client, who gets the first choice; raises WireError for an answer that is a failure."""
    choice = answer.choices[0] if answer.choices else Choice(parts=())
    if choice.stop is Stop.BAD_TOOL:
        raise WireError(BAD_TOOL)
    refusal = any(isinstance(part, Refusal) for part in choice.parts)
    status, reason = end_of(choice.stop, refusal=refusal)
    items = OutputWriter(reply, "incomplete" if status == "incomplete" else "completed").items(choice)
    usage = b"null" if answer.usage is UNSET else encode(write_usage(answer.usage))
    frame = ResponseFrame(answer.id, answer.created, reply, answer.service_tier)
    return frame.write(status, reason, b",".join(encode(item) for item in items), usage)


def own_call(call: ToolCall, reply: Reply) -> ToolCall:
    """Return a call as the client offered its tool: as free text if it did."""
    if call.custom or call.name not in reply.custom_tools:
        return call
    return msgspec.structs.replace(call, custom=True, arguments=unwrap_custom(call.arguments))


def call_item_id(call: ToolCall, spare_id: str) -> str:
    """Return the id of a call's item: the upstream's own where it looks like OpenAI's."""
    prefix = "ctc_" if call.custom else "fc_"
    own = call.item_id
    return own if own is not UNSET and own.startswith(prefix) else prefix + spare_id


def image_item(image: Image, spare_id: str) -> Fields | None:
    """Return a picture that a model made; None for one that is not at hand."""
    if not isinstance(image.source, Inline):
        return None
    item = {"id": f"ig_{spare_id}", "type": "image_generation_call", "status": "completed"}
    return {**item, "result": image.source.data, "output_format": image.source.media_type.partition("/")[2] or "png"}


def foreign_signature(call: ToolCall) -> tuple[str, Issuer] | None:
    """Return the signature of a call that OpenAI did not give."""
    if call.signature is UNSET or call.issuer is UNSET or call.issuer == OPENAI:
        return None
    return call.signature, call.issuer


class OutputWriter:
    """Writes the items of one answer."""

    def __init__(self, reply: Reply, status: str) -> None:
        self._reply = reply
        self._status = status
        self._items: list[Fields | Raw] = []
        self._words: list[Fields] = []
        self._thoughts: list[Thought] = []

    def _spare_id(self) -> str:
        return f"{self._reply.id}_{len(self._items)}"

    def items(self, choice: Choice) -> list[Fields | Raw]:
        """Return the items; words in a row are one message."""
        logprobs = choice.logprobs
        for part in choice.parts:
            said = _said(part)
            if said is None:
                if isinstance(part, Text | Refusal | Audio):
                    continue  # says nothing
                self._end_words()
            if self._thoughts and not (isinstance(part, Thought) and joins(self._thoughts[-1], part)):
                self._end_thoughts()
            if said is not None:
                content = content_fields(said)
                if isinstance(said, Text):
                    content["logprobs"] = [] if logprobs is UNSET else Raw(own_logprobs(logprobs))
                    logprobs = UNSET
                self._words.append(content)
            elif isinstance(part, Reasoning | Redacted):
                self._thoughts.append(part)
            else:
                self._other(part)
        self._end_words()
        self._end_thoughts()
        return self._items

    def _other(self, part: Part) -> None:
        match part:
            case ToolCall():
                call = own_call(part, self._reply)
                item_id = call_item_id(call, self._spare_id())
                self._items.append(call_fields(call, item_id, None if call.custom else "completed"))
                signed = foreign_signature(call)
                if signed is not None:
                    self._items.append(call_seal_fields(call, *signed, f"rs_{self._spare_id()}"))
            case Image():
                item = image_item(part, self._spare_id())
                if item is not None:
                    self._items.append(item)
            case Opaque(Dialect.OPENAI_RESPONSES, raw):
                self._items.append(raw)
            case _:
                pass  # a part that no other dialect has

    def _end_words(self) -> None:
        if self._words:
            self._items.append(message_fields(f"msg_{self._spare_id()}", self._status, self._words))
            self._words = []

    def _end_thoughts(self) -> None:
        if self._thoughts and not _says_nothing(self._thoughts):
            self._items.append(item_fields(self._thoughts, f"rs_{self._spare_id()}"))
        self._thoughts = []


def _says_nothing(thoughts: list[Thought]) -> bool:
    return all(
        isinstance(part, Reasoning) and not part.text and part.signature is UNSET and part.sealed is UNSET
        for part in thoughts
    )


def _said(part: Part) -> Text | Refusal | None:
    match part:
        case Text(text) | Refusal(text):
            return part if text or (isinstance(part, Text) and part.citations) else None
        case Audio(transcript=str(said)) if said:
            return Text(said)
        case _:
            return None


def message_fields(item_id: str, status: str, content: list[Fields]) -> Fields:
    """Return a message item."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}
