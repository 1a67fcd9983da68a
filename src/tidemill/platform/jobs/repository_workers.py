"""The SQL of workers: their sign of life, and taking from the dead what they held."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, insert, or_, select, update

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader, Row, Writer, db_now
from tidemill.platform.jobs.repository import Lease, held_by, now, write_history
from tidemill.platform.jobs.rules import WAITING, Outcome
from tidemill.platform.jobs.tables import job, worker


class Owned(Struct, frozen=True):
    """A job that a worker holds, as the database sees it."""

    id: str
    epoch: int
    cancel: bool


async def beat(w: Writer, scope: Scope, facts: Mapping[str, Any]) -> list[Owned]:
    """Write a worker's row, which is the lease of all it runs; returns what the database says that it runs."""
    del scope
    kept = await w.run(update(worker).where(worker.c.id == facts["id"]).values({**facts, "heartbeat_at": db_now()}))
    if not kept:
        at = await now(w)
        await w.run(insert(worker), {**facts, "started_at": at, "heartbeat_at": at})
    owned = select(job.c.id, job.c.epoch, job.c.cancel_requested_at).where(
        job.c.lease_owner == facts["id"], job.c.state == "running"
    )
    return [Owned(row["id"], row["epoch"], row["cancel_requested_at"] is not None) for row in await w.all(owned)]


async def hand_back(w: Writer, scope: Scope, owner: str, unknown: Sequence[Owned]) -> int:
    """Requeue jobs that ``owner`` was given by a claim whose answer it never got; they were not begun."""
    at = await now(w)
    lines: list[tuple[str, int, str, Mapping[str, Any] | None]] = []
    values = {
        "state": "queued",
        "lease_owner": None,
        "epoch": job.c.epoch + 1,
        "attempt": job.c.attempt - 1,
        "event_seq": job.c.event_seq + 1,
        "run_at": at,
        "published_at": None,
    }
    for one in unknown:
        held = update(job).where(held_by(Lease(one.id, one.epoch, owner)))
        seq = await w.scalar(held.values(values).returning(job.c.event_seq))
        if seq is not None:
            lines.append((one.id, seq, "handed_back", None))
    if lines:
        await write_history(w, lines, at)
    del scope
    return len(lines)


async def sign_off(w: Writer, scope: Scope, owner: str) -> None:
    """Remove a worker that runs nothing any more."""
    del scope
    await w.run(delete(worker).where(worker.c.id == owner))


async def workers(r: Reader, scope: Scope) -> Sequence[Row]:
    """Return every worker's row, the newest first."""
    del scope
    return await r.all(select(worker).order_by(worker.c.started_at.desc()))


async def orphans(
    r: Reader, scope: Scope, *, lease_s: float, dead: Collection[str], alone: str | None, limit: int
) -> Sequence[Row]:
    """Return running jobs that nobody runs: their worker has lapsed, is known to be ``dead``, or has no row.

    ``alone`` names the only worker that there can be: then every job of any other is an orphan at once.
    """
    del scope
    if alone is not None:
        lost = or_(job.c.lease_owner.is_(None), job.c.lease_owner != alone)
    else:
        moment = await now(r)
        cutoff = moment - timedelta(seconds=lease_s)
        living = select(worker.c.id).where(worker.c.heartbeat_at >= cutoff, worker.c.id.not_in(dead))
        lost = or_(job.c.lease_owner.is_(None), job.c.lease_owner.not_in(living))
    stmt = select(job.c.id, job.c.type, job.c.queue, job.c.user_id, job.c.epoch, job.c.crashes)
    return await r.all(stmt.where(job.c.state == "running", lost).order_by(job.c.id).limit(limit))


async def give_back(w: Writer, scope: Scope, row: Row, outcome: Outcome) -> bool:
    """Take an orphan from its dead owner; the epoch moves on, so what that owner still writes is dropped."""
    del scope
    at = await now(w)
    values: dict[str, Any] = {
        "state": outcome.state,
        "crashes": row["crashes"] + 1,
        "epoch": job.c.epoch + 1,
        "attempt": job.c.attempt - 1,
        "event_seq": job.c.event_seq + 1,
        "lease_owner": None,
    }
    if outcome.state in WAITING:
        values |= {"run_at": at, "published_at": None}
    else:
        values |= {
            "finished_at": at,
            "error_code": "crashed",
            "error_text": "Its process died each time it ran, without progress.",
        }
    moved = update(job).where(job.c.id == row["id"], job.c.epoch == row["epoch"], job.c.state == "running")
    seq = await w.scalar(moved.values(values).returning(job.c.event_seq))
    if seq is not None:
        await write_history(w, [(row["id"], seq, "owner_lost", {"next": outcome.state})], at)
    return seq is not None


async def forget_workers(w: Writer, scope: Scope, lapsed: timedelta) -> int:
    """Remove the rows of workers that were last heard of longer than ``lapsed`` ago."""
    del scope
    moment = await now(w)
    return await w.run(delete(worker).where(worker.c.heartbeat_at < moment - lapsed))
