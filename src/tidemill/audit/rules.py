"""What may stand in an entry's details: anything but secrets.

Pure. Callers pass the before and after of what they changed; a field whose name speaks of a secret is masked here,
once, so that no caller has to remember.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

MASK = "•••"
MAX_TEXT = 500
_SECRET_WORDS = ("password", "secret", "token", "api_key", "apikey", "key_hash", "authorization", "cookie", "pepper")
_SECRET_NAMES = frozenset({"key", "keys", "credential", "credentials"})


def masked(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``details`` with secrets masked and texts cut to 500 characters."""
    return {name: MASK if _is_secret(name, value) else _value(value) for name, value in details.items()}


def storable(text: str, limit: int) -> str:
    """Return a text that fits its column: at most ``limit`` characters, and no NUL, which PostgreSQL refuses."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:limit]


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return masked(cast("Mapping[str, Any]", value))
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_value(item) for item in cast("Sequence[Any]", value)]
    return value


def _is_secret(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool | int | float):
        return False
    plain = name.lower().replace("-", "_")
    return plain in _SECRET_NAMES or any(word in plain for word in _SECRET_WORDS)
