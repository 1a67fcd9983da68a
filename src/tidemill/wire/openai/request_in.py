"""Read an OpenAI chat request."""

from collections.abc import Iterator, Sequence
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
from tidemill.wire.canonical_json import MALFORMED, read_request, told, wrong_request
from tidemill.wire.canonical_parts import CacheMark, Dialect
from tidemill.wire.openai.messages_in import read_messages
from tidemill.wire.openai.shapes import (
    FunctionIn,
    NamedIn,
    ReasoningIn,
    RequestIn,
    ResponseFormatIn,
    ToolChoiceIn,
    ToolIn,
)

_requests = msgspec.json.Decoder(RequestIn)
_bodies = msgspec.json.Decoder(dict[str, Raw])
_tools = msgspec.json.Decoder(ToolIn)
_KNOWN = frozenset(field.name for field in msgspec.structs.fields(RequestIn))


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
    """Return the request; raises WireError naming the field that is wrong."""
    came = read_request(_requests.decode, body)
    if not came.messages:
        raise bad_request("messages: at least one message is needed", "messages")
    fields = _bodies.decode(body)
    system, turns = read_messages(came.messages)
    legacy = came.functions is not None and came.tools is None
    limit = came.max_completion_tokens if came.max_completion_tokens is not None else came.max_tokens
    return Request(
        model=model or came.model,
        dialect=Dialect.OPENAI_CHAT,
        system=system,
        turns=turns,
        stream=bool(came.stream if stream is None else stream),
        keeps_usage=came.stream_options is not None and came.stream_options.include_usage is True,
        max_tokens=told(limit),
        stop=(came.stop,) if isinstance(came.stop, str) else tuple(came.stop or ()),
        n=told(came.n),
        sampling=_sampling(came, fields),
        tools=tuple(_functions(came.functions or ()) if legacy else _offered(came.tools or ())),
        tool_choice=_function_choice(came.function_call) if legacy else _choice(came.tool_choice),
        parallel_tools=told(came.parallel_tool_calls),
        output=_output(came.response_format),
        thinking=_thinking(came),
        modalities=UNSET if came.modalities is None else tuple(came.modalities),
        verbosity=told(came.verbosity),
        user=told(came.user or came.safety_identifier),
        metadata=UNSET if came.metadata is None else fields["metadata"],
        cache_key=told(came.prompt_cache_key),
        service_tier=told(came.service_tier),
        legacy_functions=legacy,
        extras={name: raw for name, raw in fields.items() if name not in _KNOWN},
    )


def _sampling(came: RequestIn, fields: dict[str, Raw]) -> Sampling:
    return Sampling(
        temperature=told(came.temperature),
        top_p=told(came.top_p),
        top_k=told(came.top_k),
        seed=told(came.seed),
        frequency_penalty=told(came.frequency_penalty),
        presence_penalty=told(came.presence_penalty),
        logit_bias=UNSET if came.logit_bias is None else fields["logit_bias"],
        logprobs=told(came.logprobs),
        top_logprobs=told(came.top_logprobs),
    )


def _offered(tools: Sequence[Raw]) -> Iterator[Tool | HostedTool]:
    for index, raw in enumerate(tools):
        try:
            tool = _tools.decode(raw)
        except MALFORMED as error:
            raise wrong_request(error, f"tools[{index}]") from None
        mark = UNSET if tool.cache_control is None else CacheMark(told(tool.cache_control.ttl))
        if tool.type == "function" and tool.function is not None:
            yield _function(tool.function, mark)
        elif tool.type == "custom" and tool.custom is not None:
            custom = tool.custom
            yield Tool(custom.name, told(custom.description), custom=True, format=present(custom.format), cache=mark)
        elif tool.type in {"function", "custom"}:
            raise bad_request(f"tools[{index}].{tool.type} is missing", f"tools[{index}].{tool.type}")
        else:
            yield HostedTool(Dialect.OPENAI_CHAT, raw, tool.type)


def _functions(functions: Sequence[FunctionIn]) -> Iterator[Tool]:
    for function in functions:
        yield _function(function, UNSET)


def _function(function: FunctionIn, mark: CacheMark | UnsetType) -> Tool:
    return Tool(
        function.name, told(function.description), present(function.parameters), told(function.strict), cache=mark
    )


def present(raw: Raw) -> Raw | UnsetType:
    """Return an optional field; null says no more than absence."""
    view = memoryview(raw)
    return UNSET if len(view) == 0 or view.tobytes() == b"null" else raw


def _choice(choice: str | ToolChoiceIn | None) -> ToolChoice | UnsetType:
    if choice is None:
        return UNSET
    if isinstance(choice, str):
        return ToolChoice(_mode(choice))
    if choice.allowed_tools is not None:
        allowed = [tool.function or tool.custom for tool in choice.allowed_tools.tools]
        return ToolChoice(choice.allowed_tools.mode, tuple(tool.name for tool in allowed if tool is not None))
    named = choice.function or choice.custom
    if named is None:
        raise bad_request("tool_choice: the name of a function is missing", "tool_choice")
    return ToolChoice("required", (named.name,))


def _function_choice(choice: str | NamedIn | None) -> ToolChoice | UnsetType:
    if choice is None:
        return UNSET
    return ToolChoice(_mode(choice)) if isinstance(choice, str) else ToolChoice("required", (choice.name,))


def _mode(word: str) -> Literal["auto", "none", "required"]:
    match word:
        case "auto" | "none" | "required":
            return word
        case "any":  # Mistral's word
            return "required"
        case _:
            raise bad_request(f"tool_choice: {word!r} is none of auto, none, required", "tool_choice")


def _output(wanted: ResponseFormatIn | None) -> OutputFormat | UnsetType:
    match wanted:
        case None:
            return UNSET
        case ResponseFormatIn(type="text"):
            return OutputFormat("text")
        case ResponseFormatIn(type="json_object"):
            return OutputFormat("json")
        case ResponseFormatIn(type="json_schema", json_schema=schema) if schema is not None:
            return OutputFormat(
                "schema", present(schema.schema), told(schema.name), told(schema.description), told(schema.strict)
            )
        case _:
            raise bad_request(f"response_format: {wanted.type!r} is unknown or incomplete", "response_format")


def _thinking(came: RequestIn) -> Thinking | UnsetType:
    wish: ReasoningIn | None = came.reasoning or came.thinking
    if wish is None:
        return UNSET if came.reasoning_effort is None else Thinking(effort=came.reasoning_effort)
    budget = wish.max_tokens if wish.max_tokens is not None else wish.budget_tokens
    hidden = wish.exclude if wish.exclude is not None or wish.summary is None else False
    return Thinking(
        mode=_thinking_mode(wish),
        effort=told(came.reasoning_effort or wish.effort),
        budget=told(budget),
        show=UNSET if hidden is None else not hidden,
        summary=told(wish.summary),
    )


def _thinking_mode(wish: ReasoningIn) -> Literal["off", "on", "adaptive"] | UnsetType:
    if wish.enabled is False or wish.type == "disabled":
        return "off"
    if wish.type == "adaptive":
        return "adaptive"
    return "on" if wish.enabled or wish.type == "enabled" else UNSET
