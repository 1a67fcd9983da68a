"""The SQL of a crew: who makes a task, which chunks are out with whom, who else could take part.

Everything that changes begins with ``lock`` or ``hold``: the task's row is held until the transaction ends, so that
whatever is decided from these tables stays true while it is written. In one order everywhere, tasks before jobs: a stop
locks the task and then cancels its jobs.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import and_, delete, exists, func, insert, or_, select, update

from tidemill.datagen.tables import task_chunk, task_crew, tasks
from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader, Row, Writer, db_now
from tidemill.platform.jobs.rules import WAITING
from tidemill.platform.jobs.tables import job, worker

# Three heartbeats of a worker: one that was silent for longer is not asked to take part.
FRESH_S = 15.0
_LIVE = ("pending", "running")
_COUNTS = ("accepted", "below_threshold", "needs_review", "failed")
STANDING = ("task_id", "epoch", "seq", *_COUNTS, "cost_nano", "budget_nano", "paused", "live", "next_chunk")


class Hand(Struct, frozen=True):
    """One run of the crew. ``slots``: the calls it may have out; ``part``: what it last told of itself."""

    entry: int
    slots: int
    part: dict[str, Any] | None


class Out(Struct, frozen=True):
    """Chunks that are out with others: those who make them, and those that nobody makes any more."""

    held: int
    left_behind: int


class Standing(Struct, frozen=True, kw_only=True):
    """Where the whole task stands, whoever made it: at sequence number ``seq``, ``stored`` items have ended.

    ``epoch`` is the entry of the run that joined last.
    """

    task_id: str
    epoch: int
    seq: int
    stored: int
    cost_nano: int
    budget_nano: int | None
    paused: dict[str, Any] | None
    live: dict[str, Any] | None
    next_chunk: int


def standing(row: Row) -> Standing:
    """Return where a task stands by its row."""
    return Standing(
        task_id=row["task_id"],
        epoch=row["epoch"],
        seq=row["seq"],
        stored=sum(row[name] for name in _COUNTS),
        cost_nano=row["cost_nano"],
        budget_nano=row["budget_nano"],
        paused=row["paused"],
        live=row["live"],
        next_chunk=row["next_chunk"],
    )


def _at_work() -> Any:
    """Tell of a row of ``task_crew`` that its job runs under the epoch under which it joined."""
    return exists(
        select(job.c.id).where(
            job.c.id == task_crew.c.job_id, job.c.epoch == task_crew.c.job_epoch, job.c.state == "running"
        )
    )


def _counts(entry: int) -> Any:
    """Tell of a row of ``task_crew`` that it counts, as the run ``entry`` sees it."""
    return or_(task_crew.c.entry == entry, _at_work())


def in_place(task_id: Any, entry: int) -> Any:
    """Tell that the run ``entry`` has its place in a task's crew."""
    return exists(select(task_crew.c.entry).where(task_crew.c.task_id == task_id, task_crew.c.entry == entry))


async def hold(w: Writer, scope: Scope, task_id: str) -> bool:
    """Hold a live task's row until the transaction ends; False when it is not live."""
    del scope  # runs alone ask, for the task that their job names
    live = select(tasks.c.id).where(tasks.c.task_id == task_id, tasks.c.status.in_(_LIVE))
    return await w.scalar(live.with_for_update()) is not None


async def lock(w: Writer, scope: Scope, task_id: str) -> Standing | None:
    """Return where a live task stands and hold its row until the transaction ends; None when it is not live."""
    del scope  # as above
    stmt = select(*(tasks.c[name] for name in STANDING))
    row = await w.first(stmt.where(tasks.c.task_id == task_id, tasks.c.status.in_(_LIVE)).with_for_update())
    return None if row is None else standing(row)


async def look(r: Reader, scope: Scope, task_id: str) -> Standing | None:
    """Return where a live task stands; None when it is not live."""
    del scope  # as above
    stmt = select(*(tasks.c[name] for name in STANDING))
    row = await r.first(stmt.where(tasks.c.task_id == task_id, tasks.c.status.in_(_LIVE)))
    return None if row is None else standing(row)


async def join(w: Writer, scope: Scope, task_id: str, job_id: str, at: datetime) -> Row:
    """Take a place in the crew of a locked task and return its row; ``epoch`` is the entry that was given.

    An earlier place of the same job is lost with it, and so are those of dead runs.
    """
    del scope  # as above
    row = await w.first(
        update(tasks)
        .where(tasks.c.task_id == task_id)
        .values(epoch=tasks.c.epoch + 1, status="running")
        .returning(*tasks.c)
    )
    assert row is not None  # noqa: S101 - the caller has locked it
    job_epoch = await w.scalar(select(job.c.epoch).where(job.c.id == job_id)) if job_id else 0
    await w.run(delete(task_crew).where(task_crew.c.task_id == task_id, or_(task_crew.c.job_id == job_id, ~_at_work())))
    place = {"task_id": task_id, "job_id": job_id, "job_epoch": job_epoch, "entry": row["epoch"], "joined_at": at}
    await w.run(insert(task_crew), place)
    return row


async def leave(w: Writer, scope: Scope, task_id: str, entry: int) -> None:
    """Give the place up; what is out with it can be handed out again."""
    del scope  # as above
    await w.run(delete(task_crew).where(task_crew.c.task_id == task_id, task_crew.c.entry == entry))


async def disband(w: Writer, scope: Scope, task_id: str) -> list[str]:
    """Take every run's place in a locked task: nothing that is in flight will be stored. Returns their jobs, sorted."""
    del scope  # the caller has locked the task under it
    found = await w.all(delete(task_crew).where(task_crew.c.task_id == task_id).returning(task_crew.c.job_id))
    return sorted(row["job_id"] for row in found if row["job_id"])


async def hands(r: Reader, scope: Scope, task_id: str, entry: int) -> list[Hand]:
    """Return the runs that count, the one that asks included, in the order in which they joined."""
    del scope  # as above
    c = task_crew.c
    stmt = select(c.entry, c.slots, c.part).where(c.task_id == task_id, _counts(entry)).order_by(c.entry)
    return [Hand(row["entry"], row["slots"], row["part"]) for row in await r.all(stmt)]


async def tell(w: Writer, scope: Scope, task_id: str, entry: int, slots: int, part: dict[str, Any]) -> bool:
    """Set a run's slots and what it tells of itself; False when it has no place any more."""
    del scope  # as above
    mine = update(task_crew).where(task_crew.c.task_id == task_id, task_crew.c.entry == entry)
    return await w.run(mine.values(slots=slots, part=part)) == 1


# --- chunks


def _not_made(entry: int) -> Any:
    """Tell of a row of ``task_chunk`` that nobody makes it; what is out with ``entry`` itself is made."""
    made = select(task_crew.c.entry).where(
        task_crew.c.task_id == task_chunk.c.task_id, task_crew.c.entry == task_chunk.c.entry, _at_work()
    )
    return and_(task_chunk.c.entry != entry, ~exists(made))


async def lease_fresh(
    w: Writer, scope: Scope, task_id: str, entry: int, *, count: int, wanted: int
) -> Sequence[int] | None:
    """Hand out the next ``wanted`` of a task's ``count`` chunks, holding its row; None when it is not that simple.

    That is: when fewer are left, when some were left behind, or when the run has no place in the crew any more.
    """
    del scope  # as above
    left_behind = exists(select(task_chunk.c.chunk_no).where(task_chunk.c.task_id == task_id, _not_made(entry)))
    plain = (
        update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.status == "running", tasks.c.next_chunk <= count - wanted)
        .where(in_place(task_id, entry), ~left_behind)
        .values(next_chunk=tasks.c.next_chunk + wanted)
    )
    end: int | None = await w.scalar(plain.returning(tasks.c.next_chunk))
    return None if end is None else await _hand_out(w, task_id, entry, range(end - wanted, end))


async def lease(
    w: Writer, scope: Scope, task: Standing, entry: int, *, count: int, wanted: int
) -> tuple[list[int], Sequence[int]] | None:
    """Hand out up to ``wanted`` of a locked task's ``count`` chunks: first those that were left behind, then new ones.

    None when the run has no place in the crew any more.
    """
    del scope  # as above
    task_id = task.task_id
    if not await w.scalar(select(in_place(task_id, entry))):
        return None
    of_task = task_chunk.c.task_id == task_id
    left = select(task_chunk.c.chunk_no).where(of_task, _not_made(entry)).order_by(task_chunk.c.chunk_no).limit(wanted)
    numbers = [row["chunk_no"] for row in await w.all(left)]
    if numbers:
        await w.run(update(task_chunk).where(of_task, task_chunk.c.chunk_no.in_(numbers)).values(entry=entry))
    fresh = range(task.next_chunk, min(count, task.next_chunk + wanted - len(numbers)))
    if fresh:
        await w.run(update(tasks).where(tasks.c.task_id == task_id).values(next_chunk=fresh.stop))
    return numbers, await _hand_out(w, task_id, entry, fresh)


async def _hand_out(w: Writer, task_id: str, entry: int, fresh: Sequence[int]) -> Sequence[int]:
    await w.run(insert(task_chunk), [{"task_id": task_id, "chunk_no": one, "entry": entry} for one in fresh])
    return fresh


async def close(w: Writer, scope: Scope, task_id: str, numbers: Sequence[int]) -> None:
    """Forget chunks of which every item is stored."""
    del scope  # as above
    if numbers:
        await w.run(delete(task_chunk).where(task_chunk.c.task_id == task_id, task_chunk.c.chunk_no.in_(numbers)))


async def out(r: Reader, scope: Scope, task_id: str, entry: int) -> Out:
    """Count the chunks that are out with others than ``entry``."""
    del scope  # as above
    others = select(func.count()).where(task_chunk.c.task_id == task_id)
    left = await r.scalar(others.where(_not_made(entry)))
    return Out(held=await r.scalar(others.where(task_chunk.c.entry != entry)) - left, left_behind=left)


# --- who else could take part


async def free_workers(r: Reader, scope: Scope, task_id: str, kind: str) -> int:
    """Count the living workers that know jobs of type ``kind`` and run none of this task's crew."""
    del scope  # as above
    busy = (
        select(job.c.lease_owner)
        .join_from(task_crew, job, and_(job.c.id == task_crew.c.job_id, job.c.epoch == task_crew.c.job_epoch))
        .where(task_crew.c.task_id == task_id, job.c.state == "running", job.c.lease_owner.is_not(None))
    )
    moment = await r.scalar(select(db_now()))
    stmt = select(worker.c.types).where(
        worker.c.heartbeat_at >= moment - timedelta(seconds=FRESH_S), ~worker.c.draining, worker.c.id.not_in(busy)
    )
    return sum(kind in row["types"] for row in await r.all(stmt))


async def waiting_help(r: Reader, scope: Scope, task_id: str, kind: str) -> int:
    """Count the jobs of type ``kind`` for this task that wait for a worker. Uses index: ix_job_due."""
    del scope  # as above
    return await r.scalar(
        select(func.count()).where(
            job.c.type == kind, job.c.state.in_(WAITING), job.c.idem_key.startswith(f"{task_id}:", autoescape=True)
        )
    )
