"""The door of the audit log: ``record`` in the caller's transaction, pages for administrators, erasure of a person."""

from collections.abc import Mapping
from typing import Any

from tidemill.audit import repository
from tidemill.audit.contracts import ActorKind, AuditEntry, AuditFilter, Origin, Result, current_origin
from tidemill.audit.refusals import Refusal, Refusals
from tidemill.audit.rules import masked, storable
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, AdminScope, Scope, SystemScope
from tidemill.kernel.pages import Page, PageRequest
from tidemill.platform.db import Database, Writer

__all__ = ["AuditLog", "Refusal", "Refusals", "erase_person", "record"]


async def record(  # noqa: PLR0913 - an entry has this many parts; all but three have defaults
    w: Writer,
    *,
    actor: Actor | None,
    action: str,
    object_type: str,
    object_id: str | int,
    result: Result = "ok",
    details: Mapping[str, Any] | None = None,
    reason: str | None = None,
    claimed_name: str | None = None,
    origin: Origin | None = None,
) -> None:
    """Write one entry in the caller's transaction.

    ``action`` reads object first (``key.create``, ``session.open``). Without an ``actor`` the entry is the program's
    own, or, with ``claimed_name``, that of somebody who only claims a name. Secrets in ``details`` are masked.
    ``origin`` is the request being served unless given.
    """
    where = origin or current_origin.get()
    row = {
        "at": clock.now(),
        "actor_kind": _kind(actor, claimed_name),
        "actor_id": actor.user_id if actor else None,
        "actor_name": storable((actor.username if actor else claimed_name) or "", 100),
        "key_id": actor.key_id if actor else None,
        "action": action,
        "object_type": object_type,
        "object_id": storable(str(object_id), 100),
        "result": result,
        "reason": reason,
        "count": 1,
        "details": masked(details or {}),
        "address": where.address,
        "user_agent": None if where.user_agent is None else storable(where.user_agent, 255),
        "request_id": where.request_id,
    }
    await repository.add(w, [row])


def _kind(actor: Actor | None, claimed_name: str | None) -> ActorKind:
    if actor is not None:
        return "key" if actor.via == "key" else "user"
    return "system" if claimed_name is None else "anonymous"


class AuditLog:
    """Reading and upkeep of the log; writing is ``record``."""

    def __init__(self, db: Database, refusals: Refusals) -> None:
        self._db = db
        self._refusals = refusals

    async def page(self, scope: Scope, wanted: AuditFilter, request: PageRequest) -> Page[AuditEntry]:
        """Return entries, newest first."""
        async with self._db.read() as r:
            return await repository.page(r, scope, wanted, request)

    async def flush_refusals(self) -> int:
        """Write the folded refusals of credentials; returns how many entries that made."""
        taken = self._refusals.take()
        if not taken:
            return 0
        rows: list[Mapping[str, Any]] = [
            {
                "at": minute,
                "actor_kind": refusal.actor_kind,
                "actor_id": refusal.actor_id,
                "actor_name": refusal.actor_name,
                "key_id": None,
                "action": refusal.action,
                "object_type": "credential",
                "object_id": storable(refusal.subject, 100),
                "result": "refused",
                "reason": refusal.reason,
                "count": count,
                "details": {},
                "address": refusal.address,
                "user_agent": None,
                "request_id": None,
            }
            for minute, refusal, count in taken
        ]
        try:
            async with self._db.write() as w:
                await repository.add(w, rows)
        except BaseException:
            self._refusals.give_back(taken)
            raise
        return len(rows)


async def erase_person(w: Writer, scope: AdminScope | SystemScope, user_id: int) -> int:
    """Make a deleted account's entries anonymous, in the transaction that deletes it."""
    return await repository.erase_person(w, scope, user_id, clock.now())
