"""Read a checked generate-content request into what it asks for."""

from collections.abc import Mapping
from typing import Any, Literal

from tidemill.simulator.ask import Ask, Call, Media, Result, Role, Tool, Turn
from tidemill.simulator.deciding import as_json
from tidemill.simulator.decoded import items, obj, objects, schema_or_none, string

Kind = Literal["image", "document", "audio", "video"]

_KINDS: tuple[Kind, ...] = ("image", "audio", "video")
_COPIED = (
    "format",
    "title",
    "description",
    "maxItems",
    "minItems",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
)


def read_generate(body: Mapping[str, Any], *, thinks: bool) -> Ask:
    """Read a request whose fields are known and checked."""
    config = obj(body.get("generationConfig"))
    turns: list[Turn] = []
    if system := _text(objects(obj(body.get("systemInstruction")).get("parts"))):
        turns.append(Turn("system", system))
    for content in objects(body["contents"]):
        turns += _turns(content)
    calling = obj(obj(body.get("toolConfig")).get("functionCallingConfig"))
    mode = calling.get("mode")
    demanded: Literal["auto", "required"] = "required" if mode == "ANY" else "auto"
    thinking = obj(config.get("thinkingConfig"))
    return Ask(
        turns=turns,
        tools=[
            Tool(function["name"], _parameters(function))
            for tool in objects(body.get("tools"))
            for function in objects(tool.get("functionDeclarations"))
        ],
        choice="none" if mode == "NONE" else demanded,
        only=items(calling.get("allowedFunctionNames")) or None,
        schema=_schema(config),
        json_mode=config.get("responseMimeType") == "application/json",
        thinks=thinks or (bool(thinking) and thinking.get("thinkingBudget") != 0),
        max_tokens=config.get("maxOutputTokens"),
        stops=tuple(items(config.get("stopSequences"))),
        seed=config.get("seed"),
    )


def _turns(content: Mapping[str, Any]) -> list[Turn]:
    parts = objects(content["parts"])
    turns: list[Turn] = []
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    if results:
        answers = [_result(result) for result in results]
        turns.append(Turn("tool", "\n".join(answer.text for answer in answers), (), (), answers))
    calls = [
        Call(part["functionCall"]["name"], part["functionCall"].get("args") or {})
        for part in parts
        if "functionCall" in part
    ]
    text, media = _text(parts), [_media(part) for part in parts if "inlineData" in part or "fileData" in part]
    if text or media or calls or not results:
        role: Role = "assistant" if content.get("role") == "model" else "user"
        turns.append(Turn(role, text, media, calls))
    return turns


def _result(given: Mapping[str, Any]) -> Result:
    """Read a response; by custom its one text stands under ``result`` or ``output``, a failure under ``error``."""
    response = obj(given.get("response"))
    for name in ("result", "output", "error"):
        if len(response) == 1 and isinstance(response.get(name), str):
            return Result(given["name"], response[name], failed=name == "error")
    return Result(given["name"], as_json(response), failed="error" in response)


def _text(parts: list[dict[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


def _media(part: Mapping[str, Any]) -> Media:
    blob = obj(part.get("inlineData"))
    file = obj(part.get("fileData"))
    media_type = string((blob or file).get("mimeType"))
    kinds: list[Kind] = [kind for kind in _KINDS if media_type.startswith(kind)]
    return Media(kinds[0] if kinds else "document", media_type, blob.get("data") or b"", string(file.get("fileUri")))


def _parameters(function: Mapping[str, Any]) -> Mapping[str, Any]:
    if "parametersJsonSchema" in function:
        return obj(function["parametersJsonSchema"])
    return plain_schema(function["parameters"]) if "parameters" in function else {"type": "object"}


def _schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    given = config.get("responseJsonSchema", config.get("_responseJsonSchema"))
    if given is not None:
        return schema_or_none(given)
    return plain_schema(config["responseSchema"]) if "responseSchema" in config else None


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Turn Gemini's schema message into JSON Schema."""
    out = {name: schema[name] for name in _COPIED if name in schema}
    if kind := string(schema.get("type")).lower():
        out["type"] = [kind, "null"] if schema.get("nullable") else kind
    if schema.get("enum"):
        out["enum"] = schema["enum"]
    if "items" in schema:
        out["items"] = plain_schema(schema["items"])
    if "anyOf" in schema:
        out["anyOf"] = [plain_schema(part) for part in schema["anyOf"]]
    if "properties" in schema:
        out["properties"] = {name: plain_schema(part) for name, part in schema["properties"].items()}
    return out
