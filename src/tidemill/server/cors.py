"""Which other origins a browser may call us from (Fetch standard, CORS protocol)."""

from collections.abc import Sequence

from tidemill.platform.settings.groups.edge import CorsSettings

Pairs = Sequence[tuple[bytes, bytes]]

_MAX_AGE_S = 600
_EXPOSED = (
    b"x-request-id, request-id, retry-after, retry-after-ms, x-ignored-fields, x-dropped-params, content-disposition, "
    b"x-gateway-channel, x-gateway-attempts, x-gateway-overhead-ms, x-gateway-cache, x-upstream-request-id"
)


class Cors:
    """Answers preflights and names allowed origins; ``*`` is never combined with credentials."""

    def __init__(self, settings: CorsSettings, public_url: str | None = None) -> None:
        self._any = "*" in settings.origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in settings.origins)
        self._credentials = settings.allow_credentials and not self._any
        self._own = (public_url or "").rstrip("/").lower().encode()
        self._methods = ", ".join(settings.allow_methods).encode()
        self._headers = ", ".join(settings.allow_headers).encode()

    def headers(self, request: Pairs) -> list[tuple[bytes, bytes]]:
        """Return what an answer to this request carries; nothing for an origin that is not allowed."""
        if not self._origins:
            return []
        origin = _value(request, b"origin")
        if origin is None or not (self._any or origin in self._origins):
            return []
        pairs = [
            (b"access-control-allow-origin", b"*" if self._any else origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]
        if self._credentials:
            pairs.append((b"access-control-allow-credentials", b"true"))
        return pairs

    def vouches(self, request: Pairs) -> bool:
        """Tell whether a page whose browser sends our cookie may use it: one of ours, or of an origin that may.

        WebSockets need this: a browser opens one to anybody, cookie and all, and asks no leave first.
        """
        origin = _value(request, b"origin")
        if origin is None:
            return False
        netloc = origin.lower().partition(b"://")[2]
        if netloc and (netloc == (_value(request, b"host") or b"").lower() or origin.lower() == self._own):
            return True
        return self._credentials and origin in self._origins

    def preflight(self, method: str, request: Pairs) -> list[tuple[bytes, bytes]] | None:
        """Return the headers that answer a preflight, None when this request is none or not an allowed one."""
        wanted = _value(request, b"access-control-request-method")
        if method != "OPTIONS" or wanted is None or not self.headers(request):
            return None
        asked = _value(request, b"access-control-request-headers") or b""
        return [
            # With credentials a literal * means a header of that name, so what was asked for is echoed.
            (b"access-control-allow-methods", wanted if self._methods == b"*" else self._methods),
            (b"access-control-allow-headers", asked if self._headers == b"*" else self._headers),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        ]


def _value(pairs: Pairs, name: bytes) -> bytes | None:
    for key, value in pairs:
        if key == name:
            return value
    return None
