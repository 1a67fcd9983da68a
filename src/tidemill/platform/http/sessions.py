"""Client sessions with defaults that suit a relay: nothing decoded, nothing capped, nothing kept.

aiohttp is imported when the first session is opened: about 100 ms and 10 MB that a start does not need.
"""

import socket
from typing import TYPE_CHECKING

from tidemill.platform.http.addresses import address_allowed

if TYPE_CHECKING:
    from aiohttp import ClientSession

CONNECT_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 30.0
_DNS_TTL_S = 60
_READ_BUFFER_BYTES = 64 * 1024


def open_session(*, allow_private: bool, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> "ClientSession":
    """Open a session of its own pool; close it with ``await session.close()``.

    No limit on connections (our own limits rule), no total time-out (callers keep deadlines), no cookies, no proxy
    from the environment, bodies as they come. A connection is opened only to addresses that ``address_allowed``.
    """
    import aiohttp  # noqa: PLC0415 - loaded on first use
    from aiohttp.abc import AbstractResolver, ResolveResult  # noqa: PLC0415 - as above

    class _GuardedResolver(AbstractResolver):
        """Resolve names, then drop the numbers that must not be called."""

        def __init__(self) -> None:
            self._inner = aiohttp.ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await self._inner.resolve(host, port, family)
            allowed = [entry for entry in found if address_allowed(entry["host"], allow_private=allow_private)]
            if not allowed:
                raise OSError(f"{host} resolves to no address that may be called")
            return allowed

        async def close(self) -> None:
            await self._inner.close()

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=_DNS_TTL_S,
            resolver=_GuardedResolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_BUFFER_BYTES,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
    )
