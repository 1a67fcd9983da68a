"""Make a value that fits a JSON schema, in the asked language.

Covers what response formats use: type, enum, const, properties, required, items, prefixItems, min/max bounds,
anyOf/oneOf/allOf, local $ref, the common string formats. ``pattern`` is not honoured.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from tidemill.simulator.voice import Voice

_DEEPEST = 12  # a schema that refers to itself must end somewhere
_MOST_ITEMS = 1000
_MOST_CHARS = 100_000
_FORMATS: Mapping[str, str] = {
    "date": "2025-03-12",
    "time": "09:30:00Z",
    "date-time": "2025-03-12T09:30:00Z",
    "email": "reader@example.com",
    "uri": "https://example.com/",
    "uuid": "0190a6f2-6b1e-7c3d-9f00-3b5d2c1a4e77",
    "ipv4": "192.0.2.10",
}

Schema = Mapping[str, Any]


class SchemaRefused(ValueError):
    """The schema is malformed, contradicts itself, or wants more than anyone would send."""


def value_for(schema: Schema, voice: Voice, topic: str) -> Any:
    """Return a value valid under ``schema``; free text is about ``topic``.

    Raises SchemaRefused when the schema has no such value: wrong types in it, bounds the wrong way round, over 1000
    items or 100 000 characters demanded.
    """
    try:
        return _Maker(schema, voice, topic).make(schema, 0)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError) as problem:
        # A schema is any JSON at all: checking each keyword's type first would repeat the specification here.
        raise SchemaRefused(str(problem) or type(problem).__name__) from None


class _Maker:
    def __init__(self, root: Schema, voice: Voice, topic: str) -> None:
        self._root = root
        self._voice = voice
        self._topic = topic

    def make(self, schema: Schema, depth: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._voice.dice.choice(cast("list[Any]", schema["enum"]))
        makers: Mapping[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "integer": lambda: self._integer(schema),
            "number": lambda: self._number(schema),
            "boolean": lambda: self._voice.dice.choice([True, False]),
            "null": lambda: None,
        }
        return makers.get(self._kind(schema, depth), lambda: self._text(schema))()

    def _resolved(self, schema: Schema) -> Schema:
        """Follow references and join alternatives until a plain schema is left."""
        for _ in range(_DEEPEST):
            if "$ref" in schema:
                schema = self._at(str(schema["$ref"]))
            elif "allOf" in schema:
                parts = [self._resolved(part) for part in cast("list[Schema]", schema["allOf"])]
                schema = _merged([{k: v for k, v in schema.items() if k != "allOf"}, *parts])
            elif choices := cast("list[Schema] | None", schema.get("anyOf") or schema.get("oneOf")):
                rest = {k: v for k, v in schema.items() if k not in {"anyOf", "oneOf"}}
                schema = _merged([rest, choices[0]])
            else:
                break
        return schema

    def _at(self, pointer: str) -> Schema:
        place: Any = self._root
        for step in filter(None, pointer.removeprefix("#").split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            place = cast("Schema", place).get(name) if isinstance(place, Mapping) else None
        return cast("Schema", place) if isinstance(place, Mapping) else {}

    def _kind(self, schema: Schema, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = cast("list[str]", kind)
            if depth >= _DEEPEST and "null" in kinds:
                return "null"
            return next((k for k in kinds if k != "null"), "null")
        if isinstance(kind, str):
            return kind
        if "properties" in schema:
            return "object"
        return "array" if "items" in schema or "prefixItems" in schema else "string"

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = cast("Mapping[str, Schema]", schema.get("properties", {}))
        required = set(cast("list[str]", schema.get("required", [])))
        return {
            name: self.make(part, depth + 1)
            for name, part in properties.items()
            if depth < _DEEPEST or name in required
        }

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", max(least, 3)))
        if least > _MOST_ITEMS:
            raise SchemaRefused(f"{least} items are too many")
        count = least if depth >= _DEEPEST else self._voice.dice.randint(min(max(least, 1), most), min(most, least + 3))
        first = cast("list[Schema]", schema.get("prefixItems", []))
        rest = schema.get("items", {})
        values = [self.make(part, depth + 1) for part in first]
        if isinstance(rest, Mapping):
            values += [self.make(cast("Schema", rest), depth + 1) for _ in range(count - len(values))]
        return values

    def _integer(self, schema: Schema) -> int:
        low = int(schema.get("minimum", int(schema.get("exclusiveMinimum", -1)) + 1))
        high = int(schema.get("maximum", int(schema.get("exclusiveMaximum", low + 101)) - 1))
        step = int(schema.get("multipleOf", 1)) or 1
        first = -(-low // step) * step
        return first + step * self._voice.dice.randint(0, max(0, (high - first) // step))

    def _number(self, schema: Schema) -> float:
        low = float(schema.get("minimum", schema.get("exclusiveMinimum", 0)))
        high = float(schema.get("maximum", schema.get("exclusiveMaximum", low + 100)))
        return round(low + (high - low) * (0.25 + 0.5 * self._voice.dice.random()), 3)

    def _text(self, schema: Schema) -> str:
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form]
        least = int(schema.get("minLength", 0))
        if least > _MOST_CHARS:
            raise SchemaRefused(f"{least} characters are too many")
        most = int(schema.get("maxLength", max(least, 400)))
        text = self._voice.passage(self._topic, min(max(least, 40), most))
        while len(text) < least:
            text += self._voice.passage(self._topic)
        return text[:most]


def _merged(parts: list[Schema]) -> Schema:
    """Join schemas as allOf does, for the keys that matter when a value is made."""
    joined: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if key == "properties":
                joined[key] = {**joined.get(key, {}), **value}
            elif key == "required":
                joined[key] = [*joined.get(key, []), *value]
            else:
                joined[key] = value
    return joined
