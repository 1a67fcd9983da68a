"""Read JSON as Google's transcoder does: into messages of known fields, in camelCase or snake_case.

``read`` returns the message with camelCase names, bytes decoded, numbers made numbers, null fields left out, and a
single value where a list belongs made a list. What does not fit is refused in the transcoder's words.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from tidemill.simulator.gemini.errors import bad

Reader = Callable[[Any, str], Any]

_UPPER = re.compile(r"(?<!^)([A-Z])")
_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta"


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return _UPPER.sub(lambda match: f"_{match[1].lower()}", name)


def _invalid(path: str, kind: str, value: Any) -> Exception:
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value}"
    return bad(f"Invalid value at '{path}' ({kind}), {shown[:200]}", path)


def _refuse_list(value: Any, path: str) -> None:
    if isinstance(value, list):
        raise bad(
            f'Invalid JSON payload received. Unknown name "{path.rpartition(".")[2]}" at '
            f"'{path.rpartition('.')[0]}': Proto field is not repeating, cannot start list.",
            path,
        )


def string(value: Any, path: str) -> str:
    """Read a string."""
    _refuse_list(value, path)
    if not isinstance(value, str):
        raise _invalid(path, "TYPE_STRING", value)
    return value


def boolean(value: Any, path: str) -> bool:
    """Read a boolean; the words count too."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    _refuse_list(value, path)
    raise _invalid(path, "TYPE_BOOL", value)


def integer(value: Any, path: str) -> int:
    """Read an integer, also as a string of digits or a float without a fraction."""
    _refuse_list(value, path)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        return int(value)
    raise _invalid(path, "TYPE_INT32", value)


def decimal(value: Any, path: str) -> float:
    """Read a number, also as a string."""
    _refuse_list(value, path)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}(?:\.\d{1,15})?", value, re.ASCII):
        return float(value)
    raise _invalid(path, "TYPE_DOUBLE", value)


def octets(value: Any, path: str) -> bytes:
    """Read bytes from base64 of either alphabet, padded or not."""
    _refuse_list(value, path)
    if isinstance(value, str):
        plain = value.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise bad(
                f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{value[:40]}\"", path
            ) from None
    raise _invalid(path, "TYPE_BYTES", value)


def anything(value: Any, _path: str) -> Any:
    """Read any value as it is."""
    return value


def struct(value: Any, path: str) -> dict[str, Any]:
    """Read an object of any fields."""
    _refuse_list(value, path)
    if not isinstance(value, dict):
        raise _invalid(path, "type.googleapis.com/google.protobuf.Struct", value)
    return cast("dict[str, Any]", value)


def enum(name: str, *words: str) -> Reader:
    """Return a reader of an enumeration: its words in any case."""
    known = {word.lower(): word for word in words}

    def read(value: Any, path: str) -> str:
        _refuse_list(value, path)
        found = known.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            raise _invalid(path, f"{_PACKAGE}.{name}", value)
        return found

    return read


def many(reader: Reader) -> Reader:
    """Return a reader of a list; a single value is taken for a list of one."""

    def read(value: Any, path: str) -> list[Any]:
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        return [reader(part, f"{path}[{at}]") for at, part in enumerate(values)]

    return read


def mapped(reader: Reader) -> Reader:
    """Return a reader of an object whose names are free and whose values are alike."""

    def read(value: Any, path: str) -> dict[str, Any]:
        return {name: reader(part, f"{path}['{name}']") for name, part in struct(value, path).items()}

    return read


class Message:
    """A reader of a message; ``fields`` are given under their camelCase names. May refer to itself by ``add``."""

    def __init__(self, name: str, fields: Mapping[str, Reader]) -> None:
        self._name = name
        self._fields: dict[str, tuple[str, Reader]] = {}
        self.add(fields)

    def add(self, fields: Mapping[str, Reader]) -> None:
        """Make more fields known."""
        for name, reader in fields.items():
            self._fields[name] = self._fields[snake(name)] = (name, reader)

    def __call__(self, value: Any, path: str) -> dict[str, Any]:
        """Read the message; raises Refused for a field that it does not have."""
        _refuse_list(value, path)
        if not isinstance(value, dict):
            raise _invalid(path, f"{_PACKAGE}.{self._name}", value)
        out: dict[str, Any] = {}
        for given, part in cast("dict[str, Any]", value).items():
            known = self._fields.get(given)
            if known is None:
                where = f" at '{path}'" if path else ""
                raise bad(
                    f'Invalid JSON payload received. Unknown name "{given}"{where}: Cannot find field.', path or given
                )
            if part is not None:
                name, reader = known
                inner = snake(name)
                out[name] = reader(part, f"{path}.{inner}" if path else inner)
        return out
