"""Count what authentication decides, off the request's path, and write it down once a minute.

Noting is a dictionary access. What a crash loses is at most a minute of counts of use and of refusals; keys and
sessions themselves are never at stake.
"""

from datetime import datetime

from tidemill.audit.facade import AuditLog, Refusal, Refusals
from tidemill.identity import repository_keys
from tidemill.identity.authenticator import AuthFailure
from tidemill.identity.repository_keys import KeyUse
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database

FLUSH_INTERVAL_S = 60.0
_BOOKS = SystemScope(SystemReason.SNAPSHOT)


class Books:
    """The authenticator's witness. ``flush`` writes; call it each minute and before the database closes."""

    def __init__(self, db: Database, refusals: Refusals, audit: AuditLog) -> None:
        self._db = db
        self._refusals = refusals
        self._audit = audit
        self._uses: dict[str, tuple[int, datetime, str | None]] = {}

    def key_used(self, key_id: str, client_ip: str | None) -> None:
        """Count one use of a key."""
        count = self._uses[key_id][0] if key_id in self._uses else 0
        self._uses[key_id] = (count + 1, clock.now(), client_ip)

    def refused(self, failure: AuthFailure, client_ip: str | None) -> None:
        """Count one refusal; the same credential, reason and address within a minute make one entry."""
        self._refusals.note(
            Refusal("credential.use", failure.subject, failure.reason, client_ip, failure.user_id, failure.username)
        )

    async def flush(self) -> None:
        """Write what was counted; what cannot be written now is kept for the next time."""
        uses, self._uses = self._uses, {}
        if uses:
            rows = [KeyUse(key_id, count, at, address) for key_id, (count, at, address) in uses.items()]
            try:
                async with self._db.write() as w:
                    await repository_keys.count_uses(w, _BOOKS, rows)
            except BaseException:
                self._give_back(uses)
                raise
        await self._audit.flush_refusals()

    def _give_back(self, uses: dict[str, tuple[int, datetime, str | None]]) -> None:
        for key_id, (count, at, address) in uses.items():
            later = self._uses.get(key_id)
            self._uses[key_id] = (count, at, address) if later is None else (count + later[0], later[1], later[2])
