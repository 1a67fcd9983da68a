"""The queues as this process serves them: what is paused is not received, what is bounded is counted before a claim."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from tidemill.platform.db import Database
from tidemill.platform.jobs import repository_tickets
from tidemill.platform.jobs.port import JobKind
from tidemill.platform.jobs.run import SCOPE
from tidemill.platform.jobs.transport import Transport, Wake
from tidemill.platform.tasks import TaskOwner

QUEUES_BELL = "jobs.queues"
MAX_PREFETCH = 200


class Queues:
    """What somebody has set about queues, read again at each change."""

    def __init__(
        self,
        db: Database,
        transport: Transport,
        kinds: Mapping[str, JobKind],
        delivered: Wake,
        changed: Callable[[], None],
    ) -> None:
        self.bounded: frozenset[str] = frozenset()
        self._db = db
        self._transport = transport
        self._kinds = kinds
        self._delivered = delivered
        self._changed = changed
        self._received: dict[str, bool] = {}  # by queue: whether it is received now or was paused since

    async def start(self, loops: TaskOwner) -> None:
        """Receive what is not paused, and follow what is changed."""
        await self._read()

        def heard() -> None:
            loops.spawn("jobs.queues", self._read())

        self._db.subscribe(QUEUES_BELL, heard)

    async def _read(self) -> None:
        async with self._db.read() as r:
            paused = await repository_tickets.paused_queues(r, SCOPE)
            self.bounded = await repository_tickets.bounded_queues(r, SCOPE)
        for queue, room in self._capacities().items():
            if queue in paused:
                if self._received.get(queue):
                    self._received[queue] = False
                    await self._transport.pause(queue)
            elif queue not in self._received:
                self._received[queue] = True
                await self._transport.consume(queue, min(room, MAX_PREFETCH), self._delivered)
            elif not self._received[queue]:
                self._received[queue] = True
                await self._transport.resume(queue)
        self._changed()

    def _capacities(self) -> dict[str, int]:
        room: defaultdict[str, int] = defaultdict(int)
        for kind in self._kinds.values():
            room[kind.queue] += kind.concurrency
        return dict(room)
