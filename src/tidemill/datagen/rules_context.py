"""What a check may look at: one row, the sample it came from, and what is known of all samples."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tidemill.datagen.fields import as_items, kinds_of, texts_at
from tidemill.datagen.rules_profile import LengthProfile
from tidemill.datagen.task_types import TaskType
from tidemill.kernel.errors import FieldProblem
from tidemill.kernel.lang import Lang


class RowContext(Struct, frozen=True):
    """One row under examination. ``sample`` is empty where only the row itself is known, as in a review."""

    t: TaskType
    lang: Lang
    output: Mapping[str, Any]
    sample: Mapping[str, Any] = {}
    profile: LengthProfile = LengthProfile()
    direction: str | None = None

    def text(self, path: str) -> str:
        """Return the row's text at a path, parts joined by lines."""
        return "\n".join(texts_at(self.output, path))

    def prose(self) -> str:
        """Return all written text of the row."""
        return "\n".join(self.text(path) for path in self.t.rules.prose)

    def problem(self, field: str, zh: str, en: str) -> FieldProblem:
        """Name a fault in the task's language."""
        return FieldProblem(field, zh if self.lang == "zh" else en)


def known_labels(
    t: TaskType, sample: Mapping[str, Any], profile: LengthProfile | None, *, show: str = "label"
) -> tuple[str, ...]:
    """Return the labels that a row may carry; empty when nothing says.

    A sample's own label set decides; else the values seen over all samples, with the sample's own.
    """
    for field in t.input_fields:
        if field.show == "label_set" and show == "label":
            column = t.column(field.name, sample)
            if column is not None and (given := as_items(sample[column])):
                return tuple(dict.fromkeys(given))
    found: dict[str, None] = {}
    for field in t.input_fields:
        if field.show != show:
            continue
        column = t.column(field.name, sample)
        if column is not None:
            value = sample[column]
            own = kinds_of(value) if show == "types" else ([value.strip()] if isinstance(value, str) else [])
            found.update(dict.fromkeys(name for name in own if name))
        if profile is not None:
            everywhere = t.column(field.name, profile.labels)
            seen = profile.labels[everywhere] if everywhere is not None else ()
            found.update(
                dict.fromkeys(name for cell in seen for name in (as_items(cell) if show == "types" else [cell]))
            )
    return tuple(found)
