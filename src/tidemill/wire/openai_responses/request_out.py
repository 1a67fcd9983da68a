"""Write a request for the Responses; nothing is kept there unless the client itself asked for that."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from tidemill.wire.canonical import HostedTool, OutputFormat, Request, Thinking, Tool, ToolChoice
from tidemill.wire.canonical_json import MALFORMED, encode
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.canonical_thinking import effort_of, is_off
from tidemill.wire.codec import Encoded, Target
from tidemill.wire.openai_responses.items_out import Item, ItemWriter
from tidemill.wire.openai_responses.request_in import INCLUDE_LOGPROBS

Fields = dict[str, Any]

_INCLUDE_SEALED = "reasoning.encrypted_content"
_FAMILY = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})
_UNKNOWN_SAMPLING = ("seed", "logit_bias")
# Open Responses has them, OpenAI's own service does not.
_OPEN_SAMPLING = ("frequency_penalty", "presence_penalty")
_LEAST_TOKENS = 16  # OpenAI refuses to be bound to fewer


def encode_request(request: Request, target: Target) -> Encoded:
    """Return the body for ``target``; raises WireError for content that this dialect has no form for."""
    request.refuse_elsewhere(Dialect.OPENAI_RESPONSES)
    return _Writer(request, target).encoded()


class _Writer:
    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._own = request.dialect == Dialect.OPENAI_RESPONSES
        self._fields: Fields = {}
        self._dropped: list[str] = []
        self._includes: list[str] = []

    def encoded(self) -> Encoded:
        request, fields = self._request, self._fields
        fields["model"] = self._target.model
        self._talk()
        if request.stream:
            fields["stream"] = True
        if request.max_tokens is not UNSET:
            fields["max_output_tokens"] = request.max_tokens if self._own else max(request.max_tokens, _LEAST_TOKENS)
        self._sampling()
        self._tools()
        self._text()
        self._thinking()
        self._unknown()
        self._rest()
        return Encoded(encode(self._fields), tuple(self._dropped))

    def _talk(self) -> None:
        request = self._request
        writer = ItemWriter(request, self._target)
        items: list[Item] = []
        system = list(request.system)
        if system and system[0].cache is UNSET:
            self._fields["instructions"] = system.pop(0).text
        items += [writer.message("system", [part]) for part in system]
        items += writer.items()
        self._fields["input"] = items
        if writer.dropped_marks:
            self._dropped.append("cache_control")
        if writer.sends_sealed:
            self._includes.append(_INCLUDE_SEALED)

    def _sampling(self) -> None:
        sampling = self._request.sampling
        for name in ("temperature", "top_p"):
            value = getattr(sampling, name)
            if value is UNSET:
                continue
            if self._target.takes_sampling:
                self._fields[name] = value
            else:
                self._dropped.append(name)
        told = {name: value for name in _OPEN_SAMPLING if (value := getattr(sampling, name)) is not UNSET}
        if self._own:
            self._fields.update(told)
        else:
            self._dropped += told
        self._dropped += [name for name in _UNKNOWN_SAMPLING if getattr(sampling, name) is not UNSET]
        if sampling.top_k is not UNSET:
            if "top_k" in self._target.extensions:
                self._fields["top_k"] = sampling.top_k
            else:
                self._dropped.append("top_k")
        if sampling.logprobs is True:
            self._includes.append(INCLUDE_LOGPROBS)
        if sampling.top_logprobs is not UNSET:
            self._fields["top_logprobs"] = sampling.top_logprobs

    def _tools(self) -> None:
        request = self._request
        tools, dropped = tool_list(request.tools, own=self._own)
        self._dropped += dropped
        if not tools:
            return
        self._fields["tools"] = tools
        if request.tool_choice is not UNSET:
            self._fields["tool_choice"] = choice_fields(request.tool_choice, request.custom_tools())
        if request.parallel_tools is not UNSET:
            self._fields["parallel_tool_calls"] = request.parallel_tools

    def _text(self) -> None:
        request = self._request
        text: Fields = {}
        if request.output is not UNSET:
            text["format"] = format_fields(request.output)
        if request.verbosity is not UNSET:
            text["verbosity"] = request.verbosity
        if text:
            self._fields["text"] = text

    def _thinking(self) -> None:
        wish = self._request.thinking
        if wish is UNSET:
            return
        effort = effort_of(wish)
        if self._target.thinking == "none" or (effort is UNSET and is_off(wish)):
            self._dropped.append("reasoning_effort")
            return
        off = is_off(wish)
        reasoning: Fields = {}
        if effort is not UNSET and (effort == "none" or not off):
            reasoning["effort"] = effort
        summary = _summary(wish, self._request.dialect)
        if summary is not None and not off:
            reasoning["summary"] = summary
        if reasoning:
            self._fields["reasoning"] = reasoning
        if not self._own and not off:
            self._includes.append(_INCLUDE_SEALED)

    def _unknown(self) -> None:
        request = self._request
        if request.stop:
            self._dropped.append("stop")
        if request.n is not UNSET and request.n != 1:
            self._dropped.append("n")
        if request.modalities is not UNSET and request.modalities != ("text",):
            self._dropped.append("modalities")

    def _rest(self) -> None:
        request, fields = self._request, self._fields
        if request.user is not UNSET:
            fields["user"] = request.user
        family = request.dialect in _FAMILY
        for name, field in (("metadata", request.metadata), ("service_tier", request.service_tier)):
            if field is UNSET:
                continue
            if family:
                fields[name] = field
            else:
                self._dropped.append(name)
        if family and request.cache_key is not UNSET:
            fields["prompt_cache_key"] = request.cache_key
        if self._own:
            self._fields = fields = {**request.extras, **fields}
        else:
            fields["store"] = False
            self._dropped += request.extras
        if self._includes:
            told = _list_in(fields.get("include"))
            fields["include"] = list(dict.fromkeys([*told, *self._includes]))


_names = msgspec.json.Decoder(list[str])


def _list_in(raw: Raw | None) -> list[str]:
    try:
        return [] if raw is None else _names.decode(raw)
    except MALFORMED:
        return []


def tool_list(tools: tuple[Tool | HostedTool, ...], *, own: bool) -> tuple[list[Fields | Raw], list[str]]:
    """Return the tools, and the names of those that only another dialect has."""
    written: list[Fields | Raw] = []
    dropped: list[str] = []
    for tool in tools:
        if isinstance(tool, Tool):
            written.append(tool_fields(tool, own=own))
        elif tool.dialect == Dialect.OPENAI_RESPONSES:
            written.append(tool.raw)
        else:
            dropped.append(f"tools.{tool.kind}" if tool.kind else "tools")
    return written, dropped


def tool_fields(tool: Tool, *, own: bool) -> Fields:
    """Return a tool. What nobody called strict is not: left out, OpenAI would make it so here."""
    fields: Fields = {"type": "custom" if tool.custom else "function", "name": tool.name}
    if tool.description is not UNSET:
        fields["description"] = tool.description
    if tool.custom:
        if tool.format is not UNSET:
            fields["format"] = _own_format(tool.format)
        return fields
    fields["parameters"] = None if tool.schema is UNSET else tool.schema
    if tool.strict is not UNSET:
        fields["strict"] = tool.strict
    elif not own:
        fields["strict"] = False
    return fields


class _ChatFormat(Struct, frozen=True):
    type: str = "text"
    grammar: dict[str, Raw] | None = None


_chat_formats = msgspec.json.Decoder(_ChatFormat)


def _own_format(raw: Raw) -> Fields | Raw:
    try:
        came = _chat_formats.decode(raw)
    except MALFORMED:
        return raw
    return raw if came.grammar is None else {"type": came.type, **came.grammar}


def choice_fields(choice: ToolChoice, custom: frozenset[str]) -> str | Fields:
    """Return which tools may be called."""
    named = [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names]
    if not named or choice.mode == "none":
        return choice.mode
    if len(named) == 1 and choice.mode == "required":
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def format_fields(output: OutputFormat) -> Fields:
    """Return what the text must look like."""
    if output.kind != "schema":
        return {"type": "text" if output.kind == "text" else "json_object"}
    fields: Fields = {"type": "json_schema", "name": "answer" if output.name is UNSET else output.name}
    for name, value in (("description", output.description), ("schema", output.schema), ("strict", output.strict)):
        if value is not UNSET:
            fields[name] = value
    fields.setdefault("schema", {})
    return fields


def _summary(wish: Thinking, dialect: Dialect) -> str | None:
    """Return how to sum up the thinking; a summary is asked for only where the client wants to see any."""
    if wish.summary is not UNSET:
        return wish.summary
    if wish.show is not UNSET:
        return "auto" if wish.show else None
    shown_anyway = dialect == Dialect.ANTHROPIC and wish.mode in {"on", "adaptive"}
    return "auto" if shown_anyway else None
