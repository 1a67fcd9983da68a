"""Everything that tidemill keeps on a RabbitMQ server, in one place. ``link`` declares it, as often as it connects.

    publish ──► tidemill.jobs ──(q.<queue>)──► tidemill.q.<queue> ──► workers
                      ▲                               │ given back 20 times
    publish ──► tidemill.delay.<s> (fanout)           ▼
                      │                        tidemill.dlx ──(#)──► tidemill.dead ◄── markers of dead jobs
                      ▼                               ▲
                tidemill.delay.<s> ── time is up ──► tidemill.jobs

Queues are quorum queues: replicated where the server is a cluster, and on disk. Dead-lettering is at least once, which
RabbitMQ offers only together with ``reject-publish``: a full queue refuses, and the publisher hears of it.
Delays are one queue for each length of time. One queue with a time to live for each message would hold a short delay
behind a long one, and the delayed-message plugin does not replicate. Priorities are the database's.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

DELAYS_S = (5, 30, 120, 600, 3600)
# Deliveries of one ticket before the server takes it for poison. RabbitMQ 3 has no limit by default, 4 has this one.
DELIVERY_LIMIT = 20
# Twice the default bound of a queue of jobs, as a second line; the first is at the door, where jobs are accepted.
MAX_TICKETS = 200_000
MAX_MARKERS = 100_000


class Exchange(Struct, frozen=True):
    """A durable exchange."""

    name: str
    type: str


class Queue(Struct, frozen=True):
    """A durable queue and its one binding."""

    name: str
    exchange: str
    key: str
    arguments: dict[str, Any]


class Topology(Struct, frozen=True):
    """The names and declarations below one prefix."""

    prefix: str = "tidemill"

    @property
    def jobs(self) -> str:
        """The exchange that tickets are published to."""
        return f"{self.prefix}.jobs"

    @property
    def dead_letters(self) -> str:
        """The exchange that dead letters and markers of dead jobs pass."""
        return f"{self.prefix}.dlx"

    @property
    def dead(self) -> str:
        """The queue that keeps them."""
        return f"{self.prefix}.dead"

    def queue(self, queue: str) -> str:
        """Name the queue that holds the tickets of ``queue``."""
        return f"{self.prefix}.q.{queue}"

    def delay(self, delay_s: int) -> str:
        """Name the exchange, and its queue, that holds tickets back for ``delay_s`` seconds."""
        return f"{self.prefix}.delay.{delay_s}"

    def exchanges(self) -> Iterator[Exchange]:
        """Yield every exchange; they come before the queues."""
        yield Exchange(self.jobs, "topic")
        yield Exchange(self.dead_letters, "topic")
        for delay_s in DELAYS_S:
            yield Exchange(self.delay(delay_s), "fanout")

    def shared_queues(self) -> Iterator[Queue]:
        """Yield the queues that do not belong to a queue of jobs."""
        # The oldest markers give way: the rows are the truth, and dead letters that cannot get in would stay stuck.
        yield Queue(
            self.dead,
            self.dead_letters,
            "#",
            {"x-queue-type": "quorum", "x-max-length": MAX_MARKERS, "x-overflow": "drop-head"},
        )
        for delay_s in DELAYS_S:
            name = self.delay(delay_s)
            # No routing key of its own: the ticket's survives and names its queue.
            yield Queue(name, name, "", {"x-message-ttl": delay_s * 1000, **_passing_on_to(self.jobs)})

    def job_queue(self, queue: str) -> Queue:
        """Return the queue that holds the tickets of ``queue``."""
        arguments = {"x-delivery-limit": DELIVERY_LIMIT, **_passing_on_to(self.dead_letters)}
        return Queue(self.queue(queue), self.jobs, key(queue), arguments)


def key(queue: str) -> str:
    """Return the routing key of tickets of ``queue``; it stays with them through delays and death."""
    return f"q.{queue}"


def longest_delay_within(delay_s: float) -> int | None:
    """Return the longest delay that ends no later than ``delay_s``; None when even the shortest would be too late."""
    return max((each for each in DELAYS_S if each <= delay_s), default=None)


def conflict(kind: str, name: str, words: str) -> str:
    """Say what to do when ``name`` exists on the server and is not what tidemill declares."""
    return (
        f"The {kind} {name} exists on the server with other properties than tidemill declares: delete it there "
        f"(its tickets are sent again within two minutes), or set another queue.prefix. The server said: {words}"
    )


def _passing_on_to(exchange: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length": MAX_TICKETS,
    }
