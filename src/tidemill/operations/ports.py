"""What this context needs from those above it; joined in wiring."""

from typing import Any, Protocol

from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.lang import Lang
from tidemill.operations.contracts import TaskState
from tidemill.platform.db import Writer


class StatusSource(Protocol):
    """A kind of long-running thing that ``/api/v1/tasks/{id}/status`` tells of."""

    async def status_of(self, scope: Scope, task_id: str) -> TaskState | None:
        """Return how far it has got, None when it is not of this kind or not visible."""
        ...


class JobKeeper(Protocol):
    """Who owns the thing that jobs of one type work on, where that thing has a state of its own."""

    async def give_up(self, w: Writer, actor: Actor, job_id: str, payload: dict[str, Any]) -> None:
        """Let the thing know, in the transaction that cancels or discards its job, that nobody will work on it."""
        ...


class Schedulable(Protocol):
    """A kind of work that a user may schedule; its job type has a handler of the same name."""

    async def check(self, actor: Actor, payload: dict[str, Any], lang: Lang) -> dict[str, Any]:
        """Return the payload to keep; raises BadInput naming its fields, as doing it now would."""
        ...


class Owners(Protocol):
    """Tells who a user is now."""

    async def actor(self, user_id: int) -> Actor | None:
        """Return the user with all rights of a session, None when there is none or it is disabled."""
        ...
