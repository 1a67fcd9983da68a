"""Make reports: from the task's row and sums over what it made."""

import asyncio
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from tidemill.datagen.errors import TaskNotFound
from tidemill.datagen.reports import figures, repository
from tidemill.datagen.reports.contracts import (
    Histograms,
    Reason,
    Report,
    ReportItem,
    Slot,
)
from tidemill.datagen.reports.reasons import ReasonCount
from tidemill.datagen.review.contracts import RowFilter
from tidemill.datagen.review.export import Export, Exporter, ExportOptions
from tidemill.kernel.actor import AdminScope, Scope, UserScope
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.platform.db import Database, Reader

REASON_ROWS = 20_000
_SLICE = 500


class KnownUsers(Protocol):
    """Tells whether a user exists; identity's administration does."""

    async def get(self, scope: AdminScope, user_id: int) -> object:
        """Return the user; raises UserNotFound."""
        ...


class ReportService:
    """The door of reports."""

    def __init__(self, db: Database, users: KnownUsers) -> None:
        self._db = db
        self._users = users
        self._exporter = Exporter(db)

    async def scope_of(self, admin: AdminScope, user_id: int) -> UserScope:
        """Return the scope of one user for an administrator; raises UserNotFound (1002)."""
        await self._users.get(admin, user_id)
        return UserScope(user_id)

    async def page(self, scope: Scope, request: PageRequest) -> Page[ReportItem]:
        """Return reports, newest task first."""
        after = _after(request.cursor)
        async with self._db.read() as r:
            rows = await repository.page(
                r, scope, after=after, offset=0 if after else request.offset, limit=request.page_size + 1
            )
            shown = rows[: request.page_size]
            states = await repository.states(r, [row["task_id"] for row in shown])
            total = None if after else await repository.count(r, scope)
        following = encode_cursor(shown[-1]["id"]) if len(rows) > request.page_size else None
        items = [figures.item(row, figures.counts(row, states)) for row in shown]
        return Page(items, total, request.page, request.page_size, following)

    async def get(self, scope: Scope, task_id: str) -> Report:
        """Return the report of one task as it stands; raises TaskNotFound (2001)."""
        async with self._db.read() as r:
            task = await repository.task(r, scope, task_id)
            if task is None:
                raise TaskNotFound(task_id=task_id)
            counts = figures.counts(task, await repository.states(r, [task_id]))
            used_well = await repository.accepted_tokens(r, task_id)
            parts = await self._parts(r, task_id)
        reasons = await self._reasons(task_id)
        return figures.report(task, counts, used_well, parts, reasons)

    async def rows(self, scope: Scope, task_id: str) -> Export:
        """Return every row of a task, whatever its status, as JSONL with what is known of it; raises TaskNotFound."""
        async with self._db.read() as r:
            if await repository.task(r, scope, task_id) is None:
                raise TaskNotFound(task_id=task_id)
        wanted = RowFilter(task_id=task_id)
        return await self._exporter.export(scope, wanted, ExportOptions(format="jsonl", meta=True))

    async def _parts(self, r: Reader, task_id: str) -> dict[str, Any]:
        histograms = {
            name: figures.bins(await repository.histogram(r, task_id, column))
            for name, column in (("final", "final_score"), ("model", "model_score"), ("rule", "rule_score_exact"))
        }
        by_direction = await repository.failures(r, task_id, "direction")
        by_channel = await repository.failures(r, task_id, "channel")
        by_attempts = await repository.failures(r, task_id, "attempts")
        services = await repository.groups(r, task_id, "channel", "generation_model")
        return {
            "histograms": Histograms(**histograms),
            "directions": figures.merged(await repository.groups(r, task_id, "direction"), by_direction, "direction"),
            "services": figures.merged(services, by_channel, "channel", "generation_model"),
            "attempts": figures.merged(await repository.groups(r, task_id, "attempts"), by_attempts, "attempts"),
            "failures": [
                Reason(code=row["kind"], reason=row["reason"], count=row["items"])
                for row in await repository.failures(r, task_id, "kind")
            ],
            "throughput": await _throughput(r, task_id),
            "samples": [figures.sample(row) for row in await repository.samples(r, task_id)],
        }

    async def _reasons(self, task_id: str) -> ReasonCount:
        """Count causes over the first 20,000 rows that had a refused attempt."""
        counted = ReasonCount()
        after = seen = 0
        while seen < REASON_ROWS:
            async with self._db.read() as r:
                rows = await repository.retried_after(r, task_id, after, _SLICE)
            await asyncio.to_thread(counted.add, rows)
            if len(rows) < _SLICE:
                break
            after, seen = rows[-1]["id"], seen + len(rows)
        return counted


async def _throughput(r: Reader, task_id: str) -> list[Slot]:
    between = await repository.made_between(r, task_id)
    if between is None:
        return []
    first, last = between
    seconds = max((last - first).total_seconds() / repository.SLOTS, 1.0)
    edges = [first + timedelta(seconds=seconds * number) for number in range(1, repository.SLOTS + 1)]
    counts = await repository.throughput(r, task_id, edges)
    starts = [first, *edges[:-1]]
    used = max(counts) + 1
    return [
        Slot(
            at=start,
            seconds=round(seconds, 3),
            rows=counts.get(number, (0, 0))[0],
            accepted=counts.get(number, (0, 0))[1],
        )
        for number, start in enumerate(starts[:used])
    ]


def _after(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return msgspec.convert(decode_cursor(cursor, 1)[0], int)
    except msgspec.ValidationError:
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before") from None
