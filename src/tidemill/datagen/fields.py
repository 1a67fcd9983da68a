"""Walk the values of a row: fields by path, strings by leaf, sample columns by the type's names for them."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from tidemill.datagen.task_types import TaskType


def at_path(value: Any, path: str) -> list[Any]:
    """Return the values at a dotted path; a list on the way is walked through, so ``messages.content`` finds all."""
    found = [value]
    for step in path.split("."):
        found = [inner for outer in found for inner in _step(outer, step)]
    flat: list[Any] = []
    for item in found:
        flat.extend(cast("list[Any]", item) if isinstance(item, list) else [item])
    return flat


def texts_at(value: Any, path: str) -> list[str]:
    """Return the strings at a dotted path."""
    return [item for item in at_path(value, path) if isinstance(item, str)]


def _step(value: Any, step: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        holder = cast("Mapping[str, Any]", value)
        if step in holder:
            yield holder[step]
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _step(item, step)


def leaves(value: Any, skip: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the strings of a JSON value in order, without those under the keys in ``skip``."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            holder = cast("Mapping[str, Any]", item)
            stack.extend(inner for key, inner in reversed(list(holder.items())) if key not in skip)
        elif isinstance(item, list):
            stack.extend(reversed(cast("list[Any]", item)))


def sample_text(t: TaskType, sample: Mapping[str, Any], name: str) -> str:
    """Return the text of input field ``name``, empty when the sample has none; lists of texts are joined by lines."""
    column = t.column(name, sample)
    return "\n".join(leaves(sample[column], frozenset({"role"}))) if column is not None else ""


def as_items(value: Any) -> list[str]:
    """Read a set of names from a cell: a list, or text parted by commas, bars, semicolons or their Chinese kin."""
    if isinstance(value, str):
        for mark in "、，；;|\n":
            value = value.replace(mark, ",")
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [str(item).strip() for item in items if isinstance(item, str | int) and str(item).strip()]
    return []


def kinds_of(value: Any) -> list[str]:
    """Return the entity types in a cell: ``[{type, …}]``, ``{type: [...]}``, or a plain list of names."""
    if isinstance(value, Mapping):
        return list(cast("Mapping[str, Any]", value))
    found: list[str] = []
    for item in cast("list[Any]", value) if isinstance(value, list) else []:
        if isinstance(item, Mapping):
            holder = cast("Mapping[str, Any]", item)
            kind = next((holder[key] for key in ("type", "label", "entity_type", "类型") if key in holder), None)
            if isinstance(kind, str) and kind not in found:
                found.append(kind)
    return found or as_items(value)
