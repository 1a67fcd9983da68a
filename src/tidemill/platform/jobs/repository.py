"""The SQL of running jobs. A worker's write names id, epoch and owner: when it touches no row, the lease is lost.

Every change of state also gives the job's next history number, so its line in ``job_event`` needs no look first.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_on_conflict

from tidemill.kernel.actor import Scope, owner_filter
from tidemill.kernel.ids import uuid7
from tidemill.platform.db import Reader, Row, Writer, db_now
from tidemill.platform.jobs.errors import PayloadTooLarge, QueueFull
from tidemill.platform.jobs.rules import (
    MAX_LENGTH,
    MAX_PAYLOAD_BYTES,
    MAX_PER_USER,
    WAITING,
    Outcome,
    State,
)
from tidemill.platform.jobs.tables import job, job_event, job_queue

FULL_RETRY_S = 5.0
LOOKED_PAST = 100


class Lease(Struct, frozen=True):
    """One claim of one job: what proves that a worker may still write."""

    job_id: str
    epoch: int
    owner: str


class Claimed(Struct, frozen=True):
    """A job that this process has just claimed."""

    lease: Lease
    type: str
    queue: str
    user_id: int | None
    payload: dict[str, Any]
    checkpoint: dict[str, Any] | None
    attempt: int


class Enqueued(Struct, frozen=True):
    """A job that was put into a transaction; ``new`` is False when one with its key was there."""

    id: str
    new: bool


class NewJob(Struct, frozen=True, kw_only=True):
    """What is to be done, for whom and when."""

    type: str
    queue: str
    payload: dict[str, Any]
    user_id: int | None
    idem_key: str | None = None
    run_at: datetime | None = None
    priority: int = 0
    schedule_id: str | None = None
    request_id: str | None = None


class End(Struct, frozen=True):
    """How one run ended. ``counted`` False takes the run back from the attempts (a drained process)."""

    lease: Lease
    outcome: Outcome
    error: tuple[str, str] | None = None
    counted: bool = True
    progress: tuple[int, int, str] | None = None


async def now(r: Reader) -> datetime:
    """Return the database's time."""
    moment: datetime = await r.scalar(select(db_now()))
    return moment


# --- into the queue


async def add(w: Writer, scope: Scope, new: NewJob) -> Enqueued:
    """Insert a job, or find the one that has its key. Raises QueueFull, PayloadTooLarge."""
    size = len(msgspec.json.encode(new.payload))
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(bytes=size, limit=MAX_PAYLOAD_BYTES)
    if new.idem_key is not None and (known := await _with_key(w, new)) is not None:
        return Enqueued(known, new=False)
    at = await _check_room(w, new.queue, new.user_id)
    identifier = uuid7()
    values = {
        **msgspec.structs.asdict(new),
        "id": identifier,
        "state": "queued",
        "run_at": new.run_at or at,
        "created_at": at,
        "event_seq": 1,
    }
    if new.idem_key is None:
        await w.run(insert(job), values)
    elif await w.run(_insert_or_nothing(), values) == 0:
        # Another transaction with the same key was committed since we looked.
        return Enqueued(str(await _with_key(w, new)), new=False)
    await write_history(w, [(identifier, 1, "queued", None)], at)
    del scope  # a job belongs to ``user_id``, which the caller's own rights decided
    return Enqueued(identifier, new=True)


def _insert_or_nothing() -> Any:
    return insert_on_conflict(job).on_conflict_do_nothing()  # SQLite took the clause from PostgreSQL


async def _with_key(r: Reader, new: NewJob) -> str | None:
    owner = job.c.user_id.is_(None) if new.user_id is None else job.c.user_id == new.user_id
    stmt = select(job.c.id).where(owner, job.c.type == new.type, job.c.idem_key == new.idem_key)
    found: str | None = await r.scalar(stmt.where(job.c.state != "cancelled"))
    return found


async def _check_room(r: Reader, queue: str, user_id: int | None) -> datetime:
    """Refuse a job too many, else return the time. One statement; its counts stop at the bounds. ix_job_waiting."""

    def bound(of: Any, default: int) -> Any:
        return func.coalesce(select(of).where(job_queue.c.name == queue).scalar_subquery(), default)

    def waiting(limit: Any, *which: Any) -> Any:
        some = select(job.c.id).where(job.c.state.in_(WAITING), job.c.queue == queue, *which).limit(limit).subquery()
        return select(func.count()).select_from(some).scalar_subquery()

    length = bound(job_queue.c.max_length, MAX_LENGTH)
    columns = [db_now().label("at"), length.label("length"), waiting(length).label("all_waiting")]
    if user_id is not None:
        share = bound(job_queue.c.max_per_user, MAX_PER_USER)
        columns += [share.label("share"), waiting(share, job.c.user_id == user_id).label("own_waiting")]
    (row,) = await r.all(select(*columns))
    if row["all_waiting"] >= row["length"]:
        raise QueueFull(queue=queue, limit=row["length"], retry_after_s=FULL_RETRY_S)
    if user_id is not None and row["own_waiting"] >= row["share"]:
        raise QueueFull(queue=queue, limit=row["share"], retry_after_s=FULL_RETRY_S)
    at: datetime = row["at"]
    return at


async def write_history(
    w: Writer, lines: Sequence[tuple[str, int, str, Mapping[str, Any] | None]], at: datetime
) -> None:
    """Add lines (job, number, kind, data) to the histories of jobs."""
    rows = [{"job_id": one, "seq": seq, "at": at, "kind": kind, "data": data} for one, seq, kind, data in lines]
    await w.run(insert(job_event), rows)


# --- out of the queue


def _is_due(types: Collection[str]) -> Any:
    paused = select(job_queue.c.name).where(job_queue.c.paused)
    return and_(job.c.type.in_(types), job.c.state.in_(WAITING), job.c.run_at <= db_now(), job.c.queue.not_in(paused))


async def has_due(r: Reader, scope: Scope, types: Collection[str]) -> bool:
    """Tell whether a job of these types waits, its time has come and its queue runs. Uses index: ix_job_due."""
    del scope
    return await r.scalar(select(job.c.id).where(_is_due(types)).limit(1)) is not None


async def claim(
    w: Writer, scope: Scope, owner: str, kind: str, limit: int, takes: Callable[[dict[str, Any]], bool] | None = None
) -> list[Claimed]:
    """Take up to ``limit`` due jobs of one type, the urgent and old ones first. Uses index: ix_job_due.

    Those whose payload ``takes`` refuses are left to others, up to a hundred of them looked past.
    """
    del scope
    best = (
        select(job.c.id, job.c.payload, db_now().label("at"))
        .where(_is_due([kind]))
        .order_by(job.c.priority.desc(), job.c.run_at, job.c.id)
        .limit(limit if takes is None else limit + LOOKED_PAST)
        .with_for_update(skip_locked=True)
    )
    found = await w.all(best)
    if takes is not None:
        found = [row for row in found if takes(row["payload"])][:limit]
    if not found:
        return []
    order, at = {row["id"]: place for place, row in enumerate(found)}, found[0]["at"]
    stmt = (
        update(job)
        .where(job.c.id.in_(order))
        .values(
            state="running",
            epoch=job.c.epoch + 1,
            attempt=job.c.attempt + 1,
            event_seq=job.c.event_seq + 1,
            lease_owner=owner,
            started_at=func.coalesce(job.c.started_at, at),
        )
        .returning(*job.c)
    )
    rows = sorted(await w.all(stmt), key=lambda row: order[row["id"]])
    lines = [
        (row["id"], row["event_seq"], "running", {"attempt": row["attempt"], "epoch": row["epoch"], "worker": owner})
        for row in rows
    ]
    await write_history(w, lines, at)
    return [_claimed(owner, row) for row in rows]


def _claimed(owner: str, row: Row) -> Claimed:
    return Claimed(
        lease=Lease(row["id"], row["epoch"], owner),
        type=row["type"],
        queue=row["queue"],
        user_id=row["user_id"],
        payload=row["payload"],
        checkpoint=row["checkpoint"],
        attempt=row["attempt"],
    )


# --- while it runs


def held_by(lease: Lease) -> Any:
    """Return the condition that a lease is held."""
    return and_(
        job.c.id == lease.job_id,
        job.c.epoch == lease.epoch,
        job.c.lease_owner == lease.owner,
        job.c.state == "running",
    )


async def holds(w: Writer, scope: Scope, lease: Lease) -> bool:
    """Tell whether a lease is held, and keep it so until the transaction ends."""
    del scope
    return await w.scalar(select(job.c.id).where(held_by(lease)).with_for_update(read=True)) is not None


async def save(w: Writer, scope: Scope, lease: Lease, checkpoint: dict[str, Any]) -> bool:
    """Keep a checkpoint; a run that got this far is no crash loop."""
    del scope
    return await w.run(update(job).where(held_by(lease)).values(checkpoint=checkpoint, crashes=0)) == 1


async def report(w: Writer, scope: Scope, lease: Lease, progress: tuple[int, int, str]) -> None:
    """Write progress."""
    del scope
    await w.run(update(job).where(held_by(lease)).values(_progress(progress)))


def _progress(progress: tuple[int, int, str]) -> dict[str, Any]:
    done, total, message = progress
    values: dict[str, Any] = {"progress_done": done, "progress_total": total, "progress_message": message}
    return {**values, "crashes": 0} if done else values


async def finish(w: Writer, scope: Scope, ends: Sequence[End]) -> list[str]:
    """Move running jobs on; returns the ids of those whose lease was held, the others are left alone."""
    del scope
    at = await now(w)
    kept: list[str] = []
    lines: list[tuple[str, int, str, Mapping[str, Any] | None]] = []
    # In one order everywhere, so that two processes never wait for each other's rows.
    for end in sorted(ends, key=lambda one: one.lease.job_id):
        state = end.outcome.state
        values: dict[str, Any] = {"state": state, "lease_owner": None, "event_seq": job.c.event_seq + 1}
        if end.progress is not None:
            values |= _progress(end.progress)
        if state in WAITING:
            values["run_at"] = at + timedelta(seconds=end.outcome.delay_s)
            values["published_at"] = None
        else:
            values["finished_at"] = at
        if end.error is not None:
            values["error_code"], values["error_text"] = end.error
        elif state == "succeeded":
            values["error_code"] = values["error_text"] = None
        if not end.counted:
            values["attempt"] = job.c.attempt - 1
        seq = await w.scalar(update(job).where(held_by(end.lease)).values(values).returning(job.c.event_seq))
        if seq is not None:
            kept.append(end.lease.job_id)
            lines.append((end.lease.job_id, seq, state, _what_happened(end)))
        elif await w.scalar(select(job.c.id).where(_was_moved(end))) is not None:
            # Written by an earlier try whose answer was lost with the connection.
            kept.append(end.lease.job_id)
    if lines:
        await write_history(w, lines, at)
    return kept


def _was_moved(end: End) -> Any:
    return and_(job.c.id == end.lease.job_id, job.c.epoch == end.lease.epoch, job.c.state == end.outcome.state)


def _what_happened(end: End) -> dict[str, Any] | None:
    data: dict[str, Any] = {}
    if end.error is not None:
        data["error"], data["text"] = end.error
    if end.outcome.delay_s:
        data["delay_s"] = round(end.outcome.delay_s, 3)
    return data or None


async def request_cancel(w: Writer, scope: Scope, job_id: str, by: int | None) -> State | None:
    """Cancel a waiting job at once, mark a running one; returns the state it was found in, None when not visible."""
    owner = owner_filter(scope)
    visible = job.c.id == job_id if owner is None else and_(job.c.id == job_id, job.c.user_id == owner)
    state: State | None = await w.scalar(select(job.c.state).where(visible).with_for_update())
    at = await now(w)
    this = update(job).where(job.c.id == job_id)
    values: dict[str, Any] = {"event_seq": job.c.event_seq + 1, "cancel_by": by}
    if state in WAITING:
        values |= {"state": "cancelled", "finished_at": at, "epoch": job.c.epoch + 1}
        kind = "cancelled"
    elif state == "running":
        values["cancel_requested_at"] = at
        kind = "cancel_requested"
    else:
        return state
    seq = await w.scalar(this.values(values).returning(job.c.event_seq))
    await write_history(w, [(job_id, seq, kind, None if by is None else {"by": by})], at)
    return state
