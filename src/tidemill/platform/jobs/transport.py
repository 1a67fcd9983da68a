"""What carries tickets between processes. A ticket is a wake-up, not a job.

The row in the database is the job. A ticket says that a job of some queue waits; whoever receives it claims the best
waiting job of that queue from the database, then acknowledges the ticket. So priority, pauses and bounds hold on every
engine alike, a lost ticket costs latency (workers look by themselves every few seconds) and one delivered twice costs
one look. While a broker is away, ``connected`` is False and the workers live on the database alone.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Ticket(Struct, frozen=True):
    """Says that a job waits in ``queue``, or will after ``delay_s``."""

    job_id: str
    epoch: int
    queue: str
    delay_s: float = 0.0

    @property
    def name(self) -> str:
        """The message id: which job, in which of its lives."""
        return f"{self.job_id}:{self.epoch}"


class Facts(Struct, frozen=True, kw_only=True):
    """One process's end of the transport, for the console, for metrics and for the worker's row.

    Counts are since the process started; ``error`` is what the last failure said.
    """

    name: str
    state: str  # up | connecting | down
    since: datetime
    reconnects: int = 0
    published: int = 0
    refused: int = 0
    delivered: int = 0
    redelivered: int = 0
    nacked: int = 0
    error: str | None = None


# Told which tickets came for a queue; returns once their jobs have been looked for in the database, and only then are
# the tickets acknowledged. Raises when the database could not be asked: the tickets go back.
Wake = Callable[[str, Sequence[Ticket]], Awaitable[None]]
# Of these job ids, which are still dead letters?
StillDead = Callable[[Sequence[str]], Awaitable[frozenset[str]]]


class Transport(Protocol):
    """One process's end of whatever carries tickets.

    No method raises because the server is away: it is connected to in the background, again and again.
    """

    name: str
    # False: the database itself carries (nothing is published, and nothing can be away).
    remote: bool

    @property
    def connected(self) -> bool:
        """Tell whether tickets can be sent and received now."""
        ...

    def facts(self) -> Facts:
        """Return this end's state and counts."""
        ...

    async def start(self) -> None:
        """Begin to connect, and keep connected until closed."""
        ...

    async def publish(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Send tickets; returns those that the server has confirmed to keep.

        A ticket with a delay that this transport cannot hold back is not among them: the relay sends it when due.
        """
        ...

    async def consume(self, queue: str, prefetch: int, wake: Wake) -> None:
        """Receive the tickets of ``queue``, at most ``prefetch`` unacknowledged at a time, until stopped."""
        ...

    async def pause(self, queue: str) -> None:
        """Receive no more of ``queue``; what was received and not acknowledged goes back."""
        ...

    async def resume(self, queue: str) -> None:
        """Receive ``queue`` again."""
        ...

    async def bury(self, ticket: Ticket, reason: str) -> None:
        """Leave a marker of a dead job where the server's own tools show dead letters."""
        ...

    async def settle_dead(self, still_dead: StillDead) -> int:
        """Remove the markers of jobs that are dead no more; returns how many."""
        ...

    async def depths(self) -> Mapping[str, int]:
        """Return how many tickets the server holds, by queue; empty when it cannot be asked."""
        ...

    async def stop_consuming(self) -> None:
        """Receive nothing more; unacknowledged tickets go back."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...
