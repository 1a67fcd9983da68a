"""What authentication knows, whole and in memory: users, live keys, sessions taken back.

A snapshot never changes; the keeper swaps it for a newer one. Loading is a port, so that nothing here knows of a
database and the relay's path may import it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from msgspec import Struct

from tidemill.identity.contracts import KeyLimits
from tidemill.kernel.actor import Actor

Network = IPv4Network | IPv6Network


class KnownUser(Struct, frozen=True):
    """A user as far as signing in goes."""

    user_id: int
    username: str
    is_active: bool
    is_admin: bool
    group: str
    epoch: int


class KnownKey(Struct, frozen=True):
    """A key that is not revoked. Times are seconds since 1970; ``networks`` None is everywhere."""

    actor: Actor
    limits: KeyLimits
    expires_at_s: float | None
    networks: tuple[Network, ...] | None

    def allows(self, client_ip: str | None) -> bool:
        """Tell whether the key may be used from ``client_ip``; an unknown address is in no network."""
        if self.networks is None:
            return True
        address = _address(client_ip)
        return address is not None and any(
            address.version == network.version and address in network for network in self.networks
        )


class Snapshot(Struct, frozen=True):
    """Everything at one moment. ``keys`` is by hash; ``revoked`` holds the ``jti`` of sessions taken back."""

    users: Mapping[int, KnownUser]
    keys: Mapping[str, KnownKey]
    revoked: frozenset[str]
    keys_by_id: Mapping[str, KnownKey]

    @classmethod
    def empty(cls) -> "Snapshot":
        """Return what is known before the first load: nobody."""
        return cls({}, {}, frozenset(), {})


class SnapshotKeeper:
    """Holds the snapshot in force.

    Invariant: when ``refresh`` returns, ``current`` was loaded after the call began, so a caller who has just
    committed a change sees it. Calls that wait together share one load.
    """

    def __init__(self, load: Callable[[], Awaitable[Snapshot]]) -> None:
        self._load = load
        self._asked = 0
        self._loaded = 0
        self._turn = asyncio.Lock()
        self._stale = asyncio.Event()
        self.current = Snapshot.empty()

    @property
    def is_fresh(self) -> bool:
        """Whether every change heard of so far is in ``current``."""
        return not self._stale.is_set() and self._loaded == self._asked

    async def refresh(self) -> None:
        """Load again, unless somebody's load that began after this call already did."""
        self._asked += 1
        mine = self._asked
        async with self._turn:
            if self._loaded >= mine:
                return
            serves = self._asked
            self.current = await self._load()
            self._loaded = serves

    def mark_stale(self) -> None:
        """Note that the database changed; ``follow`` will load. Safe to call any number of times."""
        self._stale.set()

    async def follow(self, on_failure: Callable[[Exception], None], pause_s: float = 1.0) -> None:
        """Load after each change, until cancelled. A failed load is reported and tried again after ``pause_s``."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - the edge of a background loop: whatever failed, the old snapshot stays
                on_failure(error)
                self._stale.set()
                await asyncio.sleep(pause_s)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 callers as ::ffff:a.b.c.d.
    return getattr(address, "ipv4_mapped", None) or address
