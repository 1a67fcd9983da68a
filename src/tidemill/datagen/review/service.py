"""What people do with generated rows: look, mend, confirm, accept or reject.

Each change is one transaction with its audit entry, and reaches all the rows it names or none.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from tidemill.audit.facade import record
from tidemill.datagen.completion import completed
from tidemill.datagen.errors_types import UnknownTaskType
from tidemill.datagen.parse import check_output
from tidemill.datagen.review import repository
from tidemill.datagen.review.contracts import (
    BatchConfirm,
    BatchDone,
    BatchReview,
    BatchUpdate,
    GeneratedRow,
    RowFilter,
    RowUpdate,
    UpdateDone,
)
from tidemill.datagen.review.errors import RowsChanged, RowsNotFound, RowsRefused, SelectionRefused
from tidemill.datagen.review.export import Exporter
from tidemill.datagen.task_types import TaskType, find_type
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.errors import BadInput, FieldProblem
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.platform.db import Database, Row

MAX_UPDATES = 500
MAX_IDS = 10_000
MAX_NOTE = 2_000
_SORTS = ("created_at", "final_score", "id")
_AUDITED_IDS = 100


class ReviewService:
    """The door of review; ``exporter`` writes rows out as files."""

    def __init__(self, db: Database, task_types: Mapping[str, TaskType]) -> None:
        self._db = db
        self._types = task_types
        self.exporter = Exporter(db)

    async def page(self, scope: Scope, wanted: RowFilter, sort: str, request: PageRequest) -> Page[GeneratedRow]:
        """Return rows; ``sort`` is created_at, final_score or id, with a minus in front when it falls."""
        name, falls = sort_key(sort)
        after = _after(request.cursor, sort, name)
        async with self._db.read() as r:
            rows = await repository.page(
                r,
                scope,
                wanted,
                (name, falls),
                after=after,
                offset=0 if after else request.offset,
                limit=request.page_size + 1,
            )
            total = None if after else await repository.count(r, scope, wanted)
        shown = rows[: request.page_size]
        following = _cursor(shown[-1], sort, name) if len(rows) > request.page_size else None
        return Page([view(row) for row in shown], total, request.page, request.page_size, following)

    async def update(self, actor: Actor, batch: BatchUpdate) -> UpdateDone:
        """Give rows new contents; each is checked against its task type first.

        Raises RowsRefused naming every problem, RowsNotFound, RowsChanged when a row is at another version than the
        one its writer looked at.
        """
        items = batch.items
        if not 1 <= len(items) <= MAX_UPDATES:
            raise BadInput.of("items", f"1 to {MAX_UPDATES} rows")
        ids = [item.id for item in items]
        if len(set(ids)) < len(ids):
            raise BadInput.of("items", "each row at most once")
        async with self._db.read() as r:
            before = await repository.by_ids(r, actor.scope, ids)
        _all_there(ids, before.keys())
        outputs = await asyncio.to_thread(self._checked, items, before)
        now = clock.now()
        async with self._db.write() as w:
            rows = await repository.by_ids(w, actor.scope, ids, hold=True)
            _all_there(ids, rows.keys())
            _same_versions(items, rows)
            changes = [_change(actor, rows[item.id], outputs[item.id], now) for item in items]
            await repository.write_contents(w, changes)
            await record(
                w,
                actor=actor,
                action="generated_data.update",
                object_type="generated_data",
                object_id=ids[0],
                details={"ids": ids[:_AUDITED_IDS], "count": len(ids)},
            )
        async with self._db.read() as r:
            rows = await repository.by_ids(r, actor.scope, ids)
        return UpdateDone(len(ids), [], [view(rows[row_id]) for row_id in ids if row_id in rows])

    async def confirm(self, actor: Actor, batch: BatchConfirm) -> BatchDone:
        """Confirm rows, or take that back."""
        values = {"is_confirmed": batch.is_confirmed}
        return await self._mark(actor, "generated_data.confirm", batch.ids, batch.filter, values)

    async def review(self, actor: Actor, batch: BatchReview) -> BatchDone:
        """Accept or reject rows; a rejected row is not confirmed any more. The other word takes it back."""
        if batch.note is not None and len(batch.note) > MAX_NOTE:
            raise BadInput.of("note", f"at most {MAX_NOTE} characters")
        values: dict[str, Any] = {
            "status": batch.status,
            "reviewer_id": actor.user_id,
            "review_note": batch.note,
            "reviewed_at": clock.now(),
        }
        if batch.status == "rejected":
            values["is_confirmed"] = False
        return await self._mark(actor, "generated_data.review", batch.ids, batch.filter, values)

    async def _mark(
        self,
        actor: Actor,
        action: str,
        ids: Sequence[int] | None,
        wanted: RowFilter | None,
        values: Mapping[str, Any],
    ) -> BatchDone:
        chosen = _selection(ids, wanted)
        details: dict[str, Any] = {key: value for key, value in values.items() if key in {"is_confirmed", "status"}}
        async with self._db.write() as w:
            if isinstance(chosen, RowFilter):
                details["filter"] = msgspec.to_builtins(chosen)
            else:
                _all_there(chosen, await repository.known_ids(w, actor.scope, chosen))
                details["ids"] = chosen[:_AUDITED_IDS]
            reached = await repository.mark(w, actor.scope, chosen, values, clock.now())
            details["count"] = reached
            await record(
                w,
                actor=actor,
                action=action,
                object_type="generated_data",
                object_id="filter" if isinstance(chosen, RowFilter) else chosen[0],
                details=details,
            )
        return BatchDone(reached, [])

    def _checked(self, items: Sequence[RowUpdate], rows: Mapping[int, Row]) -> dict[int, dict[str, Any]]:
        outputs: dict[int, dict[str, Any]] = {}
        problems: list[FieldProblem] = []
        for number, item in enumerate(items):
            field = f"items[{number}].data_content"
            output = _decoded(item.data_content)
            if output is None:
                problems.append(FieldProblem(field, "must be a JSON object, or the text of one"))
                continue
            try:
                task_type = find_type(rows[item.id]["task_type"] or "", self._types)
            except UnknownTaskType as error:
                problems.append(FieldProblem(field, error.message("en")))
                continue
            outputs[item.id] = output = completed(task_type, output)  # offsets follow an edited text
            found = check_output(task_type, output)
            problems += [FieldProblem(_below(field, problem.field), problem.message) for problem in found]
        if problems:
            raise RowsRefused.because(problems)
        return outputs


def view(row: Row) -> GeneratedRow:
    """Return a stored row as it is shown."""
    fields: dict[str, Any] = dict(row)
    fields["lineage"] = None if row["lineage"] is None else msgspec.Raw(row["lineage"].encode())
    return GeneratedRow(**fields)


def sort_key(text: str) -> repository.SortKey:
    """Read ``sort``; raises BadInput naming it."""
    name = text.lstrip("+- ")
    if name not in _SORTS:
        raise BadInput.of("sort", f"one of {', '.join(_SORTS)}, with - in front for the highest first")
    return name, text.lstrip(" +").startswith("-")


def _after(cursor: str | None, sort: str, name: str) -> tuple[Any, int] | None:
    if cursor is None:
        return None
    order, value, row_id = decode_cursor(cursor, 3)
    try:
        if order != sort:
            raise BadInput.of("cursor", "belongs to another sort order; start without one")
        wanted: Any = {"created_at": datetime, "final_score": float | None, "id": int}[name]
        return msgspec.convert(value, wanted), msgspec.convert(row_id, int)
    except msgspec.ValidationError:
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before") from None


def _cursor(row: Row, sort: str, name: str) -> str:
    return encode_cursor(sort, row[name], row["id"])


def _selection(ids: Sequence[int] | None, wanted: RowFilter | None) -> list[int] | RowFilter:
    if ids is not None and wanted is None and 1 <= len(ids) <= MAX_IDS:
        return list(dict.fromkeys(ids))
    if ids is None and wanted is not None and not wanted.is_empty:
        return wanted
    raise SelectionRefused.of_limit(MAX_IDS)


def _all_there(ids: Sequence[int], known: Any) -> None:
    missing = [row_id for row_id in ids if row_id not in known]
    if missing:
        raise RowsNotFound(ids=", ".join(map(str, missing[:20])))


def _same_versions(items: Sequence[RowUpdate], rows: Mapping[int, Row]) -> None:
    moved = [item for item in items if item.row_version not in {None, rows[item.id]["row_version"]}]
    if not moved:
        return
    sides = [
        {
            "id": item.id,
            "yours": {"row_version": item.row_version, "data_content": item.data_content},
            "current": {
                "row_version": rows[item.id]["row_version"],
                "data_content": rows[item.id]["data_content"],
            },
        }
        for item in moved
    ]
    raise RowsChanged(msgspec.json.encode(sides).decode(), ids=", ".join(str(item.id) for item in moved[:20]))


def _change(actor: Actor, row: Row, output: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the row's new content, its lineage keeping what the model wrote and who mended it."""
    history: dict[str, Any] = _decoded(row["lineage"] or "{}") or {}
    history.setdefault("generated", _decoded(row["data_content"]))
    edits: list[Any] = history.setdefault("edits", [])
    edits.append({"by": actor.user_id, "at": now, "row_version": row["row_version"] + 1})
    return {
        "row": row["id"],
        "content": msgspec.json.encode(output).decode(),
        "history": msgspec.json.encode(history).decode(),
        "now": now,
    }


def _decoded(content: dict[str, Any] | str) -> dict[str, Any] | None:
    if isinstance(content, dict):
        return content
    try:
        value = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _below(field: str, inner: str) -> str:
    return f"{field}.{inner}" if inner else field
