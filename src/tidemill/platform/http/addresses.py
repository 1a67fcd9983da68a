"""Which addresses the product may be sent to: the guard against server-side request forgery.

Twice checked: the text when somebody saves it (``check_address``), and each resolved number when a connection is
opened (``address_allowed``), because a name may resolve to something else by then.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from tidemill.kernel.errors import BadInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata services of clouds that answer outside 169.254.0.0/16: Alibaba, Oracle, AWS over IPv6.
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata", "instance-data", "metadata.goog"})
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")
_SHARED = ipaddress.ip_network("100.64.0.0/10")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MAX_URL = 2048
_MAX_PORT = 65_535


def check_address(url: str, *, allow_private: bool, field: str = "url") -> None:
    """Refuse an address that must not be called; names are not resolved here.

    ``allow_private`` lets loopback, private and local names through, as an administrator may set them; link-local
    and metadata addresses never. Raises BadInput naming ``field``.
    """
    parts = _split(url, field)
    host = (parts.hostname or "").rstrip(".").lower()
    if host in _METADATA_NAMES:
        raise BadInput.of(field, "points at a metadata service, which is never called")
    number = _number(host)
    if number is not None:
        if not address_allowed(number, allow_private=allow_private):
            raise BadInput.of(field, _why_not(allow_private=allow_private))
    elif not allow_private and (host in _LOCAL_NAMES or host.endswith(_LOCAL_NAMES) or "." not in host):
        raise BadInput.of(field, _why_not(allow_private=False))


def address_allowed(address: str | Address, *, allow_private: bool) -> bool:
    """Tell whether a numeric address may be connected to."""
    number = _plain(ipaddress.ip_address(address) if isinstance(address, str) else address)
    if number.is_link_local or number in _METADATA or number.is_multicast or number.is_unspecified:
        return False
    if allow_private:
        return not (number.version == 4 and number.is_reserved)  # noqa: PLR2004 - Internet protocol version
    return number.is_global and number not in _SHARED


def _plain(number: Address) -> Address:
    """Unwrap an IPv4 address that travels inside an IPv6 one."""
    if isinstance(number, ipaddress.IPv6Address):
        if number.ipv4_mapped is not None:
            return number.ipv4_mapped
        if number in _NAT64:
            return ipaddress.IPv4Address(int(number) & 0xFFFF_FFFF)
        if number.sixtofour is not None:
            return number.sixtofour
    return number


def _split(url: str, field: str) -> SplitResult:
    if len(url) > _MAX_URL or any(ord(char) <= ord(" ") for char in url):
        raise BadInput.of(field, f"must be an address without spaces, at most {_MAX_URL} characters long")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadInput.of(field, "is not a valid address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput.of(field, "must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise BadInput.of(field, "must not hold a user name or password; send the key in its own field")
    if parts.query or parts.fragment:
        raise BadInput.of(field, "must not hold a query or a fragment")
    if port is not None and not 0 < port <= _MAX_PORT:
        raise BadInput.of(field, "has no valid port")
    return parts


def _number(host: str) -> Address | None:
    """Return the number that ``host`` is, in any spelling that a resolver would accept (0x7f.1, 2130706433)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass  # not in the usual spelling; the old ones follow
    import socket  # noqa: PLC0415 - only for odd spellings

    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _why_not(*, allow_private: bool) -> str:
    if allow_private:
        return "is a link-local, metadata or reserved address, which is never called"
    return "is not a public address; only an administrator may set private ones"
