"""What a chat completion request may hold, and the rules between its parts."""

import re
from collections.abc import Mapping
from typing import Any, cast

from tidemill.simulator.checks import (
    Check,
    Problem,
    anything,
    by_tag,
    fields,
    flag,
    list_of,
    null_or,
    number,
    one_of,
    record,
    text,
    text_or,
    whole,
)
from tidemill.simulator.decoded import objects
from tidemill.simulator.openai.errors import bad, broken_rule
from tidemill.simulator.openai.schemas import check_schema

REASONING_MODEL = re.compile(r"(?:o[134]|gpt-5)(?:$|[-.])")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_IMAGE_URL = re.compile(r"https?://.+|data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]+", re.DOTALL)
_TEXT_PART = fields({"type": anything, "text": text()}, {"prompt_cache_breakpoint": anything})


def _image_url(value: Any, _strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    if not isinstance(value, str):
        raise Problem("type", "a string")
    if not _IMAGE_URL.fullmatch(value):
        raise Problem("value", "a valid URL or a base64 data URL of a png, jpeg, gif or webp")


_USER_PARTS = list_of(
    by_tag(
        "type",
        {
            "text": _TEXT_PART,
            "image_url": fields(
                {
                    "type": anything,
                    "image_url": fields({"url": _image_url}, {"detail": one_of("auto", "low", "high", "original")}),
                },
                {"prompt_cache_breakpoint": anything},
            ),
            "input_audio": fields(
                {"type": anything, "input_audio": fields({"data": text(1), "format": one_of("wav", "mp3")})},
                {"prompt_cache_breakpoint": anything},
            ),
            "file": fields(
                {
                    "type": anything,
                    "file": fields({}, {"file_data": text(1), "file_id": text(1), "filename": text()}),
                },
                {"prompt_cache_breakpoint": anything},
            ),
        },
    ),
    least=1,
)
_TEXT_PARTS = list_of(by_tag("type", {"text": _TEXT_PART}), least=1)
_REPLY_PARTS = list_of(
    by_tag("type", {"text": _TEXT_PART, "refusal": fields({"type": anything, "refusal": text()})}), least=1
)
_TOOL_CALL = by_tag(
    "type",
    {
        "function": fields(
            {"type": anything, "id": text(1), "function": fields({"name": text(1), "arguments": text()})}
        ),
        "custom": fields({"type": anything, "id": text(1), "custom": fields({"name": text(1), "input": text()})}),
    },
)
_SYSTEM = fields({"role": anything, "content": text_or(_TEXT_PARTS)}, {"name": text()})
_ASSISTANT: Mapping[str, Check] = {
    "content": null_or(text_or(_REPLY_PARTS)),
    "name": text(),
    "refusal": null_or(text()),
    "audio": null_or(record),
    "annotations": null_or(list_of(anything)),
    "tool_calls": null_or(list_of(_TOOL_CALL, least=1)),
    "function_call": null_or(fields({"name": text(1), "arguments": text()})),
}


def _message(assistant: Mapping[str, Check]) -> Check:
    return by_tag(
        "role",
        {
            "system": _SYSTEM,
            "developer": _SYSTEM,
            "user": fields({"role": anything, "content": text_or(_USER_PARTS)}, {"name": text()}),
            "assistant": fields({"role": anything}, assistant),
            "tool": fields({"role": anything, "content": text_or(_TEXT_PARTS), "tool_call_id": text(1)}),
            "function": fields({"role": anything, "content": null_or(text()), "name": text(1)}),
        },
    )


def is_tool_name(value: Any, _strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    """Accept what may name a function."""
    if not isinstance(value, str):
        raise Problem("type", "a string")
    if not _NAME.fullmatch(value):
        raise Problem("value", "a string that matches the pattern '^[a-zA-Z0-9_-]+$'")


_FUNCTION = fields(
    {"name": is_tool_name},
    {"description": text(), "parameters": null_or(record), "strict": null_or(flag)},
)
_TOOL = by_tag(
    "type",
    {
        "function": fields({"type": anything, "function": _FUNCTION}),
        "custom": fields(
            {"type": anything, "custom": fields({"name": is_tool_name}, {"description": text(), "format": record})}
        ),
    },
)


def _tool_choice(value: Any, strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    if isinstance(value, str):
        one_of("none", "auto", "required")(value, strict)
        return
    by_tag(
        "type",
        {
            "function": fields({"type": anything, "function": fields({"name": text(1)})}),
            "custom": fields({"type": anything, "custom": fields({"name": text(1)})}),
            "allowed_tools": fields(
                {
                    "type": anything,
                    "allowed_tools": fields({"mode": one_of("auto", "required"), "tools": list_of(record, least=1)}),
                }
            ),
        },
    )(value, strict)


_FORMAT = by_tag(
    "type",
    {
        "text": fields({"type": anything}),
        "json_object": fields({"type": anything}),
        "json_schema": fields(
            {
                "type": anything,
                "json_schema": fields(
                    {"name": is_tool_name}, {"description": text(), "schema": record, "strict": null_or(flag)}
                ),
            }
        ),
    },
)
_PENALTY = null_or(number(-2, 2))
EFFORT = one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")
TIER = one_of("auto", "default", "flex", "scale", "priority", "fast")


def is_metadata(value: Any, _strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    """Accept an object of strings."""
    record(value, _strict)
    for name, part in cast("dict[str, Any]", value).items():
        if not isinstance(part, str):
            raise Problem("type", "a string", name)


_OPTIONAL: Mapping[str, Check] = {
    "audio": null_or(record),
    "frequency_penalty": _PENALTY,
    "function_call": anything,
    "functions": list_of(_FUNCTION, least=1, most=128),
    "logit_bias": null_or(record),
    "logprobs": null_or(flag),
    "max_completion_tokens": null_or(whole(1)),
    "max_tokens": null_or(whole(1)),
    "metadata": null_or(is_metadata),
    "modalities": null_or(list_of(one_of("text", "audio"), least=1)),
    "moderation": null_or(record),
    "n": null_or(whole(1, 128)),
    "parallel_tool_calls": flag,
    "prediction": null_or(record),
    "presence_penalty": _PENALTY,
    "prompt_cache_key": null_or(text()),
    "prompt_cache_options": null_or(record),
    "prompt_cache_retention": null_or(one_of("in_memory", "24h")),
    "reasoning_effort": null_or(EFFORT),
    "response_format": _FORMAT,
    "safety_identifier": null_or(text()),
    "seed": null_or(whole(-(2**63), 2**63 - 1)),
    "service_tier": null_or(TIER),
    "stop": null_or(text_or(list_of(text(1), least=1, most=4))),
    "store": null_or(flag),
    "stream": null_or(flag),
    "stream_options": null_or(fields({}, {"include_usage": flag, "include_obfuscation": flag})),
    "temperature": null_or(number(0, 2)),
    "tool_choice": _tool_choice,
    "tools": list_of(_TOOL, least=1, most=128),
    "top_logprobs": null_or(whole(0, 20)),
    "top_p": null_or(number(0, 1)),
    "user": text(),
    "verbosity": null_or(one_of("low", "medium", "high")),
    "web_search_options": record,
}


def _request(assistant: Mapping[str, Check]) -> Check:
    return fields({"model": text(1), "messages": list_of(_message(assistant), least=1)}, _OPTIONAL)


_OPENAI = _request(_ASSISTANT)
_REASONING = _request({**_ASSISTANT, "reasoning_content": null_or(text()), "reasoning": null_or(text())})


def check_chat(body: dict[str, Any], *, strict: bool, has_reasoning: bool) -> None:
    """Raise Refused when the body is no valid request; ``has_reasoning`` lets reasoning come back in messages."""
    try:
        (_REASONING if has_reasoning else _OPENAI)(body, strict)
    except Problem as problem:
        raise broken_rule(problem) from None
    messages = cast("list[dict[str, Any]]", body["messages"])
    if len(messages) > 1 or messages[0]["role"] in {"assistant", "tool"}:
        _check_turns(messages)
    if "tools" in body or "tool_choice" in body or "parallel_tool_calls" in body:
        _check_tools(body)
    if body.get("stream_options") is not None and body.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise bad(message, param="stream_options")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise bad("'logprobs' must be true when 'top_logprobs' is set.", param="top_logprobs")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise bad(message, param="max_tokens", code="invalid_parameter_combination")
    if strict and body.get("max_tokens") is not None and REASONING_MODEL.match(body["model"]):
        message = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        raise bad(f"Unsupported parameter: {message}", param="max_tokens", code="unsupported_parameter")
    if "response_format" in body:
        _check_format(body["response_format"], messages, strict=strict)


def _check_format(form: dict[str, Any], messages: list[dict[str, Any]], *, strict: bool) -> None:
    if form["type"] == "json_object" and strict and not any("json" in str(m.get("content")).lower() for m in messages):
        message = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
        raise bad(message, param="messages")
    if form["type"] == "json_schema":
        named = form["json_schema"]
        check_schema(
            named.get("schema", {}), f"response_format '{named['name']}'", is_strict=named.get("strict") is True
        )


def _check_turns(messages: list[dict[str, Any]]) -> None:
    """Every tool call is answered by the messages right after it, and nothing else is."""
    open_ids: list[str] = []
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise bad(f"Invalid parameter: {text}", param=f"messages.[{at}].role")
            open_ids.remove(message["tool_call_id"])
            continue
        _no_open(open_ids, at)
        open_ids = [call["id"] for call in objects(message.get("tool_calls"))] if message["role"] == "assistant" else []
        if message["role"] == "assistant" and not any(
            message.get(name) is not None for name in ("content", "tool_calls", "function_call", "refusal", "audio")
        ):
            raise bad("Invalid value for 'content': expected a string, got null.", param=f"messages.[{at}].content")
    _no_open(open_ids, len(messages))


def _no_open(open_ids: list[str], at: int) -> None:
    if open_ids:
        raise bad(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_ids)}",
            param=f"messages.[{at}].role",
        )


def _check_tools(body: dict[str, Any]) -> None:
    tools = cast("list[dict[str, Any]]", body.get("tools") or [])
    choice = body.get("tool_choice")
    if not tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None and not (name == "tool_choice" and choice == "none"):
                raise bad(f"'{name}' is only allowed when 'tools' are specified.", param=name)
        return
    for at, tool in enumerate(tools):
        function = tool.get("function", {})
        where = f"function '{function.get('name')}'"
        check_schema(
            function.get("parameters") or {"type": "object"},
            where,
            is_strict=function.get("strict") is True,
            param=f"tools[{at}].function.parameters",
        )
    if isinstance(choice, dict):
        wanted = cast("dict[str, Any]", choice)
        name = wanted.get(wanted["type"], {}).get("name")
        if name is not None and name not in {tool[tool["type"]]["name"] for tool in tools}:
            raise bad(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
