"""Erase what a deleted user owns here: schedules and jobs."""

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Writer
from tidemill.platform.jobs import repository_moves, repository_schedules


class OperationsEraser:
    """Identity's port ``UserDataEraser``.

    A running job is left to whoever owns what it works on, who cancels it in the same transaction; its row goes with
    age.
    """

    async def erase(self, w: Writer, scope: Scope, user_id: int) -> None:
        """Delete the user's schedules, and jobs that do not run, in the caller's transaction."""
        await repository_schedules.forget_user(w, scope, user_id)
        await repository_moves.forget_user(w, scope, user_id)
