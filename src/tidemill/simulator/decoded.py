"""Look into decoded JSON without trusting its types: what is not there, or not that, counts as empty."""

from collections.abc import Mapping
from typing import Any, cast


def obj(value: Any) -> dict[str, Any]:
    """Return an object as it is, anything else as an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return an array as it is, anything else as an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of an array; what else it holds is left out."""
    return [cast("dict[str, Any]", item) for item in items(value) if isinstance(item, dict)]


def string(value: Any) -> str:
    """Return a string as it is, anything else as an empty one."""
    return value if isinstance(value, str) else ""


def schema_or_none(value: Any) -> Mapping[str, Any] | None:
    """Return an object as it is, anything else as None."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None
