"""What the supervisor knows of one model: its instances, who waits, and why it may not run."""

import asyncio
from collections import deque

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.localmodels.balance import Candidate, Picker
from tidemill.localmodels.contracts import LocalService, Status
from tidemill.localmodels.errors import again
from tidemill.localmodels.ground import Phase
from tidemill.localmodels.instance import Instance
from tidemill.localmodels.logs import ModelLog
from tidemill.localmodels.spec import ModelSpec


class Grant(Struct, frozen=True):
    """One request's place on one process."""

    service: LocalService
    instance: Instance
    generation: int


class Waiter(Struct, frozen=True, eq=False):
    """One request that waits for a place."""

    place: asyncio.Future[Grant]
    since: float


class ModelState:
    """Invariant: a waiter is in ``waiters`` until its future is done, and never on an instance before that."""

    def __init__(self, spec: ModelSpec, log: ModelLog) -> None:
        self.spec = spec
        self.log = log
        self.instances: list[Instance] = []
        self.waiters: deque[Waiter] = deque()
        self.pinned = False
        self.wanted_since: float | None = None  # in line for a start since then
        self.yielding = False  # gives no new places, so that another model's turn comes
        self.failure: TidemillError | None = None
        self.last_used = clock.monotonic()
        self.served = 0
        self.crashes = 0
        self.observed_peak = 0
        self.picker = Picker(spec.run.balance)

    @property
    def live(self) -> list[Instance]:
        """Instances whose machine runs and that were not told to stop."""
        return [one for one in self.instances if one.phase in {Phase.STARTING, Phase.READY, Phase.BACKOFF}]

    @property
    def leaving(self) -> list[Instance]:
        """Instances on their way out."""
        return [one for one in self.instances if one.phase in {Phase.DRAINING, Phase.STOPPING}]

    @property
    def in_flight(self) -> int:
        """Requests that hold a place."""
        return sum(one.in_flight for one in self.instances)

    @property
    def status(self) -> Status:
        """The outward word for what the model is doing."""
        phases = {one.phase for one in self.instances}
        if Phase.READY in phases:
            return "running"
        if self.wanted_since is not None or phases & {Phase.STARTING, Phase.BACKOFF}:
            return "starting"
        if phases & {Phase.DRAINING, Phase.STOPPING}:
            return "stopping"
        return "failed" if self.failure is not None or self.spec.problem is not None else "available"

    @property
    def slots(self) -> int:
        """How many requests all its instances take at once; what one would take while there is none."""
        return self.spec.slots * max(1, len(self.live))

    @property
    def busy(self) -> bool:
        """Whether somebody uses it or waits for it."""
        return self.in_flight > 0 or bool(self.waiters)

    @property
    def idle_since(self) -> float | None:
        """Since when it could be unloaded for idleness; None when that does not apply."""
        if self.pinned or self.busy or self.spec.idle_timeout_s <= 0:
            return None
        resting = {one.phase for one in self.live} <= {Phase.READY, Phase.BACKOFF}
        return self.last_used if self.live and resting else None

    @property
    def ready_since(self) -> float | None:
        """Since when it takes requests, None while it does not."""
        moments = [one.ready_at for one in self.live if one.phase is Phase.READY]
        return min(moments, default=None)

    def pick(self) -> Instance | None:
        """Choose the instance for the next request, None while all places are taken."""
        free = [one for one in self.live if one.free_slots > 0]
        if not free or self.yielding:
            return None
        weights = self.spec.run.weights
        candidates = [
            Candidate(
                replica=one.replica,
                in_flight=one.in_flight,
                slots=one.spec.slots,
                weight=max(1, weights[one.replica]) if one.replica < len(weights) else 1,
            )
            for one in free
        ]
        chosen = self.picker.pick(candidates)
        return next(one for one in free if one.replica == chosen)

    def grant(self) -> None:
        """Give places to those who wait, in the order they came."""
        while self.waiters:
            if self.waiters[0].place.done():  # gave up meanwhile
                self.waiters.popleft()
                continue
            instance = self.pick()
            if instance is None:
                return
            generation = instance.take()
            self.last_used = clock.monotonic()
            self.waiters.popleft().place.set_result(Grant(instance.service(self.slots), instance, generation))

    def refuse(self, problem: TidemillError) -> None:
        """Send everybody who waits away with ``problem``."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.place.done():
                waiter.place.set_exception(again(problem))

    def settle(self) -> None:
        """Take leave of instances whose machine has ended."""
        for one in [one for one in self.instances if not one.alive]:
            self.instances.remove(one)
            self.observed_peak = max(self.observed_peak, one.peak_bytes)
            self.crashes += one.crash_count
            if one.failure is not None:
                self.failure = one.failure
                if not self.live:
                    self.pinned = False
                    self.wanted_since = None
                    self.refuse(one.failure)
        if not self.instances:
            self.yielding = False
