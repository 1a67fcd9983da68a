"""OpenAI's rules for JSON schemas: an object at the root, and everything spelled out in strict mode."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from tidemill.simulator.openai.errors import bad

_DEEPEST = 40


def check_schema(schema: Mapping[str, Any], where: str, *, is_strict: bool, param: str = "response_format") -> None:
    """Raise Refused when ``schema`` is not one that OpenAI takes for ``where``."""
    kind = schema.get("type")
    if kind not in ("object", None) or (is_strict and kind is None and "$ref" not in schema):
        given = "None" if kind is None else f'"{kind}"'
        raise _invalid(where, "()", f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {given}'", param)
    if not is_strict:
        return
    for path, part in _objects(schema, (), 0):
        context = f"({', '.join(repr(step) for step in path)})"
        if part.get("additionalProperties") is not False:
            raise _invalid(where, context, "'additionalProperties' is required to be supplied and to be false.", param)
        names = cast("Mapping[str, Any]", part.get("properties") or {})
        given = part.get("required")
        required = cast("list[Any]", given) if isinstance(given, list) else []
        if missing := [name for name in names if name not in required]:
            sentence = "'required' is required to be supplied and to be an array including every key in properties."
            raise _invalid(where, context, f"{sentence} Missing '{missing[0]}'.", param)


def _objects(schema: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    part = cast("Mapping[str, Any]", schema)
    if part.get("type") == "object" and isinstance(part.get("properties", {}), Mapping):
        yield path, part
    for group in ("properties", "$defs"):
        inner = part.get(group)
        if isinstance(inner, Mapping):
            for name, value in cast("Mapping[str, Any]", inner).items():
                yield from _objects(value, (*path, group, name), depth + 1)
    yield from _objects(part.get("items"), (*path, "items"), depth + 1)
    choices = part.get("anyOf")
    if isinstance(choices, list):
        for at, value in enumerate(cast("list[Any]", choices)):
            yield from _objects(value, (*path, "anyOf", str(at)), depth + 1)


def _invalid(where: str, context: str, what: str, param: str) -> Exception:
    code = "invalid_function_parameters" if where.startswith("function") else "invalid_json_schema"
    message = f"Invalid schema for {where}: In context={context}, {what}"
    return bad(message, code=code, param=param)
