"""The rules of a generate-content request beyond its fields: parts, turns, tools, schemas, ranges."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidemill.simulator.decoded import items, obj, objects, string
from tidemill.simulator.gemini.errors import bad
from tidemill.simulator.gemini.messages import DATA_FIELDS
from tidemill.simulator.gemini.proto import snake
from tidemill.simulator.gemini.signatures import is_accepted

_NAME = re.compile(r"[a-zA-Z_][\w.:-]{0,63}", re.ASCII)
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (1, 1000),
    "candidateCount": (1, 8),
    "maxOutputTokens": (1, 2**31 - 1),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "logprobs": (0, 20),
}
_MIME_TYPES = ("text/plain", "application/json", "text/x.enum")
_MOST_STOPS = 5
_SIGNED_MODEL = "gemini-3"
_OLD_MODELS = ("gemini-1", "gemini-2")
_DEEPEST = 40

Contents = Sequence[Mapping[str, Any]]


def _wrong(field: str, what: str) -> Exception:
    return bad(f"* GenerateContentRequest.{field}: {what}\n")


def check_request(body: Mapping[str, Any], model: str) -> None:
    """Raise Refused when the parts of the request do not go together."""
    contents = objects(body.get("contents"))
    if not contents:
        raise _wrong("contents", "contents is not specified")
    _check_contents(contents)
    _check_calls(contents)
    if model.startswith(_SIGNED_MODEL):
        _check_signatures(contents)
    _check_tools(body)
    _check_config(obj(body.get("generationConfig")), model, has_tools=bool(body.get("tools")))


def _check_contents(contents: Contents) -> None:
    for at, content in enumerate(contents):
        if content.get("role") not in (None, "", "user", "model", "function"):
            raise bad("Please use a valid role: user, model.")
        parts = objects(content.get("parts"))
        if not parts:
            raise _wrong(f"contents[{at}].parts", "contents.parts must not be empty.")
        for number, part in enumerate(parts):
            given = [name for name in DATA_FIELDS if name in part]
            where = f"contents[{at}].parts[{number}]"
            if not given:
                raise _wrong(f"{where}.data", "required oneof field 'data' must have one initialized field")
            if len(given) > 1:
                message = f"oneof field 'data' is already set. Cannot set '{given[1]}'"
                raise bad(f"Invalid value at '{where}' (oneof), {message}", where)
            if given[0] == "inlineData" and not part["inlineData"].get("mimeType"):
                raise _wrong(f"{where}.inline_data.mime_type", "must not be empty")
            if given[0] in {"functionCall", "functionResponse"} and not part[given[0]].get("name"):
                raise _wrong(f"{where}.{snake(given[0])}.name", "Name cannot be empty.")


def _check_calls(contents: Contents) -> None:
    """Every turn of calls is answered by the very next turn with as many responses."""
    open_calls = 0
    for content in contents:
        parts = objects(content["parts"])
        responses = sum("functionResponse" in part for part in parts)
        if open_calls and responses != open_calls:
            raise bad(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        if responses and not open_calls:
            raise bad("Please ensure that function response turn comes immediately after a function call turn.")
        open_calls = sum("functionCall" in part for part in parts)
        if open_calls and content.get("role") != "model":
            raise bad(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )


def _check_signatures(contents: Contents) -> None:
    """In the current turn, the first call of each step carries the signature that came with it."""
    begin = 0
    for at, content in enumerate(contents):
        if content.get("role") != "model" and any("text" in part for part in objects(content["parts"])):
            begin = at
    for at, content in enumerate(contents[begin:], begin):
        calls = [part for part in objects(content["parts"]) if "functionCall" in part]
        if not calls:
            continue
        sealed = calls[0].get("thoughtSignature")
        if sealed is None:
            name = calls[0]["functionCall"]["name"]
            raise bad(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly. Additional data, function call `{name}`, position {at + 1}."
            )
        if not is_accepted(sealed):
            raise bad("Thought signature is not valid.")


def _check_tools(body: Mapping[str, Any]) -> None:
    names: list[str] = []
    for at, tool in enumerate(objects(body.get("tools"))):
        for number, function in enumerate(objects(tool.get("functionDeclarations"))):
            where = f"tools[{at}].function_declarations[{number}]"
            name = string(function.get("name"))
            if not _NAME.fullmatch(name):
                raise _wrong(
                    f"{where}.name",
                    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, "
                    "0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.",
                )
            if name in names:
                raise bad(f"Duplicate function declaration found: {name}")
            names.append(name)
            if "parameters" in function and "parametersJsonSchema" in function:
                raise _wrong(where, "parameters and parameters_json_schema must not both be set")
            _check_schema(obj(function.get("parameters")), f"{where}.parameters", 0)
    calling = obj(obj(body.get("toolConfig")).get("functionCallingConfig"))
    allowed = items(calling.get("allowedFunctionNames"))
    if allowed and calling.get("mode") not in {"ANY", "VALIDATED"}:
        raise bad("Allowed function names must only be set when the function calling mode is ANY.")
    if missing := [name for name in allowed if name not in names]:
        raise bad(f"Allowed function name '{missing[0]}' is not declared in tools.")
    if calling.get("mode") == "ANY" and not names:
        raise bad("Function calling config is set without function_declarations.")


def _check_config(config: Mapping[str, Any], model: str, *, has_tools: bool) -> None:
    for name, (low, high) in _RANGES.items():
        value = config.get(name)
        if value is not None and not low <= value <= high:
            raise _wrong(f"generation_config.{snake(name)}", f"must be in the range [{low:g}, {high:g}].")
    if len(items(config.get("stopSequences"))) > _MOST_STOPS:
        raise _wrong("generation_config.stop_sequences", "the number of stop sequences must be at most 5.")
    mime_type = config.get("responseMimeType") or "text/plain"
    if mime_type not in _MIME_TYPES:
        listed = ", ".join(_MIME_TYPES)
        raise _wrong("generation_config.response_mime_type", f"allowed mimetypes are `{listed}`.")
    given = [name for name in ("responseSchema", "responseJsonSchema", "_responseJsonSchema") if name in config]
    if given and mime_type == "text/plain":
        raise bad("Response schema with a response mime type: 'text/plain' is unsupported")
    if len(given) > 1:
        raise _wrong("generation_config", "response_schema and response_json_schema must not both be set")
    if mime_type == "application/json" and has_tools and model.startswith(_OLD_MODELS):
        raise bad("Function calling with a response mime type: 'application/json' is unsupported")
    _check_schema(obj(config.get("responseSchema")), "generation_config.response_schema", 0)
    thinking = obj(config.get("thinkingConfig"))
    if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        raise bad("You can only set only one of thinking budget and thinking level.")
    if thinking.get("thinkingBudget", 0) < -1:
        raise _wrong("generation_config.thinking_config.thinking_budget", "must be -1 or greater.")


def _check_schema(schema: Mapping[str, Any], where: str, depth: int) -> None:
    if not schema or depth > _DEEPEST:
        return
    kind, properties = schema.get("type"), obj(schema.get("properties"))
    if kind is None and "anyOf" not in schema:
        raise _wrong(f"{where}.type", "must be specified")
    if kind == "OBJECT" and not properties:
        raise _wrong(f"{where}.properties", "should be non-empty for OBJECT type")
    if kind == "ARRAY" and "items" not in schema:
        raise _wrong(f"{where}.items", "missing field.")
    if schema.get("enum") and kind != "STRING":
        raise _wrong(f"{where}.enum", "only allowed for STRING type")
    for at, name in enumerate(items(schema.get("required"))):
        if name not in properties:
            raise _wrong(f"{where}.required[{at}]", "property is not defined")
    for path, inner in _inner(schema, where):
        _check_schema(inner, path, depth + 1)


def _inner(schema: Mapping[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in obj(schema.get("properties")).items():
        yield f"{where}.properties[{name}]", obj(part)
    for at, part in enumerate(objects(schema.get("anyOf"))):
        yield f"{where}.any_of[{at}]", part
    if "items" in schema:
        yield f"{where}.items", obj(schema["items"])
