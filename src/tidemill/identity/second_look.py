"""Ask the database about a credential that the snapshot does not know.

Between another process's commit and its notice lies up to a second; a script that makes a key and uses it at once
would meet a refusal. So what may be news is looked up once by index. Bounded to 20 look-ups a second, so that a flood
of invented keys costs what a few requests cost.
"""

from tidemill.identity import repository_snapshot
from tidemill.identity.authenticator import AuthFailure
from tidemill.identity.snapshot import SnapshotKeeper
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, Reader

PER_SECOND = 20.0
BURST = 20.0
_SCOPE = SystemScope(SystemReason.SNAPSHOT)


class SecondLook:
    """Answers whether authentication should be tried again, having caught up with the database."""

    def __init__(self, db: Database, snapshots: SnapshotKeeper) -> None:
        self._db = db
        self._snapshots = snapshots
        self._allowance = BURST
        self._counted_at = clock.monotonic()

    async def has_news(self, failure: AuthFailure) -> bool:
        """Return True once the snapshot knows what the database knows about this credential."""
        if not failure.may_be_news or not self._allowed():
            return False
        seen = self._snapshots.current
        async with self._db.read() as r:
            known = await self._known(r, failure)
        if known:
            await self._snapshots.refresh()
        # The notice may have come while we asked: then there is nothing new to the database, but to the question.
        return known or self._snapshots.current is not seen

    async def _known(self, r: Reader, failure: AuthFailure) -> bool:
        if failure.digests:
            return await repository_snapshot.knows_key(r, _SCOPE, failure.digests)
        if failure.user_id is None:
            return False
        epoch = await repository_snapshot.epoch_of(r, _SCOPE, failure.user_id)
        user = self._snapshots.current.users.get(failure.user_id)
        return epoch is not None and (user is None or epoch > user.epoch)

    def _allowed(self) -> bool:
        now = clock.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._counted_at) * PER_SECOND)
        self._counted_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True
