"""Write a Gemini request; what the dialect has no word for is named, not sent."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from tidemill.wire.canonical import OutputFormat, Request, Thinking, Tool, ToolChoice
from tidemill.wire.canonical_json import MALFORMED, encode
from tidemill.wire.canonical_parts import Dialect, Text
from tidemill.wire.canonical_thinking import budget_of, effort_of, is_off
from tidemill.wire.canonical_tools import CUSTOM_SCHEMA
from tidemill.wire.codec import Encoded, Target
from tidemill.wire.gemini.contents_out import ContentWriter
from tidemill.wire.gemini.schema_out import own_schema

Fields = dict[str, Any]

_objects = msgspec.json.Decoder(dict[str, Raw])
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}


def encode_request(request: Request, target: Target) -> Encoded:
    """Return the body for ``target``; raises WireError for content that this dialect has no form for."""
    request.refuse_elsewhere(Dialect.GEMINI)
    return _Writer(request, target).encoded()


class _Writer:
    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._own = request.dialect == Dialect.GEMINI
        self._config: Fields = {}
        self._fields: Fields = {}
        self._dropped: list[str] = []

    def encoded(self) -> Encoded:
        request, fields = self._request, self._fields
        writer = ContentWriter(request, self._target)
        fields["contents"] = writer.contents()
        system = _system(request)
        if system:
            fields["systemInstruction"] = {"parts": [{"text": text} for text in system]}
        if writer.dropped_marks:
            self._dropped.append("cache_control")
        self._tools()
        self._sampling()
        self._bounds()
        self._output()
        self._thinking()
        self._rest()
        return Encoded(encode(fields), tuple(self._dropped))

    # ---- tools ---------------------------------------------------------------------------------------------------

    def _tools(self) -> None:
        request = self._request
        tools: list[Fields | Raw] = []
        declared = [_declaration(tool) for tool in request.tools if isinstance(tool, Tool)]
        if declared:
            tools.append({"functionDeclarations": declared})
        for tool in request.tools:
            if isinstance(tool, Tool):
                continue
            if tool.dialect == Dialect.GEMINI:
                tools.append(tool.raw)
            else:
                self._dropped.append(f"tools.{tool.kind}" if tool.kind else "tools")
        if not tools:
            return
        self._fields["tools"] = tools
        if request.tool_choice is not UNSET and declared:
            self._fields["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice)}
        if request.parallel_tools is False:
            self._dropped.append("parallel_tool_calls")

    # ---- how to answer -------------------------------------------------------------------------------------------

    def _sampling(self) -> None:
        sampling = self._request.sampling
        for name, own in _SAMPLING.items():
            value = getattr(sampling, name)
            if value is UNSET:
                continue
            if self._target.takes_sampling or name not in {"temperature", "top_p", "top_k"}:
                self._config[own] = value
            else:
                self._dropped.append(name)
        if sampling.logit_bias is not UNSET:
            self._dropped.append("logit_bias")

    def _bounds(self) -> None:
        request, config = self._request, self._config
        if request.max_tokens is not UNSET:
            config["maxOutputTokens"] = request.max_tokens
        if request.stop:
            config["stopSequences"] = request.stop
        if request.n is not UNSET:
            config["candidateCount"] = request.n
        if request.modalities is not UNSET:
            config["responseModalities"] = [name.upper() for name in request.modalities]

    def _output(self) -> None:
        output = self._request.output
        if output is not UNSET:
            self._config.update(_format(output))

    def _thinking(self) -> None:
        wish = self._request.thinking
        if wish is UNSET:
            return
        if self._target.thinking == "none":
            self._dropped.append("reasoning_effort")
            return
        told = _level(wish) if self._target.thinking == "level" else _budget(wish)
        shows = _shows(wish, self._request.dialect)
        if shows is not None:
            told["includeThoughts"] = shows
        if told:
            self._config["thinkingConfig"] = told

    def _rest(self) -> None:
        request, fields = self._request, self._fields
        for name in ("user", "metadata", "verbosity"):
            if getattr(request, name) is not UNSET:
                self._dropped.append(name)
        if request.service_tier is not UNSET:
            if self._own:
                fields["serviceTier"] = request.service_tier
            else:
                self._dropped.append("service_tier")
        extras = dict(request.extras) if self._own else {}
        self._config.update(_fields_in(extras.pop("generationConfig", None)))
        other_config = _fields_in(extras.pop("toolConfig", None))
        if other_config:
            fields["toolConfig"] = {**other_config, **fields.get("toolConfig", {})}
        if self._config:
            fields["generationConfig"] = self._config
        for name, raw in extras.items():
            fields.setdefault(name, raw)
        if not self._own:
            self._dropped += request.extras


def _fields_in(raw: Raw | None) -> dict[str, Raw]:
    try:
        return {} if raw is None else _objects.decode(raw)
    except MALFORMED:
        return {}


def _system(request: Request) -> list[str]:
    """Return the instructions, those amid the talk after those before it."""
    texts = [part.text for part in request.system]
    for turn in request.turns:
        if turn.role == "system":
            texts += [part.text for part in turn.parts if isinstance(part, Text)]
    return [text for text in texts if text]


def _declaration(tool: Tool) -> Fields:
    fields: Fields = {"name": tool.name}
    if tool.description is not UNSET:
        fields["description"] = tool.description
    schema = CUSTOM_SCHEMA if tool.custom else tool.schema
    if schema is UNSET:
        return fields
    own = own_schema(schema)
    if own is None:
        fields["parametersJsonSchema"] = schema
    elif own.get("properties"):  # an object without any is refused: no parameters then
        fields["parameters"] = own
    return fields


def _calling(choice: ToolChoice) -> Fields:
    match choice.mode:
        case "none":
            return {"mode": "NONE"}
        case "required":
            mode = "ANY"
        case "auto":
            mode = "VALIDATED" if choice.names else "AUTO"  # which alone takes names with a free choice
    return {"mode": mode, "allowedFunctionNames": choice.names} if choice.names else {"mode": mode}


def _format(output: OutputFormat) -> Fields:
    if output.kind == "text":
        return {"responseMimeType": "text/plain"}
    fields: Fields = {"responseMimeType": "application/json"}
    if output.schema is not UNSET:
        own = own_schema(output.schema, ordered=True)
        fields["responseJsonSchema" if own is None else "responseSchema"] = output.schema if own is None else own
    return fields


def _level(wish: Thinking) -> Fields:
    effort = "none" if is_off(wish) else effort_of(wish)
    # Words beyond these few models know; the most that all know stands for them.
    return {} if effort is UNSET else {"thinkingLevel": _LEVELS.get(effort, "HIGH")}


def _budget(wish: Thinking) -> Fields:
    if is_off(wish):
        return {"thinkingBudget": 0}
    budget = budget_of(wish)
    if budget is not UNSET:
        return {"thinkingBudget": budget}
    return {"thinkingBudget": -1} if wish.mode == "adaptive" else {}


def _shows(wish: Thinking, dialect: Dialect) -> bool | None:
    """Return whether the answer shall tell the thinking; None leaves it to the model.

    Who speaks chat or Anthropic's dialect and asks for thinking gets to see it unless it says otherwise.
    """
    if is_off(wish):
        return None
    if wish.show is not UNSET:
        return wish.show
    return True if dialect in {Dialect.OPENAI_CHAT, Dialect.ANTHROPIC} else None
