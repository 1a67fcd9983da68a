"""What a Responses request may hold."""

from collections.abc import Mapping
from typing import Any

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
from tidemill.simulator.decoded import obj, objects
from tidemill.simulator.openai.chat_rules import EFFORT, TIER, is_metadata, is_tool_name
from tidemill.simulator.openai.errors import bad, broken_rule
from tidemill.simulator.openai.schemas import check_schema

_STATUS = null_or(one_of("in_progress", "completed", "incomplete"))
_PART = by_tag(
    "type",
    {
        "input_text": fields({"type": anything, "text": text()}, {"prompt_cache_breakpoint": anything}),
        "input_image": fields(
            {"type": anything},
            {
                "image_url": null_or(text(1)),
                "file_id": null_or(text(1)),
                "detail": null_or(one_of("auto", "low", "high", "original")),
                "prompt_cache_breakpoint": anything,
            },
        ),
        "input_file": fields(
            {"type": anything},
            {
                "file_data": null_or(text(1)),
                "file_id": null_or(text(1)),
                "file_url": null_or(text(1)),
                "filename": null_or(text()),
                "detail": null_or(text()),
                "prompt_cache_breakpoint": anything,
            },
        ),
        "input_audio": fields({"type": anything, "input_audio": record}),
        "output_text": fields({"type": anything, "text": text()}, {"annotations": anything, "logprobs": anything}),
        "refusal": fields({"type": anything, "refusal": text()}),
    },
)
_MESSAGE = fields(
    {"role": one_of("user", "assistant", "system", "developer"), "content": text_or(list_of(_PART))},
    {"type": one_of("message"), "id": null_or(text(1)), "status": _STATUS, "phase": anything},
)
_OUTPUT = fields(
    {"type": anything, "call_id": text(1), "output": text_or(list_of(_PART))},
    {"id": null_or(text(1)), "status": _STATUS, "caller": anything},
)
_ITEMS: Mapping[str, Check] = {
    "message": _MESSAGE,
    "function_call": fields(
        {"type": anything, "call_id": text(1), "name": text(1), "arguments": text()},
        {"id": null_or(text(1)), "status": _STATUS, "caller": anything, "namespace": anything, "async": anything},
    ),
    "function_call_output": _OUTPUT,
    "custom_tool_call": fields(
        {"type": anything, "call_id": text(1), "name": text(1), "input": text()},
        {"id": null_or(text(1)), "status": _STATUS, "caller": anything, "namespace": anything},
    ),
    "custom_tool_call_output": _OUTPUT,
    "reasoning": fields(
        {"type": anything, "summary": list_of(fields({"type": one_of("summary_text"), "text": text()}))},
        {
            "id": null_or(text(1)),
            "content": null_or(list_of(record)),
            "encrypted_content": null_or(text()),
            "status": _STATUS,
        },
    ),
    "compaction": fields(
        {"type": anything, "encrypted_content": text(1)}, {"id": null_or(text(1)), "created_by": anything}
    ),
    "item_reference": fields({"id": text(1)}, {"type": anything}),
}
_TYPED = by_tag("type", _ITEMS)


def _item(value: Any, strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    """Accept an input item; one without a type is a message."""
    (_MESSAGE if isinstance(value, dict) and "type" not in value else _TYPED)(value, strict)


_BUILT_IN = (
    "web_search",
    "web_search_preview",
    "web_search_2025_08_26",
    "file_search",
    "computer",
    "computer_use_preview",
    "code_interpreter",
    "image_generation",
    "local_shell",
    "shell",
    "mcp",
    "apply_patch",
    "namespace",
    "tool_search",
)
_TOOL = by_tag(
    "type",
    {
        "function": fields(
            {"type": anything, "name": is_tool_name},
            {
                "description": null_or(text()),
                "parameters": null_or(record),
                "strict": null_or(flag),
                "defer_loading": flag,
                "allowed_callers": anything,
                "output_schema": anything,
            },
        ),
        "custom": fields(
            {"type": anything, "name": is_tool_name},
            {"description": text(), "format": record, "defer_loading": flag, "allowed_callers": anything},
        ),
        **dict.fromkeys(_BUILT_IN, record),
    },
)


def _tool_choice(value: Any, strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    if isinstance(value, str):
        one_of("none", "auto", "required")(value, strict)
        return
    by_tag(
        "type",
        {
            "function": fields({"type": anything, "name": text(1)}),
            "custom": fields({"type": anything, "name": text(1)}),
            "allowed_tools": fields(
                {"type": anything, "mode": one_of("auto", "required"), "tools": list_of(record, least=1)}
            ),
            **dict.fromkeys(_BUILT_IN, record),
        },
    )(value, strict)


_FORMAT = by_tag(
    "type",
    {
        "text": fields({"type": anything}),
        "json_object": fields({"type": anything}),
        "json_schema": fields(
            {"type": anything, "name": is_tool_name, "schema": record},
            {"description": text(), "strict": null_or(flag)},
        ),
    },
)
_LEAST_TOKENS = 16
INCLUDABLE = (
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)
_FIELDS: Mapping[str, Check] = {
    "access_programs": record,
    "background": null_or(flag),
    "background_options": record,
    "context_management": null_or(list_of(record)),
    "conversation": null_or(text_or(record)),
    "image": record,
    "include": null_or(list_of(one_of(*INCLUDABLE))),
    "input": text_or(list_of(_item)),
    "instructions": null_or(text()),
    "max_output_tokens": null_or(whole(_LEAST_TOKENS)),
    "max_tool_calls": null_or(whole(1)),
    "metadata": null_or(is_metadata),
    "moderation": null_or(record),
    "parallel_tool_calls": null_or(flag),
    "previous_response_id": null_or(text(1)),
    "prompt": null_or(record),
    "prompt_cache_key": null_or(text()),
    "prompt_cache_options": record,
    "prompt_cache_retention": null_or(one_of("in_memory", "24h")),
    "reasoning": null_or(
        fields(
            {},
            {
                "effort": null_or(EFFORT),
                "summary": null_or(one_of("auto", "concise", "detailed")),
                "generate_summary": null_or(one_of("auto", "concise", "detailed")),
                "context": anything,
                "mode": anything,
            },
        )
    ),
    "safety_identifier": null_or(text()),
    "service_tier": null_or(TIER),
    "store": null_or(flag),
    "stream": null_or(flag),
    "stream_options": null_or(fields({}, {"include_obfuscation": flag})),
    "temperature": null_or(number(0, 2)),
    "text": fields({}, {"format": _FORMAT, "verbosity": null_or(one_of("low", "medium", "high"))}),
    "tool_choice": _tool_choice,
    "tools": list_of(_TOOL, most=128),
    "top_logprobs": null_or(whole(0, 20)),
    "top_p": null_or(number(0, 1)),
    "truncation": null_or(one_of("auto", "disabled")),
    "user": text(),
}
_REQUEST = fields({"model": text(1)}, _FIELDS)
_COMPACTION_FIELDS = (
    "image",
    "input",
    "instructions",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
)
_COMPACTION = fields({"model": text(1)}, {name: _FIELDS[name] for name in _COMPACTION_FIELDS})


def check_compaction(body: dict[str, Any], *, strict: bool) -> None:
    """Raise Refused when the body asks for no compaction."""
    try:
        _COMPACTION(body, strict)
    except Problem as problem:
        raise broken_rule(problem) from None
    _check_input(body)


def _check_input(body: dict[str, Any]) -> None:
    if "input" not in body and not body.get("previous_response_id"):
        text_ = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
        raise bad(f"Missing required parameter: {text_}", code="missing_required_parameter", param="input")


def check_response(body: dict[str, Any], *, strict: bool) -> None:
    """Raise Refused when the body is no valid request."""
    try:
        _REQUEST(body, strict)
    except Problem as problem:
        raise broken_rule(problem) from None
    _check_input(body)
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    for name in ("background", "conversation", "prompt"):
        if body.get(name):
            raise bad(f"'{name}' is not simulated.", code="unsupported_parameter", param=name)
    form = obj(obj(body.get("text")).get("format"))
    if form.get("type") == "json_schema":
        where = f"response_format '{form['name']}'"
        check_schema(form["schema"], where, is_strict=form.get("strict") is True, param="text.format.schema")
    tools = objects(body.get("tools"))
    for at, tool in enumerate(tools):
        if tool["type"] == "function":
            parameters = tool.get("parameters") or {"type": "object"}
            where, is_strict = f"function '{tool['name']}'", tool.get("strict") is True
            check_schema(parameters, where, is_strict=is_strict, param=f"tools[{at}].parameters")
    choice = obj(body.get("tool_choice"))
    if choice.get("type") in ("function", "custom") and choice["name"] not in {tool.get("name") for tool in tools}:
        raise bad(f"Tool choice '{choice['name']}' not found in 'tools' parameter.", param="tool_choice")
