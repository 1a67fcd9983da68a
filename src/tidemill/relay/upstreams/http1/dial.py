"""Open a connection: resolve, refuse numbers that must not be called, try what is left, speak TLS.

A connection goes to the very number that was checked: a name is resolved once for it, never again behind the check.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Sequence

from tidemill.kernel import clock
from tidemill.platform.http import address_allowed
from tidemill.relay.upstreams.http1.connection import Connection
from tidemill.relay.upstreams.http1.race import Found, connect_first, interleaved
from tidemill.relay.upstreams.http1.target import Place
from tidemill.relay.upstreams.port import UpstreamBrokenError

# How long names stay resolved.
DNS_TTL_S = 60.0


class Dialler:
    """Opens connections within ``timeout_s``, name and TLS included. One trust store serves all of them."""

    def __init__(self, *, allow_private: bool, timeout_s: float) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._tls: ssl.SSLContext | None = None

    async def open(self, place: Place, names: "Names", make: Callable[[], Connection]) -> Connection:
        """Return a connection to ``place``, made by ``make``; raises UpstreamBrokenError without an address in it."""
        loop = asyncio.get_running_loop()
        name = place.host.rstrip(".") if place.tls else None

        async def connect(number: str) -> Connection:
            connection = make()
            try:
                await loop.create_connection(lambda: connection, number, place.port, ssl=tls, server_hostname=name)
            except BaseException:
                connection.drop()
                raise
            return connection

        try:
            async with asyncio.timeout(self._timeout_s):
                tls = await self._context() if place.tls else None
                numbers = await names.resolve(place, allow_private=self._allow_private)
                return await connect_first(numbers, connect)
        except TimeoutError:
            names.forget()
            raise UpstreamBrokenError(f"no connection could be opened within {self._timeout_s:g} s") from None
        except OSError as error:
            names.forget()
            raise UpstreamBrokenError(_said(error)) from error

    async def _context(self) -> ssl.SSLContext:
        """Return the trust in the system's authorities (``SSL_CERT_FILE`` names others), read in 10-20 ms."""
        if self._tls is None:
            made = await asyncio.to_thread(ssl.create_default_context)
            made.set_alpn_protocols(["http/1.1"])
            self._tls = self._tls or made
        return self._tls


class Names:
    """The numbers of one place, resolved by one caller at a time and kept for ``DNS_TTL_S``."""

    __slots__ = ("_lock", "_numbers", "_until")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._numbers: Sequence[str] = ()
        self._until = 0.0

    def forget(self) -> None:
        """Resolve again next time."""
        self._numbers = ()

    async def resolve(self, place: Place, *, allow_private: bool) -> Sequence[str]:
        """Return what may be connected to, at least one; raises UpstreamBrokenError when nothing may, or OSError."""
        async with self._lock:
            if self._numbers and clock.monotonic() < self._until:
                return self._numbers
            infos = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            # A number was judged when it was written, and local models have private ones; metadata never passes.
            lenient = allow_private or _is_number(place.host)
            found = [
                Found(family, str(address[0]))
                for family, _, _, _, address in infos
                if address_allowed(str(address[0]).partition("%")[0], allow_private=lenient)
            ]
            if not found:
                raise UpstreamBrokenError("the name leads to no address that may be called")
            self._numbers, self._until = interleaved(found), clock.monotonic() + DNS_TTL_S
            return self._numbers


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _said(error: OSError) -> str:
    """Say what broke; asyncio's own words hold the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why: str = error.verify_message.partition(",")[0]
        return f"the service's certificate is not trusted: {why}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'the service does not speak it'}"
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    return f"no connection could be opened: {os.strerror(error.errno) if error.errno else type(error).__name__}"
