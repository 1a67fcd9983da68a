"""The SQL of running jobs. A worker's write names id, epoch and owner: when it touches no row, the lease is lost.

Every change of state also gives the job's next history number, so its line in ``job_event`` needs no look first.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import and_, delete, func, insert, or_, select, update
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
from tidemill.platform.jobs.tables import job, job_event, job_queue, worker

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
    await _write_history(w, [(identifier, 1, "queued", None)], at)
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


async def _write_history(
    w: Writer, lines: Sequence[tuple[str, int, str, Mapping[str, Any] | None]], at: datetime
) -> None:
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


async def room_in(w: Writer, scope: Scope, queue: str) -> int | None:
    """Return how many more jobs all workers together may start of ``queue`` (None: no bound), holding its row.

    Whoever claims from a bounded queue asks first, so two workers cannot both take the last place.
    """
    del scope
    bound = await w.scalar(select(job_queue.c.concurrency).where(job_queue.c.name == queue).with_for_update())
    if bound is None:
        return None
    running = select(func.count()).select_from(job).where(job.c.state == "running", job.c.queue == queue)
    return max(0, bound - await w.scalar(running))


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
    await _write_history(w, lines, at)
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


def _held(lease: Lease) -> Any:
    return and_(
        job.c.id == lease.job_id,
        job.c.epoch == lease.epoch,
        job.c.lease_owner == lease.owner,
        job.c.state == "running",
    )


async def holds(w: Writer, scope: Scope, lease: Lease) -> bool:
    """Tell whether a lease is held, and keep it so until the transaction ends."""
    del scope
    return await w.scalar(select(job.c.id).where(_held(lease)).with_for_update(read=True)) is not None


async def save(w: Writer, scope: Scope, lease: Lease, checkpoint: dict[str, Any]) -> bool:
    """Keep a checkpoint; a run that got this far is no crash loop."""
    del scope
    return await w.run(update(job).where(_held(lease)).values(checkpoint=checkpoint, crashes=0)) == 1


async def report(w: Writer, scope: Scope, lease: Lease, progress: tuple[int, int, str]) -> None:
    """Write progress."""
    del scope
    await w.run(update(job).where(_held(lease)).values(_progress(progress)))


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
        seq = await w.scalar(update(job).where(_held(end.lease)).values(values).returning(job.c.event_seq))
        if seq is not None:
            kept.append(end.lease.job_id)
            lines.append((end.lease.job_id, seq, state, _what_happened(end)))
        elif await w.scalar(select(job.c.id).where(_was_moved(end))) is not None:
            # Written by an earlier try whose answer was lost with the connection.
            kept.append(end.lease.job_id)
    if lines:
        await _write_history(w, lines, at)
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
    await _write_history(w, [(job_id, seq, kind, None if by is None else {"by": by})], at)
    return state


# --- workers and what they leave behind


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
        held = update(job).where(_held(Lease(one.id, one.epoch, owner)))
        seq = await w.scalar(held.values(values).returning(job.c.event_seq))
        if seq is not None:
            lines.append((one.id, seq, "handed_back", None))
    if lines:
        await _write_history(w, lines, at)
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
        await _write_history(w, [(row["id"], seq, "owner_lost", {"next": outcome.state})], at)
    return seq is not None


async def forget_workers(w: Writer, scope: Scope, lapsed: timedelta) -> int:
    """Remove the rows of workers that were last heard of longer than ``lapsed`` ago."""
    del scope
    moment = await now(w)
    return await w.run(delete(worker).where(worker.c.heartbeat_at < moment - lapsed))


# --- the outbox: which tickets are still to be sent


async def unsent(r: Reader, scope: Scope, *, again_after: timedelta, limit: int) -> Sequence[Row]:
    """Return due jobs (id, epoch, queue) whose ticket was never confirmed, or so long ago that it may be lost."""
    del scope
    moment = await now(r)
    stale = or_(job.c.published_at.is_(None), job.c.published_at < moment - again_after)
    stmt = (
        select(job.c.id, job.c.epoch, job.c.queue)
        .where(job.c.state.in_(WAITING), job.c.run_at <= moment, stale)
        .order_by(job.c.priority.desc(), job.c.run_at)
        .limit(limit)
    )
    return await r.all(stmt)


async def sent(w: Writer, scope: Scope, ids: Collection[str]) -> None:
    """Note that the tickets of these jobs were confirmed."""
    del scope
    waiting = update(job).where(job.c.id.in_(ids), job.c.state.in_(WAITING))
    await w.run(waiting.values(published_at=db_now(), publish_count=job.c.publish_count + 1))


async def still_dead(r: Reader, scope: Scope, ids: Collection[str]) -> frozenset[str]:
    """Return which of these jobs are dead letters."""
    del scope
    return frozenset(row["id"] for row in await r.all(select(job.c.id).where(job.c.id.in_(ids), job.c.state == "dead")))


async def paused_queues(r: Reader, scope: Scope) -> frozenset[str]:
    """Return the names of queues that are paused."""
    del scope
    return frozenset(row["name"] for row in await r.all(select(job_queue.c.name).where(job_queue.c.paused)))


async def bounded_queues(r: Reader, scope: Scope) -> frozenset[str]:
    """Return the names of queues with a bound on what runs at once."""
    del scope
    stmt = select(job_queue.c.name).where(job_queue.c.concurrency.is_not(None))
    return frozenset(row["name"] for row in await r.all(stmt))
