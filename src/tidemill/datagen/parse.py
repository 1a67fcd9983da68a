"""Read a model's answer into a row: strip what surrounds the object, repair only as a last resort, check the schema.

Nothing here raises, whatever a model writes: an answer that cannot be used comes back with its problems in words.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol, cast

import msgspec
from msgspec import Struct

from tidemill.datagen.completion import completed
from tidemill.datagen.rules_checks import hard_problems
from tidemill.datagen.task_types import TaskType
from tidemill.kernel.errors import FieldProblem

_LONGEST_CHARS = 200_000  # far above any row; past it an answer is noise and repairing it would cost seconds
_STARTS_TRIED = 20
_PROBLEMS_SHOWN = 5
_PROBLEM_CHARS = 200
_THINK = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THINK_END = re.compile(r"^.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)


class Parsed(Struct, frozen=True):
    """A row, or why there is none. ``repaired``: the text was no valid JSON and was mended by guessing."""

    output: dict[str, Any] | None
    problems: list[str]
    repaired: bool = False


def parse_output(t: TaskType, text: str, finish_reason: str | None) -> Parsed:
    """Read an answer to a generation prompt. ``finish_reason`` length is a failure: the row would be cut off."""
    if finish_reason == "length":
        return Parsed(None, ["The answer was cut off at the token limit; write a shorter row."])
    value, repaired = read_object(text)
    if value is None:
        return Parsed(None, ["The answer holds no JSON object; answer with one object and nothing else."])
    asked = _problems(f"{t.digest}:ask", t.ask_schema, value)
    if asked and t.ask_schema is not t.schema and not _problems(t.digest, t.schema, value):
        asked = []  # the model answered in the stored form, which is as good
    if asked:
        return Parsed(None, [str_of(problem) for problem in asked], repaired)
    output = completed(t, value)
    stored = _problems(t.digest, t.schema, output)
    if stored:
        return Parsed(None, [str_of(problem) for problem in stored], repaired)
    return Parsed(output, [], repaired)


def check_output(t: TaskType, output: Mapping[str, Any]) -> list[FieldProblem]:
    """Return what is wrong with a row that a person wrote or edited: the schema first, then the type's own checks."""
    return _problems(t.digest, t.schema, output) or hard_problems(t, output)


def read_object(text: str) -> tuple[dict[str, Any] | None, bool]:
    """Return the outermost JSON object in ``text`` and whether it had to be repaired; None when there is none."""
    if len(text) > _LONGEST_CHARS:
        return None, False
    plain = _THINK_END.sub("", _THINK.sub("", text)).replace("\x00", "").strip()
    fenced = _FENCE.findall(plain)
    for candidate in (plain, *fenced):
        value = _sound(_decoded(candidate)) or _sound(_embedded(candidate))
        if value is not None:
            return value, False
    value = _sound(_repaired(fenced[-1] if fenced else plain))
    return value, value is not None


def str_of(problem: FieldProblem) -> str:
    """Return a problem as one line."""
    return f"{problem.field}: {problem.message}" if problem.field else problem.message


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _embedded(text: str) -> Any:
    """Return the longest object that starts somewhere in the text."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    best: Any = None
    longest = 0
    at = text.find("{")
    for _ in range(_STARTS_TRIED):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if end - at > longest:
                best, longest = value, end - at
        at = text.find("{", end)
    return best


def _repaired(text: str) -> Any:
    import json_repair  # noqa: PLC0415 - loaded on first use

    at = text.find("{")
    if at < 0:
        return None
    try:
        return cast("Any", json_repair.loads(text[at:], skip_json_loads=True))
    except (ValueError, RecursionError, IndexError, TypeError, AttributeError):
        return None  # the repairer's own slips on odd input; the caller reports that there is no object


def _sound(value: Any) -> dict[str, Any] | None:
    """Return an object that can be stored as UTF-8 JSON text, without null characters; else None."""
    if not isinstance(value, dict) or not value:
        return None
    try:
        data = msgspec.json.encode(value)
        if b"\\u0000" in data:  # PostgreSQL refuses them
            data = re.sub(rb"(?<!\\)((?:\\\\)*)\\u0000", rb"\1", data)
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError, ValueError, OverflowError):
        return None


def _refuse(name: str) -> Any:
    raise ValueError(name)


class _Violation(Protocol):
    @property
    def message(self) -> str: ...
    @property
    def instance_path(self) -> list[str | int]: ...


class _Validator(Protocol):
    def is_valid(self, instance: Any) -> bool: ...
    def iter_errors(self, instance: Any) -> Any: ...


_validators: dict[str, _Validator] = {}


def _problems(key: str, schema: Mapping[str, Any], value: Mapping[str, Any]) -> list[FieldProblem]:
    validator = _validators.get(key)
    if validator is None:
        import jsonschema_rs  # noqa: PLC0415 - loaded on first use

        validator = _validators[key] = cast("_Validator", jsonschema_rs.validator_for(dict(schema)))
    if validator.is_valid(value):
        return []
    errors = cast("list[_Violation]", list(validator.iter_errors(value))[:_PROBLEMS_SHOWN])
    return [
        FieldProblem(".".join(str(step) for step in error.instance_path), error.message[:_PROBLEM_CHARS])
        for error in errors
    ]
