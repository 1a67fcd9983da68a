"""Read a chat completion request into what it asks for."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

from tidemill.simulator.ask import Ask, Call, Media, Result, Role, Tool, Turn
from tidemill.simulator.decoded import items, obj, objects, schema_or_none, string
from tidemill.simulator.openai import shapes
from tidemill.simulator.openai.errors import bad

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_SHAPING = frozenset(
    {
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "response_format",
        "stop",
        "reasoning_effort",
        "enable_thinking",
        "thinking",
        "chat_template_kwargs",
    }
)
_FILES = frozenset({"image_url", "input_audio", "file"})


def read_chat(body: Mapping[str, Any], *, thinks: bool = False) -> Ask:
    """Read a checked body into what it asks for."""
    names: dict[str, str] = {}
    turns: list[Turn] = []
    for message in objects(body["messages"]):
        turn = _turn(message, names)
        if turn.role == "tool" and turns and turns[-1].role == "tool":
            joined = turns[-1]
            turns[-1] = Turn("tool", f"{joined.text}\n{turn.text}", (), (), (*joined.results, *turn.results))
        else:
            turns.append(turn)
    max_tokens, seed = body.get("max_completion_tokens") or body.get("max_tokens"), body.get("seed")
    if _SHAPING.isdisjoint(body):  # the plain call, which a measurement makes by the thousand
        return Ask(turns, thinks=thinks, max_tokens=max_tokens, seed=seed)
    choice, only = _choice(body)
    schema, schema_name, json_mode = _format(body)
    stop = body.get("stop")
    return Ask(
        turns=turns,
        tools=_tools(body) if "tools" in body or "functions" in body else (),
        choice=choice,
        only=only,
        parallel=body.get("parallel_tool_calls") is not False and "functions" not in body,
        schema=schema,
        schema_name=schema_name,
        json_mode=json_mode,
        thinks=thinks or _thinks(body),
        max_tokens=max_tokens,
        stops=(stop,) if isinstance(stop, str) and stop else tuple(items(stop)),
        seed=seed,
    )


def _thinks(body: Mapping[str, Any]) -> bool:
    """OpenAI's way to ask for reasoning, and those of DeepSeek, Qwen and vLLM."""
    if body.get("reasoning_effort") not in (None, "none"):
        return True
    return (
        body.get("enable_thinking") is True
        or obj(body.get("thinking")).get("type") == "enabled"
        or obj(body.get("chat_template_kwargs")).get("enable_thinking") is True
    )


def _turn(message: Mapping[str, Any], names: dict[str, str]) -> Turn:
    role = _ROLES.get(message["role"], "user")
    content = message.get("content")
    text, media = (content, ()) if isinstance(content, str) else _parts(content)
    if role == "tool":
        name = names.get(message.get("tool_call_id", ""), message.get("name") or "tool")
        return Turn("tool", text, (), (), (Result(name, text),))
    calls: list[Call] = []
    for call in objects(message.get("tool_calls")):
        function = obj(call.get("function") or call.get("custom"))
        name = string(function.get("name"))
        names[string(call.get("id"))] = name
        # The arguments of earlier calls only seed the voice: their text does.
        calls.append(Call(name, {"": function.get("arguments") or function.get("input") or ""}))
    return Turn(role, text, media, calls)


def _parts(content: Any) -> tuple[str, list[Media]]:
    texts: list[str] = []
    media: list[Media] = []
    for part in objects(content):
        if isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif (kind := string(part.get("type"))) in _FILES:
            media.append(_media(kind, obj(part.get(kind))))
    return "\n".join(texts), media


def _media(kind: str, part: Mapping[str, Any]) -> Media:
    match kind:
        case "image_url":
            return media_of("image", part["url"])
        case "input_audio":
            return Media("audio", f"audio/{part['format']}", decoded(part["data"], "input_audio"))
        case _:
            data = part.get("file_data")
            return media_of("document", data) if data else Media("document", url=str(part.get("file_id", "")))


def media_of(kind: Any, url: str) -> Media:
    """Return the file that a data URL holds or another URL points to; raises Refused for broken base64."""
    if not url.startswith("data:"):
        return Media(kind, url=url) if "://" in url else Media(kind, "", decoded(url, kind))
    about, _, data = url[5:].partition(",")
    return Media(kind, about.partition(";")[0], decoded(data, kind))


def decoded(data: str, what: str) -> bytes:
    """Decode base64; raises Refused."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        message = f"Invalid {what} data: expected base64-encoded bytes."
        raise bad(message, code="invalid_base64", param="messages") from None


def _tools(body: Mapping[str, Any]) -> list[Tool]:
    tools: list[Tool] = []
    for tool in objects(body.get("tools")):
        if "custom" in tool:
            schema = {"type": "object", "properties": {shapes.CUSTOM_INPUT: {"type": "string"}}}
            tools.append(Tool(string(obj(tool["custom"]).get("name")), schema))
        else:
            tools.append(_function(obj(tool.get("function"))))
    return tools + [_function(function) for function in objects(body.get("functions"))]


def _function(given: Mapping[str, Any]) -> Tool:
    return Tool(string(given.get("name")), obj(given.get("parameters")) or {"type": "object"})


def _choice(body: Mapping[str, Any]) -> tuple[Literal["auto", "none", "required"], list[str] | None]:
    choice = body.get("tool_choice") or body.get("function_call") or "auto"
    if choice == "none" or choice == "required":  # noqa: PLR1714 - narrows the type
        return choice, None
    given = obj(choice)
    if not given:
        return "auto", None
    if allowed := obj(given.get("allowed_tools")):
        names = [string((obj(tool.get("function")) or tool).get("name")) for tool in objects(allowed.get("tools"))]
        return "required" if allowed.get("mode") == "required" else "auto", names
    holder = obj(given.get(string(given.get("type")))) or given
    return "required", [string(holder.get("name"))]


def _format(body: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str, bool]:
    form = obj(body.get("response_format"))
    if form.get("type") != "json_schema":
        return None, "", form.get("type") == "json_object"
    named = obj(form.get("json_schema"))
    return schema_or_none(named.get("schema")), string(named.get("name")), False
