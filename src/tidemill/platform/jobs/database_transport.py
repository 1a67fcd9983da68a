"""The database as carrier of tickets: its change notices wake the workers, and nothing can be away.

On SQLite a commit is noticed within this process at once and by others within half a second, on PostgreSQL by
LISTEN/NOTIFY. Every worker is woken and the rows' locks decide who gets what.
"""

from collections.abc import Mapping, Sequence

from tidemill.kernel import clock
from tidemill.platform.jobs.transport import Facts, StillDead, Ticket, Wake


class DatabaseTransport:
    """Carries nothing: the enqueuing transaction rings the bell itself."""

    remote = False
    connected = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._since = clock.now()

    def facts(self) -> Facts:
        """Say that it is up, as the database is."""
        return Facts(name=self.name, state="up", since=self._since)

    async def start(self) -> None:
        """Need nothing."""

    async def publish(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Send nothing."""
        del tickets
        return ()

    async def consume(self, queue: str, prefetch: int, wake: Wake) -> None:
        """Receive nothing."""

    async def pause(self, queue: str) -> None:
        """Leave it to the claim, which looks at the queue's row."""

    async def resume(self, queue: str) -> None:
        """Leave it to the claim."""

    async def bury(self, ticket: Ticket, reason: str) -> None:
        """Leave no marker: the row is all there is."""

    async def settle_dead(self, still_dead: StillDead) -> int:
        """Have no markers."""
        del still_dead
        return 0

    async def depths(self) -> Mapping[str, int]:
        """Hold no tickets."""
        return {}

    async def stop_consuming(self) -> None:
        """Have nothing to stop."""

    async def close(self) -> None:
        """Have nothing to close."""
