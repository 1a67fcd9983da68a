"""All SQL of jobs. A worker's write names id, epoch and owner: when it touches no row, the lease is lost."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import and_, func, insert, or_, select, update

from tidemill.kernel import clock
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Reader, Row, Writer
from tidemill.platform.jobs.rules import LEASE_S, WAITING, Outcome, State
from tidemill.platform.jobs.tables import job, job_event


class Lease(Struct, frozen=True):
    """One claim of one job: what proves that a worker may still write."""

    job_id: str
    epoch: int
    owner: str


class Claimed(Struct, frozen=True):
    """A job that this process has just claimed."""

    lease: Lease
    type: str
    user_id: int | None
    payload: dict[str, Any]
    checkpoint: dict[str, Any] | None
    attempt: int


async def add(
    w: Writer,
    scope: Scope,
    *,
    kind: str,
    queue: str,
    payload: dict[str, Any],
    user_id: int | None,
    idem_key: str | None,
    run_at: datetime | None,
) -> str:
    """Insert a job, or return the id of the one that has this key."""
    if idem_key is not None:
        known = select(job.c.id).where(job.c.type == kind, job.c.idem_key == idem_key, job.c.state != "cancelled")
        found = await w.scalar(known)
        if found is not None:
            return str(found)
    now = clock.now()
    identifier = uuid7()
    values = {
        "id": identifier,
        "user_id": user_id,
        "queue": queue,
        "type": kind,
        "payload": payload,
        "idem_key": idem_key,
        "state": "queued",
        "run_at": run_at or now,
        "created_at": now,
    }
    await w.run(insert(job), values)
    await note(w, scope, identifier, "queued", None)
    return identifier


async def note(w: Writer, scope: Scope, job_id: str, kind: str, data: dict[str, Any] | None) -> None:
    """Add a line to a job's history."""
    del scope  # the caller has shown that it may touch this job
    last = await w.scalar(select(func.max(job_event.c.seq)).where(job_event.c.job_id == job_id))
    line = {"job_id": job_id, "seq": (last or 0) + 1, "at": clock.now(), "kind": kind, "data": data}
    await w.run(insert(job_event), line)


async def due(r: Reader, scope: Scope, types: Collection[str]) -> bool:
    """Tell whether a job of these types waits and its time has come. Uses index: ix_job_due."""
    del scope
    stmt = select(job.c.id).where(_due(types)).limit(1)
    return await r.scalar(stmt) is not None


def _due(types: Collection[str]) -> Any:
    return and_(job.c.state.in_(WAITING), job.c.run_at <= clock.now(), job.c.type.in_(types))


async def claim(w: Writer, scope: Scope, owner: str, types: Collection[str], limit: int) -> list[Claimed]:
    """Take up to ``limit`` due jobs for ``owner``, the urgent and old ones first. Uses index: ix_job_due."""
    now = clock.now()
    picked = (
        select(job.c.id)
        .where(_due(types))
        .order_by(job.c.priority.desc(), job.c.run_at, job.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    identifiers = [row["id"] for row in await w.all(picked)]
    claimed: list[Claimed] = []
    for identifier in identifiers:
        stmt = (
            update(job)
            .where(job.c.id == identifier)
            .values(
                state="running",
                epoch=job.c.epoch + 1,
                attempt=job.c.attempt + 1,
                lease_owner=owner,
                lease_until=now + timedelta(seconds=LEASE_S),
                started_at=func.coalesce(job.c.started_at, now),
            )
            .returning(job.c.epoch, job.c.type, job.c.user_id, job.c.payload, job.c.checkpoint, job.c.attempt)
        )
        row = await w.first(stmt)
        if row is not None:
            claimed.append(_claimed(identifier, owner, row))
            await note(w, scope, identifier, "running", {"attempt": row["attempt"], "epoch": row["epoch"]})
    return claimed


def _claimed(identifier: str, owner: str, row: Row) -> Claimed:
    return Claimed(
        lease=Lease(identifier, row["epoch"], owner),
        type=row["type"],
        user_id=row["user_id"],
        payload=row["payload"],
        checkpoint=row["checkpoint"],
        attempt=row["attempt"],
    )


def _held(lease: Lease) -> Any:
    return and_(job.c.id == lease.job_id, job.c.epoch == lease.epoch, job.c.lease_owner == lease.owner)


async def save(w: Writer, scope: Scope, lease: Lease, checkpoint: dict[str, Any]) -> bool:
    """Keep a checkpoint; a run that got this far is no crash loop."""
    del scope
    return await w.run(update(job).where(_held(lease)).values(checkpoint=checkpoint, crashes=0)) == 1


async def beat(w: Writer, scope: Scope, owner: str) -> list[tuple[str, int]]:
    """Extend every lease of ``owner``; returns (id, epoch) of those whose cancellation was asked for."""
    del scope
    until = clock.now() + timedelta(seconds=LEASE_S)
    await w.run(update(job).where(job.c.lease_owner == owner, job.c.state == "running").values(lease_until=until))
    asked = select(job.c.id, job.c.epoch).where(
        job.c.lease_owner == owner, job.c.state == "running", job.c.cancel_requested_at.is_not(None)
    )
    return [(row["id"], row["epoch"]) for row in await w.all(asked)]


async def report(w: Writer, scope: Scope, lease: Lease, done: int, total: int, message: str) -> None:
    """Write progress."""
    del scope
    values = {"progress_done": done, "progress_total": total, "progress_message": message}
    changes = {**values, "crashes": 0} if done else values
    await w.run(update(job).where(_held(lease)).values(**changes))


async def finish(
    w: Writer,
    scope: Scope,
    lease: Lease,
    outcome: Outcome,
    *,
    error: tuple[str, str] | None = None,
    counted: bool = True,
) -> bool:
    """Move a running job on; False when the lease was lost and nothing was written.

    ``counted`` False takes the run back from the attempts (a drained process).
    """
    values: dict[str, Any] = {"state": outcome.state, "lease_owner": None, "lease_until": None}
    if outcome.state in WAITING:
        values["run_at"] = outcome.run_at or clock.now()
    else:
        values["finished_at"] = clock.now()
    if error is not None:
        values["error_code"], values["error_text"] = error
    if not counted:
        values["attempt"] = job.c.attempt - 1
    if await w.run(update(job).where(_held(lease), job.c.state == "running").values(**values)) == 0:
        return False
    await note(w, scope, lease.job_id, outcome.state, {"error": error[0], "text": error[1]} if error else None)
    return True


async def orphans(r: Reader, scope: Scope, *, all_running: bool) -> Sequence[Row]:
    """Return running jobs whose lease has lapsed (``all_running``: every one, when nobody else can be running them)."""
    del scope
    lapsed = or_(job.c.lease_until.is_(None), job.c.lease_until < clock.now())
    stmt = select(job.c.id, job.c.type, job.c.epoch, job.c.crashes).where(job.c.state == "running")
    return await r.all(stmt if all_running else stmt.where(lapsed))


async def give_back(w: Writer, scope: Scope, row: Row, outcome: Outcome) -> None:
    """Take an orphan from its dead owner; the epoch moves on, so what that owner still writes is dropped."""
    values: dict[str, Any] = {
        "state": outcome.state,
        "crashes": row["crashes"] + 1,
        "epoch": job.c.epoch + 1,
        "attempt": job.c.attempt - 1,
        "lease_owner": None,
        "lease_until": None,
    }
    if outcome.state in WAITING:
        values["run_at"] = clock.now()
    else:
        values |= {
            "finished_at": clock.now(),
            "error_code": "crashed",
            "error_text": "Its process died each time it ran, without progress.",
        }
    moved = update(job).where(job.c.id == row["id"], job.c.epoch == row["epoch"], job.c.state == "running")
    if await w.run(moved.values(**values)):
        await note(w, scope, row["id"], "owner_lost", {"next": outcome.state})


async def request_cancel(w: Writer, scope: Scope, job_id: str) -> State | None:
    """Cancel a waiting job at once, mark a running one; returns the state it was found in, None when not visible."""
    owner = owner_filter(scope)
    visible = job.c.id == job_id if owner is None else and_(job.c.id == job_id, job.c.user_id == owner)
    state: State | None = await w.scalar(select(job.c.state).where(visible).with_for_update())
    now = clock.now()
    if state in WAITING:
        await w.run(update(job).where(job.c.id == job_id).values(state="cancelled", finished_at=now))
        await note(w, scope, job_id, "cancelled", None)
    elif state == "running":
        await w.run(update(job).where(job.c.id == job_id).values(cancel_requested_at=now))
        await note(w, scope, job_id, "cancel_requested", None)
    return state
