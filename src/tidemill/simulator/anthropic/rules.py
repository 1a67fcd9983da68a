"""What a message request may hold."""

import re
from collections.abc import Mapping
from typing import Any

from tidemill.simulator.anthropic.errors import broken_rule
from tidemill.simulator.checks import (
    Check,
    Problem,
    anything,
    by_tag,
    fields,
    flag,
    known_prefix,
    list_of,
    null_or,
    number,
    one_of,
    record,
    text,
    text_or,
    whole,
)

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CACHE = null_or(fields({"type": one_of("ephemeral")}, {"ttl": one_of("5m", "1h")}))
_MARKED: Mapping[str, Check] = {"cache_control": _CACHE}
_CITED = null_or(fields({}, {"enabled": flag}))


def _matching(pattern: re.Pattern[str]) -> Check:
    def check(value: Any, _strict: bool) -> None:  # noqa: FBT001 - the shape of a check
        if not isinstance(value, str):
            raise Problem("type", "a string")
        if not pattern.fullmatch(value):
            raise Problem("value", f"a string that matches pattern '^{pattern.pattern}$'")

    return check


def _https(value: Any, _strict: bool) -> None:  # noqa: FBT001 - the shape of a check
    if not isinstance(value, str):
        raise Problem("type", "a string")
    if not value.startswith("https://"):
        raise Problem("value", "an HTTPS URL")


_TEXT = fields({"type": anything, "text": text()}, {**_MARKED, "citations": anything})
_FILE = fields({"type": anything, "file_id": text(1)})
_IMAGE = fields(
    {
        "type": anything,
        "source": by_tag(
            "type",
            {
                "base64": fields(
                    {
                        "type": anything,
                        "media_type": one_of("image/jpeg", "image/png", "image/gif", "image/webp"),
                        "data": text(1),
                    }
                ),
                "url": fields({"type": anything, "url": _https}),
                "file": _FILE,
            },
        ),
    },
    {**_MARKED, "transformations": null_or(record)},
)
_DOCUMENT = fields(
    {
        "type": anything,
        "source": by_tag(
            "type",
            {
                "base64": fields({"type": anything, "media_type": one_of("application/pdf"), "data": text(1)}),
                "text": fields({"type": anything, "media_type": one_of("text/plain"), "data": text(1)}),
                "url": fields({"type": anything, "url": _https}),
                "content": fields(
                    {"type": anything, "content": text_or(list_of(by_tag("type", {"text": _TEXT, "image": _IMAGE})))}
                ),
                "file": _FILE,
            },
        ),
    },
    {**_MARKED, "citations": _CITED, "context": null_or(text()), "title": null_or(text())},
)
_SEARCH = fields(
    {
        "type": anything,
        "content": list_of(by_tag("type", {"text": _TEXT})),
        "source": text(1),
        "title": text(1),
    },
    {**_MARKED, "citations": _CITED},
)
_RESULT = fields(
    {"type": anything, "tool_use_id": _matching(_ID)},
    {
        **_MARKED,
        "content": text_or(
            list_of(by_tag("type", {"text": _TEXT, "image": _IMAGE, "document": _DOCUMENT, "search_result": _SEARCH}))
        ),
        "is_error": flag,
        "toolset_name": null_or(text()),
    },
)
_BLOCK = by_tag(
    "type",
    {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH,
        "thinking": fields({"type": anything, "thinking": text(), "signature": text(1)}),
        "redacted_thinking": fields({"type": anything, "data": text(1)}),
        "tool_use": fields(
            {"type": anything, "id": _matching(_ID), "name": _matching(_TOOL_NAME), "input": record},
            {**_MARKED, "caller": anything, "toolset_name": null_or(text())},
        ),
        "tool_result": _RESULT,
        "server_tool_use": record,
        "web_search_tool_result": record,
        "web_fetch_tool_result": record,
        "code_execution_tool_result": record,
        "bash_code_execution_tool_result": record,
        "text_editor_code_execution_tool_result": record,
        "tool_search_tool_result": record,
        "container_upload": record,
    },
)
_MESSAGE = fields({"role": one_of("user", "assistant", "system"), "content": text_or(list_of(_BLOCK))})

_SERVER_TOOLS = (
    "bash_",
    "browser_",
    "code_execution_",
    "computer_",
    "memory_",
    "text_editor_",
    "tool_search_",
    "web_fetch_",
    "web_search_",
)
_CUSTOM_TOOL = fields(
    {"name": _matching(_TOOL_NAME), "input_schema": record},
    {
        **_MARKED,
        "type": null_or(one_of("custom")),
        "description": text(),
        "allowed_callers": anything,
        "defer_loading": flag,
        "eager_input_streaming": null_or(flag),
        "input_examples": list_of(record),
        "strict": flag,
    },
)
_PARALLEL: Mapping[str, Check] = {"disable_parallel_tool_use": flag}
_SHARED: Mapping[str, Check] = {
    "cache_control": _CACHE,
    "context_management": null_or(record),
    "mcp_servers": list_of(record),
    "output_config": fields(
        {},
        {
            "effort": null_or(one_of("low", "medium", "high", "xhigh", "max")),
            "format": null_or(fields({"type": one_of("json_schema"), "schema": record})),
        },
    ),
    "speed": null_or(one_of("standard", "fast")),
    "system": text_or(list_of(by_tag("type", {"text": _TEXT}))),
    "thinking": by_tag(
        "type",
        {
            "enabled": fields(
                {"type": anything, "budget_tokens": whole(1024)},
                {"display": null_or(one_of("summarized", "omitted"))},
            ),
            "disabled": fields({"type": anything}),
            "between_tools": fields({"type": anything}),
            "adaptive": fields({"type": anything}, {"display": null_or(one_of("summarized", "omitted"))}),
        },
    ),
    "tool_choice": by_tag(
        "type",
        {
            "auto": fields({"type": anything}, _PARALLEL),
            "any": fields({"type": anything}, _PARALLEL),
            "tool": fields({"type": anything, "name": text(1)}, _PARALLEL),
            "none": fields({"type": anything}),
        },
    ),
    "tools": list_of(known_prefix("type", _SERVER_TOOLS, record, _CUSTOM_TOOL)),
    "user_profile_id": text(1),
    "workspace_id": text(1),
}
_ASKED: Mapping[str, Check] = {"model": text(1), "messages": list_of(_MESSAGE)}
_CREATED: Mapping[str, Check] = {
    **_SHARED,
    "container": null_or(anything),
    "diagnostics": null_or(record),
    "inference_geo": null_or(text()),
    "metadata": fields({}, {"user_id": null_or(text(0, 256))}),
    "service_tier": one_of("auto", "standard_only"),
    "stop_sequences": list_of(text()),
    "stream": flag,
}
# Version 2026-10-21 refuses these three, even with their defaults; earlier ones take them.
_SAMPLING: Mapping[str, Check] = {"temperature": number(0, 1), "top_k": whole(0), "top_p": number(0, 1)}

_CREATE = fields({**_ASKED, "max_tokens": whole(1)}, _CREATED)
_CREATE_EARLIER = fields({**_ASKED, "max_tokens": whole(1)}, {**_CREATED, **_SAMPLING})
_COUNT = fields(_ASKED, _SHARED)


def check_shape(body: dict[str, Any], *, strict: bool, is_count: bool, is_newest: bool) -> None:
    """Raise Refused when a field is missing, unknown, or of the wrong kind; ``is_newest`` by the API's version."""
    try:
        (_COUNT if is_count else _CREATE if is_newest else _CREATE_EARLIER)(body, strict)
    except Problem as problem:
        raise broken_rule(problem) from None
