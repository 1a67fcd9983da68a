"""All SQL of the audit log. Entries are added, read and, once, emptied of personal data; never changed or deleted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update

from tidemill.audit.contracts import AuditEntry, AuditFilter
from tidemill.audit.tables import audit_log
from tidemill.kernel.actor import AdminScope, Scope, SystemScope, UserScope
from tidemill.kernel.pages import Page, PageRequest, decode_id_cursor, encode_cursor
from tidemill.platform.db import Reader, Row, Writer

_t = audit_log.c


async def add(w: Writer, rows: list[Mapping[str, Any]]) -> None:
    """Write entries."""
    await w.run(insert(audit_log), rows)


async def page(r: Reader, scope: Scope, wanted: AuditFilter, request: PageRequest) -> Page[AuditEntry]:
    """Return entries, newest first, by keyset on the id. A user scope sees only what that user did."""
    stmt = _filtered(select(audit_log), scope, wanted).order_by(_t.id.desc()).limit(request.page_size + 1)
    if request.cursor is not None:
        stmt = stmt.where(_t.id < decode_id_cursor(request.cursor))
    rows = await r.all(stmt)
    items = [_entry(row) for row in rows[: request.page_size]]
    more = len(rows) > request.page_size
    return Page(
        items=items, page=request.page, page_size=request.page_size, next=encode_cursor(items[-1].id) if more else None
    )


async def erase_person(w: Writer, scope: AdminScope | SystemScope, user_id: int, at: datetime) -> int:
    """Empty name, address, agent and details of what ``user_id`` did, and the details of what was done to them."""
    del scope  # taken to show that no user scope reaches this
    mine = await w.run(
        update(audit_log)
        .where(_t.actor_id == user_id, _t.erased_at.is_(None))
        .values(actor_name="", address=None, user_agent=None, details={}, erased_at=at)
    )
    about = await w.run(
        update(audit_log)
        .where(_t.object_type == "user", _t.object_id == str(user_id), _t.erased_at.is_(None))
        .values(details={}, erased_at=at)
    )
    return mine + about


def _filtered(stmt: Select[Any], scope: Scope, wanted: AuditFilter) -> Select[Any]:
    if isinstance(scope, UserScope):
        stmt = stmt.where(_t.actor_id == scope.user_id)
    equal = {
        _t.actor_id: wanted.actor_id,
        _t.actor_name: wanted.actor,
        _t.action: wanted.action,
        _t.object_type: wanted.object_type,
        _t.object_id: wanted.object_id,
        _t.result: wanted.result,
        _t.address: wanted.address,
    }
    stmt = stmt.where(*[column == value for column, value in equal.items() if value is not None])
    if wanted.since is not None:
        stmt = stmt.where(_t.at >= wanted.since)
    if wanted.until is not None:
        stmt = stmt.where(_t.at < wanted.until)
    return stmt


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at=row["at"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        actor_name=row["actor_name"],
        key_id=row["key_id"],
        action=row["action"],
        object_type=row["object_type"],
        object_id=row["object_id"],
        result=row["result"],
        reason=row["reason"],
        count=row["count"],
        details=row["details"],
        address=row["address"],
        user_agent=row["user_agent"],
        request_id=row["request_id"],
        erased=row["erased_at"] is not None,
    )
