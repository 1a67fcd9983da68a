"""Queues and workers as operators see them, and what they set: pauses and bounds."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import UNSET

from tidemill.audit.facade import record
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.errors import BadInput, FieldProblem
from tidemill.operations import views
from tidemill.operations.contracts import QueuePatch, QueueView, WorkerView
from tidemill.operations.errors import QueueNotFound
from tidemill.platform.db import Database, Reader, Writer
from tidemill.platform.jobs import repository, repository_desk, repository_moves, repository_workers
from tidemill.platform.jobs.engine import QUEUES_BELL, JobEngine
from tidemill.platform.jobs.rules import MAX_LENGTH, MAX_PER_USER

RATE_SPAN = timedelta(seconds=60)
# How long a broker is waited for before a queue's tickets are unknown.
BROKER_TIMEOUT_S = 2.0
# Bounds of the bounds: a queue's index and counts are made for no more.
_LARGEST = {"max_length": 10_000_000, "max_per_user": 10_000_000, "concurrency": 100_000}
WORKER_JOBS = 2_000


class QueueService:
    """Queues and workers; administrators alone reach this. A worker silent for ``lease_s`` has lost its jobs."""

    def __init__(self, db: Database, jobs: JobEngine, lease_s: float) -> None:
        self._db = db
        self._jobs = jobs
        self._lease_s = lease_s

    async def all(self, scope: Scope) -> list[QueueView]:
        """Return every queue that a job type uses, that has jobs or that somebody set something about, by name."""
        tickets = await self._tickets()
        async with self._db.read() as r:
            return await self._views(r, scope, tickets)

    async def get(self, scope: Scope, name: str) -> QueueView:
        """Return one queue. Raises QueueNotFound."""
        return _named(await self.all(scope), name)

    async def change(self, actor: Actor, scope: Scope, name: str, change: QueuePatch) -> QueueView:
        """Set a queue's bounds; workers hear of it at once. Raises QueueNotFound, BadInput."""
        values = {field: value for field, value in msgspec.structs.asdict(change).items() if value is not UNSET}
        problems = [
            FieldProblem(field, f"must be between 1 and {_LARGEST[field]}, or null for the default")
            for field, value in values.items()
            if value is not None and not 1 <= value <= _LARGEST[field]
        ]
        if problems:
            raise BadInput("; ".join(f"{one.field}: {one.message}" for one in problems), fields=problems)
        return await self._set(actor, scope, name, values, "queue.change")

    async def pause(self, actor: Actor, scope: Scope, name: str, *, paused: bool) -> QueueView:
        """Start no more jobs of a queue, or start them again; what runs goes on. Raises QueueNotFound."""
        return await self._set(actor, scope, name, {"paused": paused}, "queue.pause" if paused else "queue.resume")

    async def _set(self, actor: Actor, scope: Scope, name: str, values: Mapping[str, Any], action: str) -> QueueView:
        tickets = await self._tickets()
        async with self._db.write() as w:
            before = _named(await self._views(w, scope, tickets), name)
            if values:
                await repository_moves.set_queue(w, scope, name, values)
                w.changed(QUEUES_BELL)
                await self._audit(w, actor, action, before, values)
            return _named(await self._views(w, scope, tickets), name)

    @staticmethod
    async def _audit(w: Writer, actor: Actor, action: str, before: QueueView, values: Mapping[str, Any]) -> None:
        was = {field: getattr(before, field) for field in values}
        await record(
            w,
            actor=actor,
            action=action,
            object_type="queue",
            object_id=before.name,
            details={"before": was, "after": {**values}},
        )

    async def _views(self, r: Reader, scope: Scope, tickets: Mapping[str, int]) -> list[QueueView]:
        depths = {depth.queue: depth for depth in await repository_desk.depths(r, scope)}
        ended = await repository_desk.ended_within(r, scope, RATE_SPAN)
        rows = await repository_desk.queue_rows(r, scope)
        types: defaultdict[str, list[str]] = defaultdict(list)
        for kind in self._jobs.kinds.values():
            types[kind.queue].append(kind.type)
        found: list[QueueView] = []
        for name in sorted({*depths, *ended, *rows, *types}):
            row, depth = rows.get(name), depths.get(name)
            by_state = depth.by_state if depth else {}
            found.append(
                QueueView(
                    name=name,
                    paused=bool(row and row["paused"]),
                    max_length=row["max_length"] if row and row["max_length"] is not None else MAX_LENGTH,
                    max_per_user=row["max_per_user"] if row and row["max_per_user"] is not None else MAX_PER_USER,
                    concurrency=row["concurrency"] if row else None,
                    waiting=by_state.get("queued", 0),
                    retry_wait=by_state.get("retry_wait", 0),
                    running=by_state.get("running", 0),
                    dead=by_state.get("dead", 0),
                    failed=by_state.get("failed", 0),
                    oldest_s=round(depth.oldest_s, 1) if depth else 0.0,
                    rate_per_s=round(ended.get(name, 0) / RATE_SPAN.total_seconds(), 3),
                    tickets=tickets.get(name),
                    types=sorted(types[name]),
                )
            )
        return found

    async def _tickets(self) -> Mapping[str, int]:
        """Ask the broker what it holds; nothing is known while it does not answer."""
        if not (self._jobs.transport.remote and self._jobs.transport.connected):
            return {}
        try:
            async with asyncio.timeout(BROKER_TIMEOUT_S):
                return await self._jobs.transport.depths()
        except TimeoutError:
            return {}

    async def workers(self, scope: Scope) -> list[WorkerView]:
        """Return the processes that run jobs, the newest first, with what they hold (2,000 jobs in all)."""
        async with self._db.read() as r:
            rows = await repository_workers.workers(r, scope)
            held = await repository_desk.held_by(r, scope, [row["id"] for row in rows], WORKER_JOBS)
            at = await repository.now(r)
        return [views.worker(row, held.get(row["id"], []), at, self._lease_s) for row in rows]


def _named(found: list[QueueView], name: str) -> QueueView:
    for queue in found:
        if queue.name == name:
            return queue
    raise QueueNotFound(name=name, known=", ".join(queue.name for queue in found))
