"""The log on both databases: written with its cause, read by pages, never changed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from tidemill.audit.contracts import AuditEntry, AuditFilter, Origin, current_origin
from tidemill.audit.facade import AuditLog, Refusal, Refusals, erase_person, record
from tidemill.audit.tables import audit_log
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, AdminScope, UserScope
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import PageRequest
from tidemill.platform.db import Database, IntegrityError

ROOT = AdminScope(1)


def actor(user_id: int = 1, name: str = "alice", **more: Any) -> Actor:
    return Actor(user_id=user_id, username=name, is_admin=False, via=more.pop("via", "session"), **more)


async def write(
    database: Database,
    who: Actor | None = None,
    action: str = "thing.change",
    object_id: str = "7",
    details: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    async with database.write() as w:
        await record(w, actor=who, action=action, object_type="thing", object_id=object_id, details=details, **more)


async def entries(database: Database, wanted: AuditFilter | None = None) -> list[AuditEntry]:
    log = AuditLog(database, Refusals())
    return list((await log.page(ROOT, wanted or AuditFilter(), PageRequest(page_size=200))).items)


async def test_an_entry_says_who_did_what_from_where(database: Database) -> None:
    token = current_origin.set(Origin("192.0.2.1", "Mozilla\x00/5.0" + "x" * 400, "req-9"))
    try:
        await write(database, actor(key_id="k1", via="key"), details={"after": {"api_key": "sk-1", "n": 1}})
    finally:
        current_origin.reset(token)
    [entry] = await entries(database)
    assert (entry.actor_kind, entry.actor_id, entry.actor_name, entry.key_id) == ("key", 1, "alice", "k1")
    assert (entry.action, entry.object_type, entry.object_id, entry.result) == ("thing.change", "thing", "7", "ok")
    assert (entry.address, entry.request_id, entry.count, entry.erased) == ("192.0.2.1", "req-9", 1, False)
    assert entry.user_agent is not None
    assert len(entry.user_agent) == 255
    assert entry.details == {"after": {"api_key": "•••", "n": 1}}
    assert abs((entry.at - datetime.now(UTC)).total_seconds()) < 60


async def test_kinds_of_actors(database: Database) -> None:
    await write(database, actor())
    await write(database, None)
    await write(database, None, claimed_name="who\x00ever", result="refused", reason="unknown_user")
    kinds = [(entry.actor_kind, entry.actor_name) for entry in await entries(database)]
    assert kinds == [("anonymous", "who\N{REPLACEMENT CHARACTER}ever"), ("system", ""), ("user", "alice")]


async def test_an_entry_goes_with_the_transaction_that_caused_it(database: Database) -> None:
    with pytest.raises(RuntimeError, match="halfway"):
        async with database.write() as w:
            await record(w, actor=actor(), action="thing.change", object_type="thing", object_id=1)
            raise RuntimeError("halfway")
    assert await entries(database) == []


async def test_pages_by_keyset_newest_first(database: Database) -> None:
    for number in range(5):
        await write(database, object_id=str(number))
    log = AuditLog(database, Refusals())
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await log.page(ROOT, AuditFilter(), PageRequest(page_size=2, cursor=cursor))
        seen += [entry.object_id for entry in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert seen == ["4", "3", "2", "1", "0"]
    with pytest.raises(BadInput):
        await log.page(ROOT, AuditFilter(), PageRequest(cursor="rubbish"))


async def test_filters_narrow_the_view(database: Database) -> None:
    with clock.shifted(-3600):
        await write(database, actor(), object_id="old")
    await write(database, actor(2, "bob"), object_id="new", result="refused")
    now = datetime.now(UTC)
    for wanted, expected in [
        (AuditFilter(actor_id=2), ["new"]),
        (AuditFilter(actor="alice"), ["old"]),
        (AuditFilter(result="refused"), ["new"]),
        (AuditFilter(object_type="thing", object_id="old"), ["old"]),
        (AuditFilter(action="other"), []),
        (AuditFilter(since=now - timedelta(minutes=5)), ["new"]),
        (AuditFilter(until=now - timedelta(minutes=5)), ["old"]),
        (AuditFilter(), ["new", "old"]),
    ]:
        assert [entry.object_id for entry in await entries(database, wanted)] == expected, wanted


async def test_a_user_s_scope_sees_only_what_that_user_did(database: Database) -> None:
    await write(database, actor(1))
    await write(database, actor(2, "bob"))
    log = AuditLog(database, Refusals())
    page = await log.page(UserScope(2), AuditFilter(), PageRequest())
    assert [entry.actor_id for entry in page.items] == [2]


CHANGES: list[Mapping[str, Any]] = [
    {"action": "nothing.happened"},
    {"result": "ok"},
    {"actor_id": 9},
    {"count": 9},
    {"actor_name": ""},
    {"at": datetime(2020, 1, 1, tzinfo=UTC), "erased_at": datetime(2020, 1, 1, tzinfo=UTC)},
    {"actor_name": "mallory", "erased_at": datetime(2020, 1, 1, tzinfo=UTC)},
    {"details": {"forged": True}, "erased_at": datetime(2020, 1, 1, tzinfo=UTC)},
    {"address": "198.51.100.1", "erased_at": datetime(2020, 1, 1, tzinfo=UTC)},
]


async def test_the_database_itself_refuses_to_change_or_delete_entries(database: Database) -> None:
    await write(database, actor(), result="refused")
    before = await entries(database)
    for change in CHANGES:
        with pytest.raises(IntegrityError, match="append-only"):
            async with database.write() as w:
                await w.run(update(audit_log).values(**change))
    with pytest.raises(IntegrityError, match="append-only"):
        async with database.write() as w:
            await w.run(delete(audit_log))
    assert await entries(database) == before


async def test_a_deleted_person_s_entries_stay_without_the_person(database: Database) -> None:
    await write(database, actor(5, "eve"), details={"email": "eve@example.com"}, origin=Origin("192.0.2.5", "UA", "r1"))
    async with database.write() as w:
        who = actor(1, "root")
        details = {"email": "eve@example.com"}
        await record(w, actor=who, action="user.change", object_type="user", object_id=5, details=details)
    await write(database, actor(6, "other"))
    async with database.write() as w:
        assert await erase_person(w, ROOT, 5) == 2
    other, about, hers = await entries(database)
    assert (hers.actor_id, hers.actor_name, hers.address, hers.user_agent) == (5, "", None, None)
    assert (hers.details, hers.erased, hers.action, hers.request_id) == ({}, True, "thing.change", "r1")
    assert (about.actor_name, about.details, about.erased) == ("root", {}, True)
    assert (other.actor_name, other.erased) == ("other", False)
    async with database.write() as w:
        assert await erase_person(w, ROOT, 5) == 0
    # Once erased, a row takes no further change, not even another erasure.
    with pytest.raises(IntegrityError, match="append-only"):
        async with database.write() as w:
            await w.run(update(audit_log).where(audit_log.c.actor_id == 5).values(erased_at=clock.now()))


async def test_folded_refusals_are_written_once(database: Database) -> None:
    refusals = Refusals()
    log = AuditLog(database, refusals)
    for _ in range(7):
        refusals.note(Refusal("credential.use", "sk-tm-abcd…wxyz", "expired_key", "192.0.2.1", 1, "alice"))
    refusals.note(Refusal("credential.use", "session", "bad_token", None))
    assert await log.flush_refusals() == sum(1 for _ in await entries(database))
    assert await log.flush_refusals() == 0
    rows = await entries(database, AuditFilter(object_type="credential", object_id="sk-tm-abcd…wxyz"))
    assert sum(row.count for row in rows) == 7
    assert {(row.actor_kind, row.actor_name, row.reason) for row in rows} == {("key", "alice", "expired_key")}


async def test_refusals_outlive_a_failed_write(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals()
    log = AuditLog(database, refusals)
    refusals.note(Refusal("credential.use", "session", "bad_token", None))
    real = database.write

    def away() -> Any:
        raise OSError("away")

    monkeypatch.setattr(database, "write", away)
    with pytest.raises(OSError, match="away"):
        await log.flush_refusals()
    monkeypatch.setattr(database, "write", real)
    assert await log.flush_refusals() == 1


async def test_rows_are_numbered_without_reuse(database: Database) -> None:
    await write(database)
    first = (await entries(database))[0].id
    with pytest.raises(RuntimeError, match="undone"):
        async with database.write() as w:
            await record(w, actor=None, action="a.b", object_type="t", object_id=1)
            raise RuntimeError("undone")
    await write(database)
    async with database.read() as r:
        ids = [row["id"] for row in await r.all(select(audit_log.c.id).order_by(audit_log.c.id))]
    assert ids[0] == first
    assert len(set(ids)) == 2


async def test_an_entry_cannot_be_slipped_in_under_an_old_number(database: Database) -> None:
    await write(database)
    [entry] = await entries(database)
    row = {"at": clock.now(), "actor_kind": "system", "actor_name": "", "action": "a", "object_type": "t"}
    with pytest.raises(IntegrityError):
        async with database.write() as w:
            await w.run(insert(audit_log).values(id=entry.id, object_id="1", result="ok", count=1, details={}, **row))
