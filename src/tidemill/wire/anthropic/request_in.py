"""Read an Anthropic request for a message, or for the count of its tokens."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.anthropic.blocks_in import cache_mark, read_blocks
from tidemill.wire.anthropic.shapes import BlockIn, FormatIn, RequestIn, ThinkingIn, ToolChoiceIn, ToolIn
from tidemill.wire.canonical import HostedTool, OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_json import MALFORMED, read_request, told, wrong_request
from tidemill.wire.canonical_parts import Dialect, Text, Turn

_requests = msgspec.json.Decoder(RequestIn)
_bodies = msgspec.json.Decoder(dict[str, Raw])
_tools = msgspec.json.Decoder(ToolIn)
_KNOWN = frozenset(field.name for field in msgspec.structs.fields(RequestIn))


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
    """Return the request; raises WireError naming the field that is wrong."""
    came = read_request(_requests.decode, body)
    if not came.messages:
        raise bad_request("messages: at least one message is required", "messages")
    choice = came.tool_choice
    config = came.output_config
    output = came.output_format if config is None or config.format is None else config.format
    parallel = None if choice is None else choice.disable_parallel_tool_use
    return Request(
        model=model or came.model,
        dialect=Dialect.ANTHROPIC,
        system=tuple(_system(came.system)),
        turns=tuple(_turns(came)),
        stream=bool(came.stream if stream is None else stream),
        keeps_usage=True,
        max_tokens=told(came.max_tokens),
        stop=tuple(came.stop_sequences or ()),
        sampling=Sampling(temperature=told(came.temperature), top_p=told(came.top_p), top_k=told(came.top_k)),
        tools=tuple(_offered(came.tools or ())),
        tool_choice=UNSET if choice is None else _choice(choice),
        parallel_tools=UNSET if parallel is None else not parallel,
        output=_output(output),
        thinking=_thinking(came.thinking, None if config is None else config.effort),
        user=UNSET if came.metadata is None else told(came.metadata.user_id),
        service_tier=told(came.service_tier),
        extras={name: raw for name, raw in _bodies.decode(body).items() if name not in _KNOWN},
    )


def _system(system: str | Sequence[BlockIn] | None) -> Iterator[Text]:
    if isinstance(system, str):
        if system:
            yield Text(system)
        return
    for block in system or ():
        if block.text is None:
            raise bad_request("system: instructions are text", "system")
        yield Text(block.text, cache_mark(block.cache_control))


def _turns(came: RequestIn) -> Iterator[Turn]:
    for index, message in enumerate(came.messages):
        parts = read_blocks(message.content, f"messages[{index}].content")
        match message.role:
            case "user" | "assistant" | "system":
                yield Turn(message.role, parts)
            case _:
                raise bad_request(f"messages[{index}].role: unknown role {message.role!r}", f"messages[{index}].role")


def _offered(tools: Sequence[Raw]) -> Iterator[Tool | HostedTool]:
    for index, raw in enumerate(tools):
        try:
            tool = _tools.decode(raw)
        except MALFORMED as error:
            raise wrong_request(error, f"tools[{index}]") from None
        if tool.type not in {None, "custom"}:
            yield HostedTool(Dialect.ANTHROPIC, raw, tool.type or "")
            continue
        if not tool.name:
            raise bad_request(f"tools[{index}].name is missing", f"tools[{index}].name")
        yield Tool(
            tool.name,
            told(tool.description),
            _present(tool.input_schema),
            told(tool.strict),
            cache=cache_mark(tool.cache_control),
        )


def _present(raw: Raw) -> Raw | UnsetType:
    return raw if memoryview(raw) else UNSET


def _choice(choice: ToolChoiceIn) -> ToolChoice:
    match choice.type:
        case "auto" | "none":
            return ToolChoice(choice.type)
        case "any":
            return ToolChoice("required")
        case "tool" if choice.name is not None:
            return ToolChoice("required", (choice.name,))
        case _:
            raise bad_request(f"tool_choice: {choice.type!r} is unknown or incomplete", "tool_choice")


def _output(came: FormatIn | None) -> OutputFormat | UnsetType:
    if came is None:
        return UNSET
    if came.type != "json_schema":
        raise bad_request(f"output_config.format: {came.type!r} is unknown", "output_config.format")
    return OutputFormat("schema", _present(came.schema))


def _thinking(came: ThinkingIn | None, effort: str | None) -> Thinking | UnsetType:
    if came is None:
        return UNSET if effort is None else Thinking(effort=effort)
    modes: dict[str, Literal["off", "on", "adaptive"]] = {
        "enabled": "on",
        "disabled": "off",
        "adaptive": "adaptive",
        "between_tools": "on",
    }
    mode = modes.get(came.type)
    if mode is None:
        raise bad_request(f"thinking.type: {came.type!r} is unknown", "thinking.type")
    show = UNSET if came.display is None else came.display != "omitted"
    return Thinking(mode, told(effort), told(came.budget_tokens), show)
