"""Read items of the Responses into parts and turns, in requests and in answers."""

from collections.abc import Iterator, Sequence
from typing import Literal, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import MALFORMED, encode, raw_of, told, wrong_request
from tidemill.wire.canonical_media import audio_type, file_type, read_data_url, source_of
from tidemill.wire.canonical_parts import (
    Audio,
    CacheMark,
    Citation,
    Dialect,
    File,
    Image,
    Inline,
    Opaque,
    Part,
    Refusal,
    Remote,
    ResultPart,
    Source,
    Stored,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tidemill.wire.canonical_seal import Seal
from tidemill.wire.openai.messages_in import arguments_text
from tidemill.wire.openai_responses.reasoning import read_reasoning
from tidemill.wire.openai_responses.shapes import CallIn, MessageIn, OutputIn, PartIn, ReasoningIn, TypeIn

_types = msgspec.json.Decoder(TypeIn)
_messages = msgspec.json.Decoder(MessageIn)
_calls = msgspec.json.Decoder(CallIn)
_outputs = msgspec.json.Decoder(OutputIn)
_thoughts = msgspec.json.Decoder(ReasoningIn)

_INSTRUCTIONS = frozenset({"system", "developer"})
# Items of tools that OpenAI runs which a client sends, not the model.
_FROM_CLIENT = frozenset({"mcp_approval_response", "additional_tools", "configuration_update", "compaction_trigger"})

# Items that stand for what the provider keeps, or alone can read.
_ELSEWHERE = frozenset({"item_reference", "compaction", "compaction_summary"})


class Talk:
    """Collects turns. What a model says in a row is one turn, and so are results of tools in a row."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.leans_on: list[str] = []
        self._parts: list[Part] = []
        self._joins = ""

    def say(self, role: Literal["user", "assistant", "system"], parts: Sequence[Part], *, joins: bool) -> None:
        """Add what somebody says."""
        if not (joins and self._joins == role):
            self._end()
            self._joins = role if joins else ""
        if joins:
            self._parts += parts
        else:
            self.turns.append(Turn(role, tuple(parts)))

    def _end(self) -> None:
        if self._parts:
            self.turns.append(Turn(cast("Literal['user', 'assistant']", self._joins), tuple(self._parts)))
        self._parts = []

    def done(self) -> None:
        """Say that nothing more comes."""
        self._end()

    def sign(self, seal: Seal) -> None:
        """Put a call's signature where it belongs."""
        for place, part in enumerate(self._parts):
            if isinstance(part, ToolCall) and part.id == seal.call:
                self._parts[place] = msgspec.structs.replace(part, signature=seal.data, issuer=seal.issuer)


def read_input(items: Sequence[Raw]) -> Talk:
    """Return the talk; raises WireError naming the item that is wrong."""
    talk = Talk()
    for index, raw in enumerate(items):
        where = f"input[{index}]"
        try:
            _take(talk, raw, where)
        except MALFORMED as error:
            fault = wrong_request(error).fault
            raise bad_request(f"{where}.{fault.message}", where) from None
    talk.done()
    return talk


def _take(talk: Talk, raw: Raw, where: str) -> None:
    head = _types.decode(raw)
    kind = head.type or ("message" if head.role is not None else "item_reference")
    match kind:
        case "message":
            _message(talk, _messages.decode(raw), where)
        case "function_call" | "custom_tool_call":
            call = read_call(_calls.decode(raw), custom=kind == "custom_tool_call")
            if call is None:
                raise bad_request(f"{where}: a call needs call_id and name", where)
            talk.say("assistant", [call], joins=True)
        case "function_call_output" | "custom_tool_call_output":
            talk.say("user", [_result(_outputs.decode(raw), where, custom=kind[0] == "c")], joins=True)
        case "reasoning":
            thought = read_reasoning(_thoughts.decode(raw), keeps_empty=True)
            if isinstance(thought, Seal):
                talk.sign(thought)
            else:
                talk.say("assistant", thought, joins=True)
        case _:
            if kind in _ELSEWHERE:
                talk.leans_on.append(where)
            told_by_client = kind.endswith("_output") or kind in _FROM_CLIENT
            part = Opaque(Dialect.OPENAI_RESPONSES, raw, kind)
            talk.say("user" if told_by_client else "assistant", [part], joins=True)


def _message(talk: Talk, message: MessageIn, where: str) -> None:
    parts = list(_content(message.content, f"{where}.content"))
    if message.role == "assistant":
        talk.say("assistant", [part for part in parts if not isinstance(part, Text) or part.text], joins=True)
    elif message.role == "user":
        talk.say("user", parts, joins=False)
    elif message.role in _INSTRUCTIONS:
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) != len(parts):
            raise bad_request(f"{where}.content: instructions are text", f"{where}.content")
        talk.done()
        if talk.turns:
            talk.say("system", texts, joins=False)
        else:
            talk.system += texts
    else:
        raise bad_request(f"{where}.role: unknown role {message.role!r}", f"{where}.role")


def _content(content: str | list[PartIn] | None, where: str) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for place, came in enumerate(content or ()):
        part = read_part(came)
        if part is None:
            raise bad_request(
                f"{where}[{place}]: a part of type {came.type!r} is unknown or incomplete", f"{where}[{place}]"
            )
        yield part


def read_part(came: PartIn) -> Part | None:
    """Return one part of a message; None for what is no such thing."""
    mark = came.prompt_cache_breakpoint
    cache = UNSET if mark is None else CacheMark(told(mark.ttl))
    match came.type:
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            citations = tuple(read_citation(raw) for raw in came.annotations or ())
            return None if came.text is None else Text(came.text, cache, citations)
        case "refusal":
            return None if came.refusal is None else Refusal(came.refusal)
        case _:
            return _medium(came, cache)


def _medium(came: PartIn, cache: CacheMark | UnsetType) -> Image | File | Audio | None:
    match came.type:
        case "input_image":
            source = _image_source(came)
            return None if source is None else Image(source, told(came.detail), cache)
        case "input_file":
            source = _file_source(came)
            return None if source is None else File(source, told(came.filename), cache=cache)
        case "input_audio":
            sound = came.input_audio
            return None if sound is None else Audio(Inline(audio_type(sound.format), sound.data), cache=cache)
        case _:
            return None


def _image_source(came: PartIn) -> Source | None:
    if came.image_url is not None:
        return source_of(came.image_url if isinstance(came.image_url, str) else came.image_url.url)
    return None if came.file_id is None else Stored(came.file_id)


def _file_source(came: PartIn) -> Source | None:
    if came.file_data is not None:
        return read_data_url(came.file_data) or Inline(file_type(came.filename), came.file_data)
    if came.file_url is not None:
        return Remote(came.file_url)
    return None if came.file_id is None else Stored(came.file_id)


def read_call(came: CallIn, *, custom: bool) -> ToolCall | None:
    """Return a call; None for one without a name or an id."""
    call_id = came.call_id or came.id
    if call_id is None or came.name is None:
        return None
    arguments = came.input or "" if custom else arguments_text(came.arguments)
    return ToolCall(call_id, came.name, arguments, custom, item_id=told(came.id))


def _result(came: OutputIn, where: str, *, custom: bool) -> ToolResult:
    if came.call_id is None:
        raise bad_request(f"{where}.call_id is missing", f"{where}.call_id")
    parts = tuple(
        part
        for part in _content(came.output, f"{where}.output")
        if isinstance(part, ResultPart) and not (isinstance(part, Text) and not part.text)
    )
    return ToolResult(came.call_id, parts, told(came.name), custom=custom)


class _AnnotationIn(Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


_annotations = msgspec.json.Decoder(_AnnotationIn)


def read_citation(raw: Raw) -> Citation:
    """Return one source."""
    try:
        came = _annotations.decode(raw)
    except MALFORMED:
        came = _AnnotationIn()
    title = told(came.title or came.filename)
    return Citation(
        Dialect.OPENAI_RESPONSES, raw, told(came.url), title, start=told(came.start_index), end=told(came.end_index)
    )


# ---- what a model said -----------------------------------------------------------------------------------------------


def read_output(items: Sequence[Raw]) -> tuple[tuple[Part, ...], list[Raw]]:
    """Return an answer's parts, and the logprobs of its texts as they came; raises what msgspec raises."""
    parts: list[Part] = []
    logprobs: list[Raw] = []
    for raw in items:
        kind = _types.decode(raw).type
        match kind:
            case "message":
                content = _messages.decode(raw).content
                parts += _spoken(content, logprobs)
            case "function_call" | "custom_tool_call":
                call = read_call(_calls.decode(raw), custom=kind == "custom_tool_call")
                if call is not None:
                    parts.append(call)
            case "reasoning":
                thought = read_reasoning(_thoughts.decode(raw), keeps_empty=False)
                if not isinstance(thought, Seal):
                    parts += thought
                    continue
                for place, part in enumerate(parts):
                    if isinstance(part, ToolCall) and part.id == thought.call:
                        parts[place] = msgspec.structs.replace(part, signature=thought.data, issuer=thought.issuer)
            case _:
                parts.append(Opaque(Dialect.OPENAI_RESPONSES, raw, kind or ""))
    return tuple(parts), logprobs


def _spoken(content: str | list[PartIn] | None, logprobs: list[Raw]) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for came in content or ():
        part = read_part(came)
        if part is None or (isinstance(part, Text) and not part.text and not part.citations):
            continue
        if len(memoryview(came.logprobs)) > len("[]"):
            logprobs.append(came.logprobs)
        yield part


_lists = msgspec.json.Decoder(list[Raw])


def chat_logprobs(pieces: Sequence[Raw]) -> Raw:
    """Return logprobs of texts in the shape of OpenAI's chat, which the canonical form keeps."""
    tokens: list[Raw] = []
    for piece in pieces:
        try:
            tokens += _lists.decode(piece)
        except MALFORMED:
            continue
    return raw_of({"content": tokens, "refusal": None})


class _LogprobsIn(Struct, frozen=True):
    content: list[Raw] | None = None


_logprobs = msgspec.json.Decoder(_LogprobsIn)


def own_logprobs(raw: Raw) -> bytes:
    """Return the list that the Responses hold beside a text."""
    try:
        return encode(_logprobs.decode(raw).content or [])
    except MALFORMED:
        return b"[]"
