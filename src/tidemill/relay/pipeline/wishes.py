"""What a caller says of the gateway itself, in headers; a word that we do not know says nothing."""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from tidemill.relay.pipeline.ask import CacheWish, Headers

_OURS = (b"x-gateway-", b"x-stainless-retry-count")
_SWITCH = {b"on": True, b"off": False}
_CACHE_WORDS = frozenset({"on", "off", "refresh"})
_MAX_TOLD = 200
_MAX_DIGITS = 3


class Wishes(Struct, frozen=True):
    """``cache``: whether a kept answer will do. ``continues``: whether a broken stream may go on elsewhere.

    ``region``: where it must be served; ``session``: what it belongs to; ``retried``: how often the client's SDK has
    tried already, for its tries and ours must not multiply.
    """

    cache: CacheWish = ""
    continues: bool | None = None
    region: str | None = None
    session: str | None = None
    retried: int = 0


_NONE = Wishes()


def wishes_of(headers: Headers) -> Wishes:
    """Read what is said in ``headers``, whose names are in lower case."""
    ours = {name: value.strip() for name, value in headers if name.startswith(_OURS)}
    if not ours:
        return _NONE
    word = ours.get(b"x-gateway-cache", b"").lower().decode("latin-1")
    retried = ours.get(b"x-stainless-retry-count", b"")
    return Wishes(
        cast("CacheWish", word) if word in _CACHE_WORDS else "",
        _SWITCH.get(ours.get(b"x-gateway-continue", b"")),
        _text(ours, b"x-gateway-region"),
        _text(ours, b"x-gateway-session"),
        int(retried) if retried.isdigit() and len(retried) <= _MAX_DIGITS else 0,
    )


def _text(ours: Mapping[bytes, bytes], name: bytes) -> str | None:
    """Return a short value as text; None when it is absent or nothing that may stand in a log."""
    value = ours.get(name, b"")
    if not 0 < len(value) <= _MAX_TOLD or not value.isascii():
        return None
    text = value.decode("ascii")
    return text if text.isprintable() else None
