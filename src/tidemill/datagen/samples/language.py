"""Which language samples are written in, told by script alone.

Chinese when at least three letters in ten are Han; that is the share a task's language rule asks of Chinese text.
"""

from typing import Any, cast

from tidemill.datagen.samples.contracts import LanguageHint

_ROWS = 200
_CHARACTERS = 2000
_HAN_SHARE = 0.30


class LanguageSense:
    """Looks at the values of the first 200 rows, 2,000 characters of each."""

    def __init__(self) -> None:
        self._rows = 0
        self._han = 0
        self._letters = 0

    def see(self, row: dict[str, Any]) -> None:
        """Take one row into account."""
        if self._rows >= _ROWS:
            return
        self._rows += 1
        for character in value_text(row)[:_CHARACTERS]:
            if character.isalpha():
                self._letters += 1
                self._han += "\u3400" <= character <= "\u9fff"

    def hint(self) -> LanguageHint | None:
        """Return the language, None when the rows hold no letters."""
        if not self._letters:
            return None
        return "zh" if self._han / self._letters >= _HAN_SHARE else "en"


def value_text(value: Any) -> str:
    """Return every leaf of a JSON value as text, one a line; keys are not part of it."""
    leaves: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(reversed(list(cast("dict[str, Any]", item).values())))
        elif isinstance(item, list):
            stack.extend(reversed(cast("list[Any]", item)))
        elif isinstance(item, bool):
            leaves.append("true" if item else "false")
        elif item is not None:
            leaves.append(str(item))
    return "\n".join(leaves)
