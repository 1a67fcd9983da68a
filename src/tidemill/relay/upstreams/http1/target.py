"""Where a request goes, and the bytes that open it: read once for each address, not once for each call."""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urlsplit

from msgspec import Struct

from tidemill.relay.upstreams.port import UpstreamBrokenError

_PORTS = {"http": 80, "https": 443}
_PATH_CHARS = "/%:@!$&'()*+,;=~"
_QUERY_CHARS = _PATH_CHARS + "?"
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\0\r\n]*", re.ASCII)
_HOST = re.compile(r"[!-~]+", re.ASCII)
# What says how long a request is, and where it goes, is ours alone to say.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})

Header = tuple[str, str]


class Place(Struct, frozen=True):
    """One end of connections. ``host`` is a name in ASCII or a number, without brackets."""

    host: str
    port: int
    tls: bool


class Target:
    """An address: its place, and its request line ready to be sent."""

    __slots__ = ("_headers", "_line", "_ready", "place")

    def __init__(self, url: str, method: str = "POST") -> None:
        """Read ``url``; raises UpstreamBrokenError when it is none that can be called."""
        parts = _split(url)
        try:
            name, port = _name_of(parts), parts.port or _PORTS[parts.scheme]
        except (KeyError, ValueError):
            raise UpstreamBrokenError("the address is not a valid one") from None
        self.place = Place(name, port, parts.scheme == "https")
        path = quote(parts.path or "/", safe=_PATH_CHARS)
        query = "?" + quote(parts.query, safe=_QUERY_CHARS) if parts.query else ""
        host = f"[{name}]" if ":" in name else name
        told = host if port == _PORTS[parts.scheme] else f"{host}:{port}"
        self._line = f"{method} {path}{query} HTTP/1.1\r\nhost: {told}\r\n"
        self._headers: Sequence[Header] = ()
        self._ready = b""

    def head(self, headers: Sequence[Header]) -> bytes:
        """Return the request up to the number of ``content-length``; made anew only when ``headers`` are others.

        Raises UpstreamBrokenError for a header that would break out of its line.
        """
        if headers != self._headers or not self._ready:
            self._ready = self._made(headers)
            self._headers = tuple(headers) if isinstance(headers, tuple) else list(headers)
        return self._ready

    def _made(self, headers: Sequence[Header]) -> bytes:
        lines = [f"{name}: {value}" for name, value in headers if name.lower() not in _OURS]
        if not all(map(_HEADER.fullmatch, lines)):
            raise UpstreamBrokenError("a header cannot be sent as it is")
        text = self._line + "".join(f"{line}\r\n" for line in lines) + "content-length: "
        return text.encode("utf-8")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UpstreamBrokenError("the address is not a valid one") from None
    if any(ord(char) <= ord(" ") for char in url) or parts.username is not None:
        raise UpstreamBrokenError("the address is not a valid one")
    return parts


def _name_of(parts: SplitResult) -> str:
    """Return the host as it is resolved and told; raises ValueError without one."""
    name = parts.hostname
    if not name:
        raise ValueError("no host")
    told = name.encode("idna").decode("ascii")  # refuses labels that DNS and TLS cannot spell
    if not _HOST.fullmatch(told):
        raise ValueError(told)
    return told
