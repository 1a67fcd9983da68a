"""Gemini's schemas (a part of OpenAPI's) as JSON Schema."""

from typing import Any, cast

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_json import MALFORMED, raw_of
from tidemill.wire.gemini.names import camel

_KEPT = frozenset(
    {
        "title",
        "description",
        "enum",
        "required",
        "pattern",
        "minimum",
        "maximum",
        "default",
        "format",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
    }
)
# 64-bit numbers come as text (ProtoJSON).
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_REFS = frozenset({"ref", "$ref", "defs", "$defs"})

Schema = dict[str, Any]


def read_schema(raw: Raw) -> Raw:
    """Return the schema as JSON Schema; one that cannot be read stays as it is."""
    try:
        value = msgspec.json.decode(raw)
        return raw_of(json_schema(value)) if isinstance(value, dict) else raw
    except MALFORMED:
        return raw


def json_schema(came: Any) -> Any:
    """Return a decoded schema as JSON Schema."""
    if not isinstance(came, dict):
        return came
    fields = {camel(name): value for name, value in cast("Schema", came).items()}
    schema: Schema = {}
    if "type" in fields:
        schema["type"] = _types(fields["type"])
    for name, value in fields.items():
        if name in _KEPT or name in _REFS:
            schema[name if name not in {"ref", "defs"} else f"${name}"] = _constraint(name, value)
        elif name == "properties" and isinstance(value, dict):
            inner = cast("Schema", value)
            schema["properties"] = {key: json_schema(item) for key, item in inner.items()}
        elif name in {"items", "additionalProperties"}:
            schema[name] = json_schema(value)
        elif name in {"anyOf", "prefixItems"} and isinstance(value, list):
            schema[name] = [json_schema(item) for item in cast("list[Any]", value)]
    if fields.get("nullable") is True:
        _make_nullable(schema)
    return schema


def _types(value: Any) -> Any:
    if isinstance(value, list):
        return [_types(item) for item in cast("list[Any]", value)]
    return value.lower() if isinstance(value, str) else value


def _constraint(name: str, value: Any) -> Any:
    if name in {"defs", "$defs"} and isinstance(value, dict):
        return {key: json_schema(item) for key, item in cast("Schema", value).items()}
    if name in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value


def _make_nullable(schema: Schema) -> None:
    if "anyOf" in schema:
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    elif isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = [*schema["enum"], None]
