"""Read a request for the Responses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical import (
    HostedTool,
    OutputFormat,
    Request,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
)
from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import MALFORMED, raw_of, read_request, told, wrong_request
from tidemill.wire.canonical_parts import Dialect, Text, Turn
from tidemill.wire.openai.request_in import present
from tidemill.wire.openai_responses.items_in import Talk, read_input
from tidemill.wire.openai_responses.shapes import (
    FormatIn,
    GrammarIn,
    RequestIn,
    ThinkingIn,
    ToolChoiceIn,
    ToolIn,
)

_requests = msgspec.json.Decoder(RequestIn)
_bodies = msgspec.json.Decoder(dict[str, Raw])
_tools = msgspec.json.Decoder(ToolIn)
_grammars = msgspec.json.Decoder(GrammarIn)
_includes = msgspec.json.Decoder(list[str] | None)
_KNOWN = frozenset(field.name for field in msgspec.structs.fields(RequestIn))
# What these point at is kept by the provider: without it the request has another meaning.
_STATE = ("previous_response_id", "conversation", "prompt")
INCLUDE_LOGPROBS = "message.output_text.logprobs"
_NULL = b"null"


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
    """Return the request; raises WireError naming the field that is wrong."""
    came = read_request(_requests.decode, body)
    fields = _bodies.decode(body)
    extras = {name: raw for name, raw in fields.items() if name not in _KNOWN}
    state = tuple(name for name in _STATE if name in extras and bytes(memoryview(extras[name])) != _NULL)
    talk = _talk(came, state)
    chosen, hosted = _choice(came.tool_choice)
    if hosted:
        extras["tool_choice"] = fields["tool_choice"]
    if came.user is not None and came.safety_identifier is not None:
        extras["safety_identifier"] = fields["safety_identifier"]
    text = came.text
    instructions = (Text(came.instructions),) if came.instructions else ()
    return Request(
        model=model or came.model,
        dialect=Dialect.OPENAI_RESPONSES,
        system=(*instructions, *talk.system),
        turns=tuple(talk.turns),
        stream=bool(came.stream if stream is None else stream),
        keeps_usage=True,
        max_tokens=told(came.max_output_tokens),
        sampling=Sampling(
            temperature=told(came.temperature),
            top_p=told(came.top_p),
            top_k=told(came.top_k),
            logprobs=True if INCLUDE_LOGPROBS in _included(extras) else UNSET,
            top_logprobs=told(came.top_logprobs),
            frequency_penalty=told(came.frequency_penalty),
            presence_penalty=told(came.presence_penalty),
        ),
        tools=tuple(_offered(came.tools or ())),
        tool_choice=chosen,
        parallel_tools=told(came.parallel_tool_calls),
        output=UNSET if text is None else _output(text.format),
        thinking=_thinking(came.reasoning),
        verbosity=UNSET if text is None else told(text.verbosity),
        user=told(came.user or came.safety_identifier),
        metadata=UNSET if came.metadata is None else fields["metadata"],
        cache_key=told(came.prompt_cache_key),
        service_tier=told(came.service_tier),
        leans_on=(*state, *talk.leans_on),
        extras=extras,
    )


def _talk(came: RequestIn, state: Sequence[str]) -> Talk:
    if isinstance(came.input, list) and (came.input or state):
        return read_input(came.input)
    talk = Talk()
    if isinstance(came.input, str) and came.input:
        talk.turns.append(Turn("user", (Text(came.input),)))
    elif not state:
        raise bad_request("input: some text or at least one item is needed", "input")
    return talk


def _included(extras: Mapping[str, Raw]) -> list[str]:
    raw = extras.get("include")
    if raw is None:
        return []
    try:
        return _includes.decode(raw) or []
    except MALFORMED:
        raise bad_request("include: a list of names is needed", "include") from None


def _offered(tools: Sequence[Raw]) -> Iterator[Tool | HostedTool]:
    for index, raw in enumerate(tools):
        try:
            kind = _tools.decode(raw) if _is_ours(raw) else None
        except MALFORMED as error:
            raise wrong_request(error) from None
        if kind is None:
            yield HostedTool(Dialect.OPENAI_RESPONSES, raw, _kinds.decode(raw).type)
            continue
        if not kind.name:
            raise bad_request(f"tools[{index}].name is missing", f"tools[{index}].name")
        if kind.type == "custom":
            yield Tool(kind.name, told(kind.description), custom=True, format=_chat_format(present(kind.format)))
        else:
            yield Tool(kind.name, told(kind.description), present(kind.parameters), told(kind.strict))


class _Kind(msgspec.Struct, frozen=True):
    type: str = "function"


_kinds = msgspec.json.Decoder(_Kind)


def _is_ours(raw: Raw) -> bool:
    return _kinds.decode(raw).type in {"function", "custom"}


def _chat_format(raw: Raw | UnsetType) -> Raw | UnsetType:
    """Return the form of a free-text tool as OpenAI's chat writes it, which the canonical form keeps."""
    if raw is UNSET:
        return UNSET
    try:
        came = _grammars.decode(raw)
    except MALFORMED as error:
        raise wrong_request(error) from None
    if came.type != "grammar":
        return raw
    return raw_of({"type": "grammar", "grammar": {"syntax": came.syntax, "definition": came.definition}})


def _choice(choice: str | ToolChoiceIn | None) -> tuple[ToolChoice | UnsetType, bool]:
    """Return the choice, and whether it is of a tool that OpenAI runs, which no other dialect has."""
    if choice is None:
        return UNSET, False
    if isinstance(choice, str):
        return ToolChoice(_mode(choice)), False
    if choice.type in {"function", "custom"}:
        if choice.name is None:
            raise bad_request("tool_choice: the name of a tool is missing", "tool_choice")
        return ToolChoice("required", (choice.name,)), False
    if choice.type == "allowed_tools":
        names = [tool.name for tool in choice.tools if tool.type in {"function", "custom"}]
        if len(names) == len(choice.tools):
            return ToolChoice(choice.mode, tuple(name for name in names if name is not None)), False
    return UNSET, True


def _mode(word: str) -> Literal["auto", "none", "required"]:
    match word:
        case "auto" | "none" | "required":
            return word
        case _:
            raise bad_request(f"tool_choice: {word!r} is none of auto, none, required", "tool_choice")


def _output(wanted: FormatIn | None) -> OutputFormat | UnsetType:
    match wanted:
        case None:
            return UNSET
        case FormatIn(type="text"):
            return OutputFormat("text")
        case FormatIn(type="json_object"):
            return OutputFormat("json")
        case FormatIn(type="json_schema"):
            return OutputFormat(
                "schema", present(wanted.schema), told(wanted.name), told(wanted.description), told(wanted.strict)
            )
        case _:
            raise bad_request(f"text.format: {wanted.type!r} is unknown", "text.format")


def _thinking(wish: ThinkingIn | None) -> Thinking | UnsetType:
    if wish is None:
        return UNSET
    summary = wish.summary or wish.generate_summary
    return Thinking(
        effort=told(wish.effort), show=UNSET if summary is None else True, summary=UNSET if summary is None else summary
    )
