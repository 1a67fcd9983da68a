"""What a caller says of the gateway itself, in headers of our own; a word that we do not know says nothing."""

from typing import cast

from msgspec import Struct

from tidemill.relay.pipeline.ask import CacheWish, Headers

_OURS = b"x-gateway-"
_CACHE = b"x-gateway-cache"
_CONTINUE = b"x-gateway-continue"
_SWITCH = {b"on": True, b"off": False}
_CACHE_WORDS = frozenset({"on", "off", "refresh"})


class Wishes(Struct, frozen=True):
    """``cache``: whether a kept answer will do. ``continues``: whether a broken stream may go on elsewhere."""

    cache: CacheWish = ""
    continues: bool | None = None


_NONE = Wishes()


def wishes_of(headers: Headers) -> Wishes:
    """Read the headers that begin with ``x-gateway-``; names are in lower case."""
    ours = {name: value for name, value in headers if name.startswith(_OURS)}
    if not ours:
        return _NONE
    word = ours.get(_CACHE, b"").strip().lower().decode("latin-1")
    return Wishes(
        cast("CacheWish", word) if word in _CACHE_WORDS else "", _SWITCH.get(ours.get(_CONTINUE, b"").strip())
    )
