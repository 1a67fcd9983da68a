"""One suite for every engine of the database port."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, delete, func, insert, select, text

from tidemill.platform.db import Database, IntegrityError, JsonText, UtcTime, insert_or_nothing, open_database, upsert
from tidemill.platform.db.bells import change_seq
from tidemill.platform.db.sqlite import SqliteDatabase

DEADLINE_S = 10.0
thing = Table(
    "suite_thing",
    MetaData(),
    Column("id", BigInteger().with_variant(BigInteger(), "postgresql"), primary_key=True, autoincrement=False),
    Column("name", Text, unique=True),
    Column("at", UtcTime),
    Column("data", JsonText),
)


@pytest.fixture
async def db(any_database: Database) -> Database:
    moment = "timestamptz" if any_database.dialect == "postgresql" else "datetime"
    async with any_database.write() as w:
        await w.run(text(f"CREATE TABLE suite_thing (id bigint PRIMARY KEY, name text UNIQUE, at {moment}, data text)"))
    return any_database


async def count(db: Database) -> int:
    async with db.read() as r:
        return int(await r.scalar(select(func.count()).select_from(thing)))


async def test_gives_back_what_was_written(db: Database) -> None:
    at = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    async with db.write() as w:
        await w.run(insert(thing), {"id": 1, "name": "潮汐", "at": at, "data": {"a": [1, None, "二"]}})
    async with db.read() as r:
        row = await r.first(select(thing))
        assert await r.first(select(thing).where(thing.c.id == 2)) is None
    assert row is not None
    assert (row["name"], row["at"], row["data"]) == ("潮汐", at.astimezone(UTC), {"a": [1, None, "二"]})
    assert row["at"].tzinfo is UTC


async def test_refuses_a_time_without_a_zone(db: Database) -> None:
    with pytest.raises(Exception, match="without a zone"):
        async with db.write() as w:
            await w.run(insert(thing), {"id": 1, "at": datetime(2026, 1, 1)})  # noqa: DTZ001 - the mistake under test
    assert await count(db) == 0


async def test_rolls_back_everything_when_the_block_raises(db: Database) -> None:
    rung: list[str] = []
    db.subscribe("things", lambda: rung.append("things"))
    with pytest.raises(LookupError):
        async with db.write() as w:
            await w.run(insert(thing), {"id": 1})
            w.changed("things")
            w.after_commit(lambda: rung.append("callback"))
            raise LookupError
    assert await count(db) == 0
    assert rung == []


async def test_rings_after_the_commit_and_calls_back(db: Database) -> None:
    rung: list[str] = []
    db.subscribe("things", lambda: rung.append("things"))
    async with db.write() as w:
        await w.run(insert(thing), {"id": 1})
        w.changed("things")
        w.changed("things")
        w.after_commit(lambda: rung.append("callback"))
        assert rung == []
    assert rung == ["things", "callback"]


async def test_many_rows_at_once_and_none(db: Database) -> None:
    async with db.write() as w:
        assert await w.run(insert(thing), []) == 0
        assert await w.run(insert(thing), [{"id": n, "name": str(n)} for n in range(500)]) in (500, -1)
    assert await count(db) == 500
    async with db.write() as w:
        assert await w.run(delete(thing).where(thing.c.id < 200)) == 200


_ADD = insert_or_nothing(thing, ["id"])


async def test_loads_rows_as_run_would_have_written_them(db: Database) -> None:
    at = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    rows = [
        {"id": 1, "name": "潮汐", "at": at, "data": {"a": [1, None, "二"]}},
        {"data": None, "at": None, "name": None, "id": 2},
    ]
    async with db.write() as w:
        assert await w.load(_ADD, []) == 0
        assert await w.load(_ADD, rows) in (2, -1)
        await w.load(_ADD, [{**rows[0], "name": "another"}, {"id": 3, "name": "third", "at": at, "data": []}])
        await w.load(_ADD, [{"id": 4, "name": "fewer columns"}])
    async with db.read() as r:
        found = [tuple(row.values()) for row in await r.all(select(thing).order_by(thing.c.id))]
    assert found == [
        (1, "潮汐", at.astimezone(UTC), {"a": [1, None, "二"]}),
        (2, None, None, None),
        (3, "third", at.astimezone(UTC), []),
        (4, "fewer columns", None, None),
    ]
    with pytest.raises(Exception, match="without a zone"):
        async with db.write() as w:
            await w.load(_ADD, [{"id": 5, "name": "x", "at": datetime(2026, 1, 1), "data": None}])  # noqa: DTZ001 - as above
    with pytest.raises(IntegrityError):
        async with db.write() as w:
            await w.load(
                _ADD, [{"id": 6, "name": "six", "at": None, "data": None}, {**rows[1], "id": 7, "name": "six"}]
            )
    assert await count(db) == 4


async def test_a_broken_constraint_is_an_integrity_error(db: Database) -> None:
    async with db.write() as w:
        await w.run(insert(thing), {"id": 1, "name": "a"})
    with pytest.raises(IntegrityError):
        async with db.write() as w:
            await w.run(insert(thing), {"id": 2, "name": "a"})
    assert await count(db) == 1


async def test_insert_or_nothing_and_upsert(db: Database) -> None:
    async with db.write() as w:
        assert await w.run(insert_or_nothing(thing, ["id"]), {"id": 1, "name": "a"}) == 1
        assert await w.run(insert_or_nothing(thing, ["id"]), {"id": 1, "name": "b"}) == 0
        await w.run(upsert(thing, ["id"], {"id": 1, "name": "c"}, {"name": "c"}))
        assert await w.scalar(select(thing.c.name)) == "c"
        returned = await w.scalar(insert(thing).values(id=7, name="z").returning(thing.c.id))
        assert returned == 7


async def test_concurrent_writers_lose_no_update(db: Database) -> None:
    async with db.write() as w:
        await w.run(insert(thing), {"id": 1, "data": {"n": 0}})

    async def add_one() -> None:
        async with db.write() as w:
            row = await w.first(select(thing.c.data).where(thing.c.id == 1).with_for_update())
            assert row is not None
            changed = thing.update().where(thing.c.id == 1).values(data={"n": row["data"]["n"] + 1})
            await w.run(changed)

    await asyncio.gather(*(add_one() for _ in range(20)))
    async with db.read() as r:
        assert await r.scalar(select(thing.c.data)) == {"n": 20}


async def test_a_cancelled_writer_leaves_nothing_and_blocks_nobody(db: Database) -> None:
    inside = asyncio.Event()

    async def write_and_wait() -> None:
        async with db.write() as w:
            await w.run(insert(thing), {"id": 1})
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(write_and_wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.write() as w:
        await w.run(insert(thing), {"id": 2})
    assert await count(db) == 1


async def test_check_answers_in_seconds(db: Database) -> None:
    assert 0 <= await db.check() < DEADLINE_S


async def test_a_read_keeps_its_snapshot(database: Database) -> None:
    async with database.write() as w:
        await w.run(text("CREATE TABLE suite_thing (id bigint PRIMARY KEY, name text, at text, data text)"))
    total = select(func.count()).select_from(thing)
    async with database.read() as r:
        before = await r.scalar(total)
        async with database.write() as w:
            await w.run(insert(thing), {"id": 1})
        assert await r.scalar(total) == before
    assert await count(database) == 1


async def test_another_process_hears_the_bell(database_url: str) -> None:
    ours, theirs = open_database(database_url), open_database(database_url)
    heard = asyncio.Event()
    ours.subscribe("things", heard.set)
    watching = asyncio.ensure_future(ours.watch())
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not heard.is_set():
                # Again and again: the watcher may not have begun to listen at the first one.
                async with theirs.write() as w:
                    w.changed("things")
                try:
                    async with asyncio.timeout(1):
                        await heard.wait()
                except TimeoutError:
                    continue
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await ours.close()
        await theirs.close()
    assert heard.is_set()


async def test_a_new_file_opens_while_another_connection_is_writing(tmp_path: Path) -> None:
    # Without its log written ahead yet, as another process that has only just made it leaves it.
    writing = sqlite3.connect(tmp_path / "new.db", isolation_level=None)
    writing.execute("BEGIN IMMEDIATE")
    db = SqliteDatabase(str(tmp_path / "new.db"))
    try:
        check = asyncio.create_task(db.check())
        await asyncio.wait([check], timeout=0.2)
        writing.execute("COMMIT")
        await check
    finally:
        writing.close()
        await db.close()


async def test_every_change_of_a_topic_is_counted(database: Database) -> None:
    for _ in range(3):
        async with database.write() as w:
            w.changed("things")
    async with database.read() as r:
        assert await r.scalar(select(change_seq.c.seq).where(change_seq.c.topic == "things")) == 3
