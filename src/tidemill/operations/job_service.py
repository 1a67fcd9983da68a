"""What people do with jobs: look, cancel, change, replay, discard. Each change is one transaction with its audit entry.

A replay or discard of many goes in slices, so that thousands of dead letters never hold the database's writer; what
turns into a dead letter meanwhile is left for the next time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from tidemill.audit.facade import record
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.operations import views
from tidemill.operations.contracts import (
    SAMPLE,
    DeadFilter,
    JobBatch,
    JobBatchResult,
    JobDetail,
    JobPatch,
    JobView,
    OwnJob,
)
from tidemill.operations.errors import (
    JobNotCancellable,
    JobNotDiscardable,
    JobNotEditable,
    JobNotFound,
    JobNotReplayable,
)
from tidemill.operations.ports import JobKeeper
from tidemill.platform.db import Database, Reader, Row, Writer
from tidemill.platform.jobs import repository, repository_desk, repository_moves
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.errors import PayloadTooLarge
from tidemill.platform.jobs.repository_desk import JobFilter
from tidemill.platform.jobs.rules import LOST, MAX_PAYLOAD_BYTES, WAITING
from tidemill.platform.jobs.transport import Ticket

EVENTS = 500
SLICE = 500
MAX_IDS = 10_000
MAX_PRIORITY = 1_000
Act = Literal["replay", "discard"]


class JobService:
    """Jobs of all users; each method takes how far the caller may look."""

    def __init__(self, db: Database, jobs: JobEngine, keepers: Mapping[str, JobKeeper]) -> None:
        self._db = db
        self._jobs = jobs
        self._keepers = keepers

    # Looking.

    async def page(self, scope: Scope, wanted: JobFilter, request: PageRequest) -> Page[JobView]:
        """List jobs, newest first."""
        before = None if request.cursor is None else _job_id(request.cursor)
        async with self._db.read() as r:
            rows = await repository_desk.page(r, scope, wanted, limit=request.page_size + 1, before=before)
        more = len(rows) > request.page_size
        rows = rows[: request.page_size]
        items = [views.job(row, self._jobs.kinds) for row in rows]
        following = encode_cursor(rows[-1]["id"]) if more else None
        return Page(items, page=request.page, page_size=request.page_size, next=following)

    async def own(self, scope: Scope, job_id: str) -> OwnJob:
        """Return one job as its owner sees it. Raises JobNotFound."""
        async with self._db.read() as r:
            row = await self._found(r, scope, job_id)
            events = await repository_desk.events(r, scope, job_id, EVENTS)
        return views.own_job(row, events, self._jobs.kinds)

    async def detail(self, scope: Scope, job_id: str) -> JobDetail:
        """Return everything about one job. Raises JobNotFound."""
        async with self._db.read() as r:
            return await self._detail(r, scope, job_id)

    async def _detail(self, r: Reader, scope: Scope, job_id: str) -> JobDetail:
        row = await self._found(r, scope, job_id)
        return views.job_detail(row, await repository_desk.events(r, scope, job_id, EVENTS), self._jobs.kinds)

    @staticmethod
    async def _found(r: Reader, scope: Scope, job_id: str) -> Row:
        row = await repository_desk.one(r, scope, job_id) if job_id.isascii() and job_id.isprintable() else None
        if row is None:
            raise JobNotFound(job_id=job_id)
        return row

    # Changing one.

    async def cancel(self, actor: Actor, scope: Scope, job_id: str) -> JobView:
        """Cancel a waiting job at once, have a running one stopped. Raises JobNotCancellable when it has ended."""
        async with self._db.write() as w:
            row = await self._found(w, scope, job_id)
            if row["state"] not in WAITING | {"running"}:
                raise JobNotCancellable(status=row["state"])
            await self._give_up(w, actor, [row])
            await self._jobs.cancel(w, scope, job_id, by=actor.user_id)
            after = await self._found(w, scope, job_id)
            if after["state"] == "cancelled":
                self._jobs.tell(w, job_id, row["type"], row["user_id"], "cancelled")
            await self._record(w, actor, "job.cancel", job_id, {"type": row["type"], "status": row["state"]})
        return views.job(after, self._jobs.kinds)

    async def edit(self, actor: Actor, scope: Scope, job_id: str, change: JobPatch) -> JobDetail:
        """Change payload or priority of a job that does not run. Raises JobNotEditable, PayloadTooLarge."""
        values: dict[str, Any] = {}
        if change.payload is not UNSET:
            values["payload"] = _fitting(change.payload)
        if change.priority is not UNSET:
            if abs(change.priority) > MAX_PRIORITY:
                raise BadInput.of("priority", f"must be between {-MAX_PRIORITY} and {MAX_PRIORITY}")
            values["priority"] = change.priority
        async with self._db.write() as w:
            row = await self._found(w, scope, job_id)
            if values and not await repository_moves.edit(w, scope, job_id, values, by=actor.user_id):
                raise JobNotEditable(status=row["state"])
            if values:
                await self._record(w, actor, "job.change", job_id, {"type": row["type"], "fields": sorted(values)})
            return await self._detail(w, scope, job_id)

    async def replay(self, actor: Actor, scope: Scope, job_id: str, payload: dict[str, Any] | None) -> JobView:
        """Give a dead letter another life. Raises JobNotReplayable, PayloadTooLarge."""
        fitting = None if payload is None else _fitting(payload)
        async with self._db.write() as w:
            row = await self._found(w, scope, job_id)
            moved = await repository_moves.replay(w, scope, [job_id], by=actor.user_id, payload=fitting)
            if not moved:
                raise JobNotReplayable(status=row["state"])
            self._follow_up(w, moved, "queued")
            details = {"type": row["type"], "error": row["error_code"], "new_payload": payload is not None}
            await self._record(w, actor, "job.replay", job_id, details)
            after = await self._found(w, scope, job_id)
        return views.job(after, self._jobs.kinds)

    async def discard(self, actor: Actor, scope: Scope, job_id: str) -> JobView:
        """Give up a dead letter. Raises JobNotDiscardable."""
        async with self._db.write() as w:
            row = await self._found(w, scope, job_id)
            moved = await repository_moves.discard(w, scope, [job_id], by=actor.user_id)
            if not moved:
                raise JobNotDiscardable(status=row["state"])
            await self._give_up(w, actor, moved)
            self._follow_up(w, moved, "cancelled")
            await self._record(w, actor, "job.discard", job_id, {"type": row["type"], "error": row["error_code"]})
            after = await self._found(w, scope, job_id)
        return views.job(after, self._jobs.kinds)

    # Changing many.

    async def replay_many(self, actor: Actor, scope: Scope, batch: JobBatch) -> JobBatchResult:
        """Replay the dead letters that match, or count them."""
        return await self._many(actor, scope, batch, "replay")

    async def discard_many(self, actor: Actor, scope: Scope, batch: JobBatch) -> JobBatchResult:
        """Discard the dead letters that match, or count them."""
        return await self._many(actor, scope, batch, "discard")

    async def _many(self, actor: Actor, scope: Scope, batch: JobBatch, act: Act) -> JobBatchResult:
        async with self._db.read() as r:
            wanted = msgspec.structs.replace(_dead_letters(batch), ended_by=await repository.now(r))
            matching = await repository_desk.count(r, scope, wanted)
            rows = await repository_desk.page(r, scope, wanted, limit=SAMPLE)
        changed = 0 if batch.dry_run else await self._slices(actor, scope, wanted, act)
        if changed:
            async with self._db.read() as r:
                shown = JobFilter(ids=frozenset(row["id"] for row in rows))
                rows = await repository_desk.page(r, scope, shown, limit=SAMPLE)
        return JobBatchResult(matching, changed, [views.job(row, self._jobs.kinds) for row in rows])

    async def _slices(self, actor: Actor, scope: Scope, wanted: JobFilter, act: Act) -> int:
        changed, after = 0, ""
        while True:
            async with self._db.read() as r:
                ids = await repository_desk.ids_after(r, scope, wanted, after, SLICE)
            if not ids:
                return changed
            after = ids[-1]
            async with self._db.write() as w:
                if act == "replay":
                    moved = await repository_moves.replay(w, scope, ids, by=actor.user_id)
                    self._follow_up(w, moved, "queued")
                else:
                    moved = await repository_moves.discard(w, scope, ids, by=actor.user_id)
                    await self._give_up(w, actor, moved)
                    self._follow_up(w, moved, "cancelled")
                details = {"count": len(moved), "filter": msgspec.to_builtins(wanted), "first": sorted(ids)[:SAMPLE]}
                await self._record(w, actor, f"job.{act}", "many", details)
            changed += len(moved)

    # Shared.

    async def _give_up(self, w: Writer, actor: Actor, rows: Sequence[Row]) -> None:
        for row in rows:
            keeper = self._keepers.get(row["type"])
            if keeper is not None:
                await keeper.give_up(w, actor, row["id"], row["payload"])

    def _follow_up(self, w: Writer, moved: Sequence[Row], state: str) -> None:
        for row in moved:
            if state in WAITING:
                self._jobs.announce(w, Ticket(row["id"], row["epoch"], row["queue"]))
            self._jobs.tell(w, row["id"], row["type"], row["user_id"], state)
        self._jobs.settle_dead(w)

    @staticmethod
    async def _record(w: Writer, actor: Actor, action: str, job_id: str, details: dict[str, Any]) -> None:
        await record(w, actor=actor, action=action, object_type="job", object_id=job_id, details=details)


def _dead_letters(batch: JobBatch) -> JobFilter:
    """Say which dead letters are meant; raises BadInput."""
    if (batch.ids is None) == (batch.filter is None):
        raise BadInput.of("filter", "give either ids or a filter; {} is every dead letter")
    if batch.ids is not None:
        if len(batch.ids) > MAX_IDS:
            raise BadInput.of("ids", f"at most {MAX_IDS}; use a filter for more")
        return JobFilter(states=LOST, ids=frozenset(batch.ids))
    asked = batch.filter or DeadFilter()
    return JobFilter(
        states=LOST if asked.status is None else frozenset({asked.status}),
        type=asked.type,
        queue=asked.queue,
        user_id=asked.user_id,
        error_code=asked.error_code,
        since=asked.since,
        until=asked.until,
    )


def _job_id(cursor: str) -> str:
    (job_id,) = decode_cursor(cursor, 1)
    if not isinstance(job_id, str):
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before")
    return job_id


def _fitting(payload: dict[str, Any]) -> dict[str, Any]:
    size = len(msgspec.json.encode(payload))
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(bytes=size, limit=MAX_PAYLOAD_BYTES)
    return payload
