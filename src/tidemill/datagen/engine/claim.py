"""What gives a run the right to write: its place in the task's crew, and the lease on the job that it is.

The lease belongs to the job engine: a process that was taken for dead has lost it, whatever it still believes. The
place is ours: a task that was stopped has no crew any more, and a run that was started anew has a new place.
"""

from typing import Protocol

from msgspec import Struct

from tidemill.datagen import repository_crew
from tidemill.datagen.repository_crew import Standing
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Writer

SYSTEM = SystemScope(SystemReason.GENERATION)


class PlaceLost(Exception):
    """The run has no right to its task any more; what it still has is dropped."""


class Claim(Protocol):
    """A run's claim on its job; a ``JobContext`` is one."""

    job_id: str

    async def holds(self, w: Writer) -> bool:
        """Tell, inside a transaction, whether the claim stands, and keep it so until the transaction ends."""
        ...


class Unclaimed:
    """The claim of a run without a job: it stands until another such run takes its place in the crew."""

    job_id = ""

    async def holds(self, w: Writer) -> bool:
        """Say yes: the place in the crew is looked at beside this."""
        del w
        return True


class Place(Struct, frozen=True):
    """One run's place in the crew of its task."""

    task_id: str
    entry: int
    claim: Claim

    async def lock(self, w: Writer) -> Standing:
        """Return where the task stands, held until the transaction ends; raises PlaceLost."""
        standing = await repository_crew.lock(w, SYSTEM, self.task_id)
        if standing is None or not await self.claim.holds(w):
            raise PlaceLost
        return standing
