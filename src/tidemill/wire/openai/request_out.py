"""Write an OpenAI chat request, for OpenAI and for the many that speak like it."""

from typing import Any

from msgspec import UNSET, Raw

from tidemill.wire.canonical import HostedTool, OutputFormat, Request, Tool, ToolChoice
from tidemill.wire.canonical_json import encode
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.canonical_thinking import effort_of, is_off
from tidemill.wire.codec import Encoded, Target
from tidemill.wire.openai.messages_out import MessageWriter

_FAMILY = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})
# Words of OpenAI's own: sent on only when the client spoke OpenAI, for its look-alikes may not know them.
_OWN = ("metadata", "service_tier", "verbosity")
_SAMPLING = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
)

Fields = dict[str, Any]


def encode_request(request: Request, target: Target) -> Encoded:
    """Return the body for ``target``; raises WireError for content that this dialect has no form for."""
    request.refuse_elsewhere(Dialect.OPENAI_CHAT)
    request.refuse_elsewhere(Dialect.OPENAI_CHAT)
    dropped: list[str] = []
    writer = MessageWriter(request, target)
    fields: Fields = {"model": target.model, "messages": writer.messages()}
    if writer.dropped_marks:
        dropped.append("cache_control")
    if request.stream:
        fields["stream"] = True
        if target.asks_usage:
            fields["stream_options"] = {"include_usage": True}
    if request.max_tokens is not UNSET:
        fields[target.token_field] = request.max_tokens
    if request.stop:
        fields["stop"] = request.stop
    for name, value in (("n", request.n), ("user", request.user)):
        if value is not UNSET:
            fields[name] = value
    if request.modalities is not UNSET:
        fields["modalities"] = request.modalities
    _write_sampling(request, target, fields, dropped)
    _write_tools(request, fields, dropped)
    if request.output is not UNSET:
        fields["response_format"] = _output(request.output)
    _write_thinking(request, target, fields, dropped)
    _write_own(request, fields, dropped)
    return Encoded(encode(fields), tuple(dropped))


def _write_sampling(request: Request, target: Target, fields: Fields, dropped: list[str]) -> None:
    sampling = request.sampling
    if target.takes_sampling:
        told = ((name, getattr(sampling, name)) for name in _SAMPLING)
        fields.update({name: value for name, value in told if value is not UNSET})
    else:
        dropped += [name for name in _SAMPLING if getattr(sampling, name) is not UNSET]
    if sampling.top_k is not UNSET:
        if "top_k" in target.extensions:
            fields["top_k"] = sampling.top_k
        else:
            dropped.append("top_k")


def _write_tools(request: Request, fields: Fields, dropped: list[str]) -> None:
    tools: list[Fields | Raw] = []
    for tool in request.tools:
        if isinstance(tool, Tool):
            tools.append(_tool(tool))
        elif tool.dialect == Dialect.OPENAI_CHAT:
            tools.append(tool.raw)
        else:
            dropped.append(_name_of(tool))
    if not tools:
        return
    fields["tools"] = tools
    if request.tool_choice is not UNSET:
        fields["tool_choice"] = _choice(request.tool_choice, request.custom_tools())
    if request.parallel_tools is not UNSET:
        fields["parallel_tool_calls"] = request.parallel_tools


def _name_of(tool: HostedTool) -> str:
    return f"tools.{tool.kind}" if tool.kind else "tools"


def _tool(tool: Tool) -> Fields:
    inner: Fields = {"name": tool.name}
    if tool.description is not UNSET:
        inner["description"] = tool.description
    if tool.custom:
        if tool.format is not UNSET:
            inner["format"] = tool.format
        return {"type": "custom", "custom": inner}
    if tool.schema is not UNSET:
        inner["parameters"] = tool.schema
    if tool.strict is not UNSET:
        inner["strict"] = tool.strict
    return {"type": "function", "function": inner}


def _choice(choice: ToolChoice, custom: frozenset[str]) -> str | Fields:
    named = [_named(name, "custom" if name in custom else "function") for name in choice.names]
    if not named or choice.mode == "none":
        return choice.mode
    if len(named) == 1 and choice.mode == "required":
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}


def _named(name: str, kind: str) -> Fields:
    return {"type": kind, kind: {"name": name}}


def _output(output: OutputFormat) -> Fields:
    if output.kind != "schema":
        return {"type": "text" if output.kind == "text" else "json_object"}
    schema: Fields = {"name": "answer" if output.name is UNSET else output.name}
    for name, value in (("description", output.description), ("schema", output.schema), ("strict", output.strict)):
        if value is not UNSET:
            schema[name] = value
    return {"type": "json_schema", "json_schema": schema}


def _write_thinking(request: Request, target: Target, fields: Fields, dropped: list[str]) -> None:
    if request.thinking is UNSET:
        return
    effort = effort_of(request.thinking)
    # "none" is a word only some models know, so it is sent only when the client itself said it.
    if target.thinking == "none" or (effort is UNSET and is_off(request.thinking)):
        dropped.append("reasoning_effort")
    elif effort is not UNSET and (effort == "none" or not is_off(request.thinking)):
        fields["reasoning_effort"] = effort


def _write_own(request: Request, fields: Fields, dropped: list[str]) -> None:
    own = {name: value for name in _OWN if (value := getattr(request, name)) is not UNSET}
    if request.dialect not in _FAMILY:
        dropped += [name for name in own if name != "verbosity"]
        own = {name: value for name, value in own.items() if name == "verbosity"}
    elif request.cache_key is not UNSET:
        own["prompt_cache_key"] = request.cache_key
    fields.update(own)
    if request.dialect == Dialect.OPENAI_CHAT:
        for name, raw in request.extras.items():
            fields.setdefault(name, raw)
    else:
        dropped += request.extras
