"""What gives a run the right to write: the lease on its job, or, without jobs, nothing but being the latest."""

from typing import Protocol

from tidemill.platform.db import Writer


class Claim(Protocol):
    """A run's claim on its task; a ``JobContext`` is one."""

    job_id: str

    async def holds(self, w: Writer) -> bool:
        """Tell, inside a transaction, whether the claim stands, and keep it so until the transaction ends."""
        ...


class Unclaimed:
    """The claim of a run without a job: it stands until another such run joins and takes its place in the crew."""

    job_id = ""

    async def holds(self, w: Writer) -> bool:
        """Say yes: the place in the crew is looked at beside this."""
        del w
        return True
