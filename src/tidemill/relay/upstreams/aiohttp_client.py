"""The HTTP client: aiohttp, one session for each channel, opened by its first call."""

import asyncio
import os
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from tidemill.platform.http import open_session
from tidemill.platform.tasks import apart
from tidemill.relay.upstreams.inflate import unpacked
from tidemill.relay.upstreams.port import (
    Errand,
    Take,
    UpstreamAnswer,
    UpstreamBrokenError,
    pour_by_reading,
    read_whole,
)
from tidemill.wire.openai_errors import redact

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

# aiohttp warns of larger bodies given as bytes; a file-like one is sent in pieces.
_LARGE_BODY_BYTES = 1024 * 1024
# After [DONE] the end of the body is due at once; waiting this long for it saves a connection.
_END_GRACE_S = 0.25


class _Pool:
    """A session and how many calls use it; a retired one is closed by its last call."""

    __slots__ = ("in_use", "retired", "session")

    def __init__(self, session: "ClientSession") -> None:
        self.session = session
        self.in_use = 0
        self.retired = False

    async def leave(self) -> None:
        self.in_use -= 1
        if self.retired and not self.in_use:
            await self.session.close()


class AiohttpUpstreams:
    """Sessions by channel. ``allow_private``: whether private and loopback addresses may be connected to."""

    def __init__(self, *, allow_private: bool, connect_timeout_s: float) -> None:
        self._allow_private = allow_private
        self._connect_timeout_s = connect_timeout_s
        self._pools: dict[int, _Pool] = {}

    async def send(self, errand: Errand) -> UpstreamAnswer:
        """Send the errand and return the answer once its head is there."""
        pool = self._pools.get(errand.pool)
        if pool is None:
            session = open_session(allow_private=self._allow_private, connect_timeout_s=self._connect_timeout_s)
            pool = self._pools[errand.pool] = _Pool(session)
        body = errand.body if len(errand.body) <= _LARGE_BODY_BYTES else BytesIO(errand.body)
        pool.in_use += 1
        try:
            response = await pool.session.request(
                errand.method, errand.url, data=body or None, headers=errand.headers, allow_redirects=False
            )
        except (OSError, ValueError, *_client_errors()) as error:
            await pool.leave()
            raise _broken(error) from error
        except BaseException:
            await pool.leave()
            raise
        return await unpacked(_Answer(response, pool))

    async def forget(self, pool: int) -> None:
        """Close the session of a channel that is gone, once its calls under way have ended."""
        known = self._pools.pop(pool, None)
        if known is None:
            return
        known.retired = True
        if not known.in_use:
            await known.session.close()

    async def close(self) -> None:
        """Close every session at once, calls under way included."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.session.close()


class _Answer:
    """An aiohttp response behind the port."""

    __slots__ = ("_pool", "_response", "headers", "status")

    def __init__(self, response: "ClientResponse", pool: _Pool) -> None:
        self._response = response
        self._pool = pool
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit: int) -> bytes:
        """Return the whole body."""
        return await read_whole(self, limit)

    async def next(self) -> bytes:
        """Return what has come."""
        try:
            return await self._response.content.readany()
        except (OSError, *_client_errors()) as error:
            raise _broken(error) from error
        except RuntimeError as error:  # aiohttp's word for a session that was closed meanwhile
            raise UpstreamBrokenError("the client was closed") from error

    async def pour(self, take: Take) -> None:
        """Hand on what comes."""
        await apart("stream", pour_by_reading(self, take))

    async def finish(self) -> None:
        """Give the connection back if the body is at its end, or ends within a moment."""
        content = self._response.content
        if not content.at_eof():
            try:
                async with asyncio.timeout(_END_GRACE_S):
                    await content.readany()
            except (TimeoutError, OSError, *_client_errors()):
                await self.abort()
                return
        self._response.release()
        await self._pool.leave()

    async def abort(self) -> None:
        """Close the connection."""
        self._response.close()
        await self._pool.leave()


def _client_errors() -> tuple[type[Exception], ...]:
    import aiohttp  # noqa: PLC0415 - loaded on first use

    return (aiohttp.ClientError,)


def _broken(error: BaseException) -> UpstreamBrokenError:
    """Say what broke without an address in it: callers may not know where channels lead."""
    kind = type(error).__name__.removeprefix("Client")
    os_error = getattr(error, "os_error", None) or error
    number: int | None = getattr(os_error, "errno", None)
    # The loops' own words for an error hold the address; the system's do not.
    reason = os.strerror(number) if number and number > 0 else str(error) if kind == "ServerDisconnectedError" else ""
    return UpstreamBrokenError(redact(f"{kind}: {reason}" if reason else kind))
