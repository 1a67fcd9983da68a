"""JSON Schema in what Gemini's own schemas can say.

Dropped: ``$schema``, ``additionalProperties`` and whatever else Gemini has no field for (it refuses names that it does
not know). Written otherwise: ``$ref`` in its place, ``const`` as a list of one, types with null as nullable. What has
no form at all (a schema within itself, a value of any type) is left to the field that takes JSON Schema as it is.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_json import MALFORMED

Schema = dict[str, Any]

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_PLAIN = frozenset(
    {
        "title",
        "description",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "pattern",
        "minimum",
        "maximum",
        "default",
    }
)
# The formats that Gemini knows; it refuses any other.
_FORMATS = {
    "string": frozenset({"date-time", "enum"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_NULL: Schema = {"type": "null"}
# References written in their place may multiply without end; a schema of a sane size stays far below.
_MOST_SCHEMAS = 5000


class _Inexpressible(Exception):
    pass


def own_schema(raw: Raw, *, ordered: bool = False) -> Schema | None:
    """Return the schema in Gemini's own form; None for one that has no such form.

    ``ordered``: say also in which order the fields come, for else the model writes them by their letters.
    """
    try:
        root = msgspec.json.decode(raw)
        if not isinstance(root, dict):
            return None
        return _Writer(cast("Schema", root), ordered=ordered).write(cast("Schema", root))
    except (*MALFORMED, _Inexpressible):
        return None


class _Writer:
    def __init__(self, root: Schema, *, ordered: bool) -> None:
        self._root = root
        self._ordered = ordered
        self._inside: list[str] = []  # the references that are being followed
        self._written = 0

    def write(self, came: Any) -> Schema:
        """Return one schema; raises _Inexpressible."""
        self._written += 1
        if not isinstance(came, dict) or self._written > _MOST_SCHEMAS:
            raise _Inexpressible
        schema = cast("Schema", came)
        if "$ref" in schema:
            return self._follow(schema)
        if "allOf" in schema:
            return self.write(_merged(schema))
        variants = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(variants, list):
            return self._variants(schema, cast("list[Any]", variants))
        kinds = _kinds(schema)
        plain = [kind for kind in kinds if kind != "null"]
        if len(plain) > 1:
            return self._variants(_without_type(schema), [_of_type(schema, kind) for kind in kinds])
        kind = plain[0] if plain else None
        if not isinstance(kind, str) or kind not in _TYPES:
            raise _Inexpressible
        written = self._typed(schema, kind)
        if "null" in kinds or schema.get("nullable") is True:
            written["nullable"] = True
        return written

    def _follow(self, schema: Schema) -> Schema:
        address = schema["$ref"]
        if not isinstance(address, str) or not address.startswith("#") or address in self._inside:
            raise _Inexpressible
        target: Any = self._root
        for step in address[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or key not in target:
                raise _Inexpressible
            target = cast("Schema", target)[key]
        if not isinstance(target, dict):
            raise _Inexpressible
        self._inside.append(address)
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        written = self.write({**cast("Schema", target), **beside})
        self._inside.pop()
        return written

    def _variants(self, schema: Schema, variants: list[Any]) -> Schema:
        some = [variant for variant in variants if variant != _NULL]
        beside = {name: schema[name] for name in ("title", "description", "default") if name in schema}
        if len(some) == 1:
            written = {**self.write(some[0]), **beside}
        else:
            written = {**beside, "anyOf": [self.write(variant) for variant in some]}
        if len(some) < len(variants):
            written["nullable"] = True
        return written

    def _typed(self, schema: Schema, kind: str) -> Schema:
        written: Schema = {"type": kind.upper()}
        written.update({name: value for name, value in schema.items() if name in _PLAIN})
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS.get(kind, ()):
            written["format"] = form
        _write_values(schema, kind, written)
        if kind == "object":
            self._properties(schema, written)
        elif kind == "array":
            written["items"] = self._items(schema)
        return written

    def _properties(self, schema: Schema, written: Schema) -> None:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return
        inner = cast("Schema", properties)
        written["properties"] = {name: self.write(value) for name, value in inner.items()}
        required = schema.get("required")
        listed = cast("list[Any]", required) if isinstance(required, list) else []
        names = [name for name in listed if isinstance(name, str) and name in inner]
        if names:
            written["required"] = names
        if self._ordered and len(inner) > 1:
            written["propertyOrdering"] = list(inner)

    def _items(self, schema: Schema) -> Schema:
        listed: Any = schema.get("items")
        if not isinstance(listed, dict):
            listed = schema.get("prefixItems", listed)
        if isinstance(listed, dict):
            return self.write(cast("Schema", listed))
        if not isinstance(listed, list) or not listed:
            raise _Inexpressible
        some: list[Any] = []
        for item in cast("list[Any]", listed):
            if item not in some:
                some.append(item)
        return self._variants({}, some)


def _kinds(schema: Schema) -> list[Any]:
    """Return the types that a schema allows, told or plain from what else it says."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return cast("list[Any]", kind)
    if kind is not None:
        return [kind]
    if "properties" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    values = _values(schema)
    return list(dict.fromkeys(_kind_of(value) for value in values)) if values else []


def _kind_of(value: Any) -> str:
    checks: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (type(None), "null"),
    ]
    return next((kind for types, kind in checks if isinstance(value, types)), "object")


def _values(schema: Schema) -> list[Any]:
    if "const" in schema:
        return [schema["const"]]
    enum = schema.get("enum")
    return cast("list[Any]", enum) if isinstance(enum, list) else []


def _write_values(schema: Schema, kind: str, written: Schema) -> None:
    """Write a list of values: as such for text; for numbers, of which Gemini takes no list, as their bounds."""
    values = _values(schema)
    if None in values:
        written["nullable"] = True
    if kind == "string":
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            written["enum"] = texts
    elif kind in {"integer", "number"}:
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if numbers:
            written["minimum"], written["maximum"] = min(numbers), max(numbers)
        if kind == "integer":
            _write_bound(schema, "exclusiveMinimum", written, "minimum", lambda bound: bound + 1)
            _write_bound(schema, "exclusiveMaximum", written, "maximum", lambda bound: bound - 1)


def _write_bound(schema: Schema, name: str, written: Schema, own: str, moved: Callable[[int], int]) -> None:
    bound = schema.get(name)
    if isinstance(bound, int) and not isinstance(bound, bool):
        written.setdefault(own, moved(bound))


def _of_type(schema: Schema, kind: Any) -> Schema:
    return _NULL if kind == "null" else {**schema, "type": kind}


def _without_type(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "type"}


def _merged(schema: Schema) -> Schema:
    """Return the schemas of ``allOf`` as one."""
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    parts = schema["allOf"]
    if not isinstance(parts, list):
        raise _Inexpressible
    for part in cast("list[Any]", parts):
        if not isinstance(part, dict):
            raise _Inexpressible
        for name, value in cast("Schema", part).items():
            held = whole.get(name)
            if name == "properties" and isinstance(held, dict) and isinstance(value, dict):
                whole[name] = {**cast("Schema", held), **cast("Schema", value)}
            elif name == "required" and isinstance(held, list) and isinstance(value, list):
                whole[name] = [*cast("list[Any]", held), *cast("list[Any]", value)]
            elif name == "$ref" and "$ref" in whole:
                raise _Inexpressible  # two schemas elsewhere at once
            else:
                whole.setdefault(name, value)
    return whole
