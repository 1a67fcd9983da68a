"""Fetch pictures that a request names by address, for providers that fetch none themselves.

A user chose the address, so only public ones are called, whatever administrators may name: each hop is checked as text
and each resolved number when the connection opens.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin

from tidemill.kernel.errors import BadInput
from tidemill.platform.http import check_address, open_session
from tidemill.relay.errors import RequestUnreadable
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_media import remote_sources, with_sources
from tidemill.wire.canonical_parts import Inline, Remote

if TYPE_CHECKING:
    from aiohttp import ClientSession, StreamReader

MAX_BYTES = 20 * 1024 * 1024
MAX_FETCHED = 16
TIMEOUT_S = 20.0
_MAX_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_HEADERS = {
    "accept": "image/*, application/pdf, audio/*, */*;q=0.1",
    "user-agent": "tidemill",
    "accept-encoding": "identity",
}
_UNTOLD_TYPE = "application/octet-stream"
# The first bytes of what servers send without a type.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)


class Media(Protocol):
    """Puts bytes where a request has addresses."""

    async def fill(self, request: Request) -> Request:
        """Return the request with every address fetched; raises RequestUnreadable, naming what could not be."""
        ...


class MediaFetcher:
    """Fetches with a session of its own. ``allow_private``: only ever true where tests serve the pictures."""

    def __init__(self, *, allow_private: bool = False, max_bytes: int = MAX_BYTES) -> None:
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._session: ClientSession | None = None

    async def fill(self, request: Request) -> Request:
        """Fetch every address: at most ``MAX_FETCHED``, ``max_bytes`` together, within ``TIMEOUT_S`` seconds."""
        urls = list(dict.fromkeys(source.url for source in remote_sources(request)))
        if not urls:
            return request
        if len(urls) > MAX_FETCHED:
            raise RequestUnreadable.because(f"more than {MAX_FETCHED} addresses of pictures; send the bytes themselves")
        fetched: dict[str, Inline] = {}
        left = self._max_bytes
        try:
            async with asyncio.timeout(TIMEOUT_S):
                for url in urls:  # one after the other: together they share one bound
                    fetched[url], size = await self._fetch(url, left)
                    left -= size
        except TimeoutError:
            raise _refused("it did not come in time") from None

        def bytes_of(source: Remote) -> Inline:
            return fetched[source.url]

        return with_sources(request, bytes_of)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _fetch(self, url: str, left: int) -> tuple[Inline, int]:
        import aiohttp  # noqa: PLC0415 - loaded on first use

        if self._session is None:
            self._session = open_session(allow_private=self._allow_private)
        at = url
        for _ in range(_MAX_HOPS + 1):
            self._check(at)
            try:
                async with self._session.get(at, headers=_HEADERS, allow_redirects=False) as answer:
                    if answer.status in _REDIRECTS:
                        at = urljoin(at, answer.headers.get("location", ""))
                        continue
                    if answer.status != _OK:
                        raise _refused(f"its server answered {answer.status}")
                    data = await _read(answer.content, left)
                    return Inline(_type_of(answer.headers, data), base64.b64encode(data).decode()), len(data)
            except (OSError, ValueError, aiohttp.ClientError):
                raise _refused("its server cannot be reached") from None
        raise _refused("it is redirected too often")

    def _check(self, url: str) -> None:
        # A picture's address may have a query; the guard looks at the host and forbids queries for other reasons.
        try:
            check_address(url.partition("#")[0].partition("?")[0], allow_private=self._allow_private)
        except BadInput as error:
            raise _refused(error.fields[0].message if error.fields else "it may not be called") from None


async def _read(content: "StreamReader", left: int) -> bytes:
    data = bytearray()
    while piece := await content.readany():
        data += piece
        if len(data) > left:
            raise _refused("it is too large")
    return bytes(data)


def _type_of(headers: Mapping[str, str], data: bytes) -> str:
    told = headers.get("content-type", "").partition(";")[0].strip().lower()
    if told and told != _UNTOLD_TYPE:
        return told
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), told or _UNTOLD_TYPE)


def _refused(why: str) -> RequestUnreadable:
    return RequestUnreadable.because(f"a picture's address could not be fetched for this model ({why}); send its bytes")
