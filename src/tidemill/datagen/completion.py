"""Finish what a model is not asked for: character offsets of entities, roles of a dialogue.

Models count badly, so offsets are found by us; alternation of roles is true by construction when turns are asked for
as pairs. Each step takes an answer of the asked form and returns the stored form; an answer that is in the stored
form already passes through, with offsets mended where that is safe.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from tidemill.datagen.task_types import TaskType

Output = dict[str, Any]


def completed(t: TaskType, output: Mapping[str, Any]) -> Output:
    """Return the stored form of ``output``; never raises, whatever the form of the answer."""
    step = _STEPS.get(t.rules.complete or "")
    return step(dict(output)) if step else dict(output)


def _offsets(output: Output) -> Output:
    """Set ``start`` and ``end`` of entities.

    Given offsets that fit stay. Wrong ones are replaced only where the value occurs once; absent ones take the next
    occurrence that no entity before has taken. A value that the text does not hold is left alone for the rules to
    refuse.
    """
    text, entities = output.get("text"), output.get("entities")
    if not isinstance(text, str) or not isinstance(entities, list):
        return output
    taken: set[tuple[int, int]] = set()
    placed: list[Any] = []
    for item in cast("list[Any]", entities):
        entity = dict(cast("Mapping[str, Any]", item)) if isinstance(item, Mapping) else None
        value = entity.get("value") if entity else None
        if entity is None or not isinstance(value, str) or not value:
            placed.append(item)
            continue
        span = _span(text, value, entity.get("start"), entity.get("end"), taken)
        if span is not None:
            taken.add(span)
            entity["start"], entity["end"] = span
        placed.append(entity)
    return {**output, "entities": placed}


def _span(text: str, value: str, start: Any, end: Any, taken: set[tuple[int, int]]) -> tuple[int, int] | None:
    given = isinstance(start, int) and isinstance(end, int)
    if given and 0 <= start <= end and text[start:end] == value:
        return start, end
    places = _places(text, value)
    if given:
        return places[0] if len(places) == 1 else None
    return next((place for place in places if place not in taken), None)


def _places(text: str, value: str) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    at = text.find(value)
    while at >= 0:
        places.append((at, at + len(value)))
        at = text.find(value, at + 1)
    return places


def _messages(output: Output) -> Output:
    """Turn pairs ``turns: [{user, assistant}]`` into messages with roles."""
    turns = output.get("turns")
    if not isinstance(turns, list) or "messages" in output:
        return output
    messages = [
        {"role": role, "content": cast("Mapping[str, Any]", turn).get(role)}
        for turn in cast("list[Any]", turns)
        if isinstance(turn, Mapping)
        for role in ("user", "assistant")
    ]
    return {**{key: value for key, value in output.items() if key != "turns"}, "messages": messages}


_STEPS: Mapping[str, Callable[[Output], Output]] = {"entity_offsets": _offsets, "dialogue_messages": _messages}
STEP_NAMES = frozenset(_STEPS)
