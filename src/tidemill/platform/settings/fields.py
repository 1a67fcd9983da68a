"""Walk the settings model: every setting with its type, default and documentation."""

import types
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from tidemill.platform.settings.doc import Doc
from tidemill.platform.settings.model import Settings


class Field(Struct, frozen=True):
    """One setting, named by its dotted path."""

    path: str
    type: Any
    default: Any
    doc: Doc

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return "TIDEMILL_" + self.path.upper().replace(".", "__")

    @property
    def is_list(self) -> bool:
        """Whether the setting is a list (so that text is split at commas)."""
        return _holds(self.type, tuple)

    @property
    def is_mapping(self) -> bool:
        """Whether the setting is a mapping (so that text is JSON)."""
        return _holds(self.type, dict)


@cache
def all_fields() -> Mapping[str, Field]:
    """Return every setting by its dotted path, in the order of the model."""
    return {field.path: field for field in _walk()}


def _walk() -> Iterator[Field]:
    for group in msgspec.structs.fields(Settings):
        hints = get_type_hints(group.type, include_extras=True)
        for entry in msgspec.structs.fields(group.type):
            annotation = hints[entry.name]
            documentation = [extra for extra in get_args(annotation)[1:] if isinstance(extra, Doc)]
            if get_origin(annotation) is not Annotated or not documentation:
                raise TypeError(f"setting {group.name}.{entry.name} has no Doc")
            default = entry.default
            if default is NODEFAULT and entry.default_factory is not NODEFAULT:
                default = entry.default_factory()
            yield Field(f"{group.name}.{entry.name}", get_args(annotation)[0], default, documentation[0])


def _holds(annotation: Any, kind: type) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_holds(member, kind) for member in get_args(annotation))
    return annotation is kind or origin is kind


def from_plain(kind: type, value: Any) -> Any:
    """Build the types that msgspec does not know from plain values."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"cannot make {kind} of {type(value).__name__}")
