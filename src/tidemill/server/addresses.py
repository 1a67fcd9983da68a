"""The caller's address: the socket's, or what a trusted proxy says."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from tidemill.kernel.errors import BadInput


class AddressReader:
    """Believes ``X-Forwarded-For`` only from the proxies that were named; walks it from the right."""

    def __init__(self, trusted: Sequence[str]) -> None:
        try:
            self._trusted = [ip_network(entry, strict=False) for entry in trusted]
        except ValueError as error:
            raise BadInput.of("server.trusted_proxies", str(error)) from error

    def client(self, scope: Mapping[str, Any], headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Return the nearest address that is not a trusted proxy's."""
        peer: str | None = scope["client"][0] if scope.get("client") else None
        if peer is None or not self._trusted or not self._is_trusted(peer):
            return peer
        chain = [
            part.strip()
            for name, value in headers
            if name == b"x-forwarded-for"
            for part in value.decode("latin-1").split(",")
        ]
        for address in reversed(chain):
            if not _is_address(address):
                break
            if not self._is_trusted(address):
                return address
        return peer

    def _is_trusted(self, text: str) -> bool:
        return _is_address(text) and any(ip_address(text) in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
