"""Check decoded JSON against a provider's rules, and say where it breaks them.

A check is a function of a value and of strictness; it raises Problem. Combined, checks read like the provider's
reference page. Each face words a Problem in its provider's manner.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, cast

Check = Callable[[Any, bool], None]
Reason = Literal["unknown", "missing", "type", "value"]


class Problem(Exception):
    """A value breaks a rule. ``path`` leads to it from the outside in; ``detail`` says what would be right."""

    def __init__(self, reason: Reason, detail: str, *path: str | int) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.path: list[str | int] = list(path)

    def dotted(self) -> str:
        """Return the path as ``messages.0.content``."""
        return ".".join(str(step) for step in self.path)

    def bracketed(self) -> str:
        """Return the path as ``messages[0].content``."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")


def anything(_value: Any, _strict: bool) -> None:  # noqa: FBT001 - every check has this shape
    """Accept every value."""


def text(least: int = 0, most: int | None = None) -> Check:
    """Accept a string of ``least`` to ``most`` characters."""

    def check(value: Any, _strict: bool) -> None:  # noqa: FBT001
        if not isinstance(value, str):
            raise Problem("type", "a string")
        if len(value) < least:
            raise Problem("value", f"a string with at least {least} character{'s' * (least > 1)}")
        if most is not None and len(value) > most:
            raise Problem("value", f"a string with at most {most} characters")

    return check


def number(low: float, high: float = float("inf"), *, is_whole: bool = False) -> Check:
    """Accept a number from ``low`` to ``high``."""

    def check(value: Any, _strict: bool) -> None:  # noqa: FBT001
        if isinstance(value, bool) or not isinstance(value, int | float) or (is_whole and not isinstance(value, int)):
            raise Problem("type", "an integer" if is_whole else "a number")
        if value < low:
            raise Problem("value", f"greater than or equal to {low:g}")
        if value > high:
            raise Problem("value", f"less than or equal to {high:g}")

    return check


def whole(low: float, high: float = float("inf")) -> Check:
    """Accept an integer from ``low`` to ``high``."""
    return number(low, high, is_whole=True)


def flag(value: Any, _strict: bool) -> None:  # noqa: FBT001
    """Accept true and false."""
    if not isinstance(value, bool):
        raise Problem("type", "a boolean")


def record(value: Any, _strict: bool) -> None:  # noqa: FBT001
    """Accept an object whatever it holds."""
    if not isinstance(value, dict):
        raise Problem("type", "an object")


def one_of(*words: str) -> Check:
    """Accept one of these strings."""
    allowed = frozenset(words)
    listed = ", ".join(f"'{word}'" for word in words)

    def check(value: Any, _strict: bool) -> None:  # noqa: FBT001
        if not isinstance(value, str):
            raise Problem("type", "a string")
        if value not in allowed:
            raise Problem("value", f"one of {listed}")

    return check


def null_or(inner: Check) -> Check:
    """Accept null and what ``inner`` accepts."""

    def check(value: Any, strict: bool) -> None:  # noqa: FBT001
        if value is not None:
            inner(value, strict)

    return check


def list_of(item: Check, least: int = 0, most: int | None = None) -> Check:
    """Accept an array of ``least`` to ``most`` such items."""

    def check(value: Any, strict: bool) -> None:  # noqa: FBT001
        if not isinstance(value, list):
            raise Problem("type", "an array")
        items = cast("list[Any]", value)
        if len(items) < least:
            raise Problem("value", f"an array with at least {least} item{'s' * (least > 1)}")
        if most is not None and len(items) > most:
            raise Problem("value", f"an array with at most {most} items")
        for at, part in enumerate(items):
            try:
                item(part, strict)
            except Problem as problem:
                problem.path.insert(0, at)
                raise

    return check


def fields(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """Accept an object with these fields; when strict, with no others."""
    known = {**required, **(optional or {})}

    def check(value: Any, strict: bool) -> None:  # noqa: FBT001
        if not isinstance(value, dict):
            raise Problem("type", "an object")
        given = cast("dict[str, Any]", value)
        for name in required:
            if name not in given:
                raise Problem("missing", "required", name)
        for name, part in given.items():
            inner = known.get(name)
            if inner is None:
                if strict:
                    raise Problem("unknown", "not permitted", name)
                continue
            try:
                inner(part, strict)
            except Problem as problem:
                problem.path.insert(0, name)
                raise

    return check


def by_tag(tag: str, cases: Mapping[str, Check]) -> Check:
    """Accept an object whose field ``tag`` chooses the check of the whole."""
    allowed = one_of(*cases)

    def check(value: Any, strict: bool) -> None:  # noqa: FBT001
        if not isinstance(value, dict):
            raise Problem("type", "an object")
        given = cast("dict[str, Any]", value)
        if tag not in given:
            raise Problem("missing", "required", tag)
        try:
            allowed(given[tag], strict)
        except Problem as problem:
            problem.path.insert(0, tag)
            raise
        cases[given[tag]](value, strict)

    return check


def text_or(inner: Check, least: int = 0) -> Check:
    """Accept a string, or what ``inner`` accepts."""
    string = text(least)

    def check(value: Any, strict: bool) -> None:  # noqa: FBT001
        (string if isinstance(value, str) else inner)(value, strict)

    return check


def known_prefix(tag: str, prefixes: Collection[str], then: Check, otherwise: Check) -> Check:
    """Check objects whose ``tag`` begins with one of ``prefixes`` by ``then``, others by ``otherwise``."""

    def check(value: Any, strict: bool) -> None:  # noqa: FBT001
        name = cast("dict[str, Any]", value).get(tag) if isinstance(value, dict) else None
        is_known = isinstance(name, str) and name.startswith(tuple(prefixes))
        (then if is_known else otherwise)(value, strict)

    return check
