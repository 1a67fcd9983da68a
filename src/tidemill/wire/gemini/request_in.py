"""Read a Gemini request."""

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
from tidemill.wire.canonical_parts import Dialect, Part, Text, Turn
from tidemill.wire.gemini.names import camel_body
from tidemill.wire.gemini.parts_in import Calls, add_part, read_part
from tidemill.wire.gemini.schema_in import read_schema
from tidemill.wire.gemini.shapes import (
    CallingConfigIn,
    ContentIn,
    DeclarationIn,
    GenerationConfigIn,
    PartIn,
    RequestIn,
    ThinkingConfigIn,
)
from tidemill.wire.openai.request_in import present

# ProtoJSON writes 64-bit numbers as text, and clients do so for others.
_requests = msgspec.json.Decoder(RequestIn, strict=False)
_configs = msgspec.json.Decoder(GenerationConfigIn, strict=False)
_parts = msgspec.json.Decoder(PartIn, strict=False)
_bodies = msgspec.json.Decoder(dict[str, Raw])
_declarations = msgspec.json.Decoder(list[DeclarationIn])
_callings = msgspec.json.Decoder(CallingConfigIn)
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(RequestIn))
_CONFIGURED = frozenset(field.encode_name for field in msgspec.structs.fields(GenerationConfigIn))
_DECLARATIONS = "functionDeclarations"
_CALLING = "functionCallingConfig"
_STATE = ("cachedContent",)
_ENUM_TYPE = "text/x.enum"


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
    """Return the request, ``model`` and ``stream`` from its path; raises WireError naming the field that is wrong."""
    body = camel_body(body)
    came = read_request(_requests.decode, body)
    fields = _bodies.decode(body)
    config, rest = _config(came.generation_config)
    extras = {name: raw for name, raw in fields.items() if name not in _KNOWN}
    if rest:
        extras["generationConfig"] = raw_of(rest)
    chosen, other_config = _choice(came.tool_config or {})
    if other_config:
        extras["toolConfig"] = raw_of(other_config)
    system, turns = _talk(came)
    if not turns:
        raise bad_request("contents: at least one content with a part is needed", "contents")
    return Request(
        model=model or (came.model or "").removeprefix("models/"),
        dialect=Dialect.GEMINI,
        system=system,
        turns=turns,
        stream=bool(stream),
        keeps_usage=True,
        max_tokens=told(config.max_output_tokens),
        stop=tuple(config.stop_sequences or ()),
        n=told(config.candidate_count),
        sampling=_sampling(config),
        tools=tuple(_offered(came.tools or ())),
        tool_choice=chosen,
        output=_output(config),
        thinking=_thinking(config.thinking_config),
        modalities=_modalities(config.response_modalities),
        service_tier=told(came.service_tier),
        leans_on=tuple(name for name in _STATE if name in extras),
        extras=extras,
    )


def _config(raw: Raw) -> tuple[GenerationConfigIn, dict[str, Raw]]:
    """Return how to answer, and what of that only Gemini knows."""
    if present(raw) is UNSET:
        return GenerationConfigIn(), {}
    try:
        config, fields = _configs.decode(raw), _bodies.decode(raw)
    except MALFORMED as error:
        fault = wrong_request(error).fault
        raise bad_request(f"generationConfig.{fault.message}", "generationConfig") from None
    rest = {name: value for name, value in fields.items() if name not in _CONFIGURED}
    if config.response_mime_type == _ENUM_TYPE:
        rest["responseMimeType"] = fields["responseMimeType"]
    return config, rest


def _modalities(names: Sequence[str] | None) -> tuple[str, ...] | UnsetType:
    return UNSET if names is None else tuple(name.lower() for name in names)


def _sampling(config: GenerationConfigIn) -> Sampling:
    return Sampling(
        temperature=told(config.temperature),
        top_p=told(config.top_p),
        top_k=UNSET if config.top_k is None else int(config.top_k),
        seed=told(config.seed),
        frequency_penalty=told(config.frequency_penalty),
        presence_penalty=told(config.presence_penalty),
        logprobs=told(config.response_logprobs),
        top_logprobs=told(config.logprobs),
    )


# ---- the talk --------------------------------------------------------------------------------------------------------


def _talk(came: RequestIn) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    calls = Calls()
    turns: list[Turn] = []
    for index, content in enumerate(came.contents or ()):
        parts: list[Part] = []
        for part in _content(content, f"contents[{index}]", calls):
            add_part(parts, part)
        if parts:
            turns.append(Turn(_role(content.role, index), tuple(parts)))
    return tuple(_system(came.system_instruction)), tuple(turns)


def _role(role: str | None, index: int) -> Literal["user", "assistant", "system"]:
    match role:
        case None | "" | "user" | "function" | "tool":
            return "user"
        case "model" | "assistant":
            return "assistant"
        case "system":
            return "system"
        case _:
            raise bad_request(f"contents[{index}].role: unknown role {role!r}", f"contents[{index}].role")


def _content(content: ContentIn, where: str, calls: Calls) -> Iterator[Part]:
    for place, raw in enumerate(content.parts or ()):
        inside = f"{where}.parts[{place}]"
        try:
            came = _parts.decode(raw)
        except MALFORMED as error:
            raise bad_request(f"{inside}.{wrong_request(error).fault.message}", inside) from None
        yield read_part(raw, came, inside, calls)


def _system(came: ContentIn | str | None) -> Iterator[Text]:
    if isinstance(came, str):
        yield from (Text(text) for text in (came,) if text)
    elif came is not None:
        for part in _content(came, "systemInstruction", Calls()):
            if not isinstance(part, Text):
                raise bad_request("systemInstruction: instructions are text", "systemInstruction")
            if part.text:
                yield part


# ---- tools -----------------------------------------------------------------------------------------------------------


def _offered(tools: Sequence[Mapping[str, Raw]]) -> Iterator[Tool | HostedTool]:
    for index, tool in enumerate(tools):
        for kind, raw in tool.items():
            if kind != _DECLARATIONS:
                yield HostedTool(Dialect.GEMINI, raw_of({kind: raw}), kind)
                continue
            where = f"tools[{index}].{_DECLARATIONS}"
            try:
                declared = _declarations.decode(raw)
            except MALFORMED as error:
                raise bad_request(f"{where}: {wrong_request(error).fault.message}", where) from None
            yield from (_function(function, f"{where}[{place}]") for place, function in enumerate(declared))


def _function(came: DeclarationIn, where: str) -> Tool:
    if not came.name:
        raise bad_request(f"{where}.name is missing", f"{where}.name")
    schema = present(came.parameters_json_schema)
    if schema is UNSET:
        own = present(came.parameters)
        schema = UNSET if own is UNSET else read_schema(own)
    return Tool(came.name, told(came.description), schema)


def _choice(config: Mapping[str, Raw]) -> tuple[ToolChoice | UnsetType, dict[str, Raw]]:
    """Return which functions may be called, and what else the configuration of tools says."""
    rest = {name: raw for name, raw in config.items() if name != _CALLING}
    raw = config.get(_CALLING)
    if raw is None:
        return UNSET, rest
    try:
        calling = _callings.decode(raw)
    except MALFORMED as error:
        raise bad_request(f"toolConfig.{_CALLING}.{wrong_request(error).fault.message}", "toolConfig") from None
    names = tuple(calling.allowed_function_names or ())
    match (calling.mode or "").upper():
        case "" | "MODE_UNSPECIFIED":
            return UNSET, rest
        case "AUTO" | "VALIDATED":
            return ToolChoice("auto", names), rest
        case "ANY":
            return ToolChoice("required", names), rest
        case "NONE":
            return ToolChoice("none"), rest
        case _:
            raise bad_request(f"toolConfig.{_CALLING}.mode: {calling.mode!r} is unknown", "toolConfig")


def _output(config: GenerationConfigIn) -> OutputFormat | UnsetType:
    schema = present(config.response_json_schema)
    if schema is UNSET:
        own = present(config.response_schema)
        schema = UNSET if own is UNSET else read_schema(own)
    if schema is not UNSET:
        return OutputFormat("schema", schema)
    match config.response_mime_type:
        case None | "":
            return UNSET
        case "application/json":
            return OutputFormat("json")
        case _:
            return OutputFormat("text")


def _thinking(came: ThinkingConfigIn | None) -> Thinking | UnsetType:
    if came is None:
        return UNSET
    level = (came.thinking_level or "").lower()
    effort = UNSET if level in {"", "thinking_level_unspecified"} else level
    mode = "adaptive" if came.thinking_budget is not None and came.thinking_budget < 0 else UNSET
    return Thinking(mode, effort, told(came.thinking_budget), told(came.include_thoughts))
