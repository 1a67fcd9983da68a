"""Schemas as Anthropic's structured output wants them: every object says that it holds nothing else.

Other dialects leave that open, and Gemini's subset has no word for it; Anthropic answers 400 without it.
"""

from typing import Any, cast

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_json import MALFORMED, raw_of

_CLOSED = "additionalProperties"


def closed(schema: Raw) -> Raw:
    """Return ``schema`` with every object closed that does not say otherwise; unchanged when it is no JSON."""
    try:
        value = msgspec.json.decode(schema)
    except MALFORMED:
        return schema
    return raw_of(_closed(value))


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = {name: _closed(inner) for name, inner in cast("dict[str, Any]", value).items()}
    if fields.get("type") == "object" and "properties" in fields:
        fields.setdefault(_CLOSED, False)
    return fields
