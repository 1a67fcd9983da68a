"""From journal to database: each event exactly once, whoever is killed in between."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.metering.events import usage
from tidemill.metering.contracts import CallStatus
from tidemill.metering.errors import JournalMoved
from tidemill.metering.facade import Meter
from tidemill.metering.journal.segments import segments
from tidemill.metering.journal.writer import JournalWriter
from tidemill.metering.pump import UsagePump
from tidemill.metering.rows import decode_events, encode_event
from tidemill.metering.tables import usage_events, usage_hourly, usage_journals
from tidemill.platform.db import Database, Writer, open_database

DEADLINE_S = 30.0


async def counted(db: Database) -> tuple[int, int, int]:
    """Return events, the requests that the hours sum up to, and their tokens."""
    async with db.read() as r:
        events = await r.scalar(select(func.count()).select_from(usage_events))
        requests = await r.scalar(select(func.coalesce(func.sum(usage_hourly.c.requests), 0)))
        tokens = await r.scalar(select(func.coalesce(func.sum(usage_hourly.c.total_tokens), 0)))
    return int(events), int(requests), int(tokens)


async def test_events_reach_the_database_with_their_sums(database: Database, tmp_path: Path) -> None:
    meter = Meter(database, tmp_path)
    meter.start()
    meter.record(usage(metadata={"task": "t1"}, stream=True, first_token_ms=5.0))
    meter.record(
        usage(status=CallStatus.UPSTREAM_ERROR, http_status=502, error_code="upstream_failed", latency_ms=40.0)
    )
    await meter.flush()
    assert await counted(database) == (2, 2, 30)
    async with database.read() as r:
        row = await r.first(select(usage_events).where(usage_events.c.stream))
        hour = await r.first(select(usage_hourly))
    assert row is not None
    assert (row["request_tokens"], row["response_tokens"], row["metadata"]) == (10, 5, {"task": "t1"})
    assert row["created_at"].isoformat() == "2026-01-02T03:04:05+00:00"
    assert hour is not None
    assert (hour["errors"], hour["latency_ms_sum"], hour["latency_ms_max"]) == (1, 60.0, 40.0)
    assert hour["hour"].isoformat() == "2026-01-02T03:00:00+00:00"
    await meter.close()


async def test_a_started_meter_writes_by_itself(database: Database, tmp_path: Path) -> None:
    meter = Meter(database, tmp_path, interval_s=0.01)
    meter.start()
    for _ in range(3):
        meter.record(usage())
    async with asyncio.timeout(DEADLINE_S):
        while (await counted(database))[0] < 3:
            await asyncio.sleep(0.01)
    await meter.close()
    assert (await counted(database))[1] == 3
    assert segments(tmp_path) == [], "a clean end leaves nothing to take over"


async def test_what_an_ended_process_left_is_taken_over_once_and_its_file_removed(
    database: Database, tmp_path: Path
) -> None:
    left = JournalWriter(tmp_path)
    for _ in range(4):
        left.append(encode_event(usage()))
    left.close()
    alive = JournalWriter(tmp_path)
    alive.append(encode_event(usage()))
    pumps = [UsagePump(database, tmp_path, None) for _ in range(3)]
    assert await pumps[0].drain() == 4
    assert [await pump.drain() for pump in pumps] == [0, 0, 0]
    assert segments(tmp_path) == [alive.path]
    alive.close()
    assert await pumps[0].drain() == 1
    assert segments(tmp_path) == []
    assert await counted(database) == (5, 5, 75)
    async with database.read() as r:
        assert await r.first(select(usage_journals)) is None


async def test_a_torn_tail_costs_only_itself(database: Database, tmp_path: Path) -> None:
    left = JournalWriter(tmp_path)
    left.append(encode_event(usage()))
    left.close()
    with left.path.open("ab") as file:
        file.write(b"\x00\x00\x00\x40half a frame")
    assert await UsagePump(database, tmp_path, None).drain() == 1
    assert segments(tmp_path) == []


async def test_a_batch_that_fails_is_read_again_and_counted_once(
    memory_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(tmp_path)
    pump = UsagePump(memory_database, tmp_path, writer)
    writer.append(encode_event(usage()))

    @asynccontextmanager
    async def fails_at_commit() -> AsyncGenerator[Writer]:
        async with type(memory_database).write(memory_database) as w:
            yield w
            raise ConnectionError("gone in the middle")

    with monkeypatch.context() as patch:
        patch.setattr(memory_database, "write", fails_at_commit)
        with pytest.raises(ConnectionError):
            await pump.drain()
    assert await counted(memory_database) == (0, 0, 0)
    writer.append(encode_event(usage()))
    assert await pump.drain() == 2
    assert await counted(memory_database) == (2, 2, 30)
    writer.close()


async def test_two_pumps_on_one_file_do_not_count_twice(memory_database: Database, tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    first, second = (UsagePump(memory_database, tmp_path, writer) for _ in range(2))
    writer.append(encode_event(usage()))
    assert await first.drain() == 1
    writer.append(encode_event(usage()))
    assert await second.drain() == 1
    writer.append(encode_event(usage()))
    with pytest.raises(JournalMoved):
        await first.drain()
    assert await first.drain() == 1
    assert await counted(memory_database) == (3, 3, 45)
    writer.close()


async def test_the_pump_goes_on_when_the_database_comes_back(
    memory_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    @asynccontextmanager
    async def away() -> AsyncGenerator[Writer]:
        nonlocal failures
        failures += 1
        raise ConnectionError("away")
        yield  # pragma: no cover - makes this a generator

    monkeypatch.setattr("tidemill.metering.pump._RETRY_S", 0.01)
    meter = Meter(memory_database, tmp_path, interval_s=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(memory_database, "write", away)
        meter.start()
        meter.record(usage())
        async with asyncio.timeout(DEADLINE_S):
            while failures < 2:
                await asyncio.sleep(0.005)
    async with asyncio.timeout(DEADLINE_S):
        while await counted(memory_database) != (1, 1, 15):
            await asyncio.sleep(0.01)
    await meter.close()


async def test_a_file_that_rolled_over_is_finished_and_dropped(memory_database: Database, tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, max_segment_bytes=200)
    pump = UsagePump(memory_database, tmp_path, writer)
    for _ in range(10):
        writer.append(encode_event(usage()))
        await pump.drain()
    await pump.drain()
    assert await counted(memory_database) == (10, 10, 150)
    assert segments(tmp_path) == [writer.path]
    writer.close()


WORKER = """
    import asyncio, os, sys
    from pathlib import Path
    from tests.metering.events import usage
    from tidemill.metering.facade import Meter
    from tidemill.platform.db import open_database

    async def main() -> None:
        db = open_database(sys.argv[1])
        meter = Meter(db, Path(sys.argv[2]), interval_s=0.001)
        meter.start()
        number = 0
        while True:
            number += 1
            event = usage(request_id=f"{os.getpid()}-{number}")
            meter.record(event)
            os.write(1, (event.id + "\\n").encode())  # told to the world: from here on it must never be lost
            await asyncio.sleep(0 if number % 7 else 0.002)

    asyncio.run(main())
"""


def killed_after(count: int, database_url: str, journal: Path) -> list[str]:
    """Run a process until it has told ``count`` events, kill it, and return all it told."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), database_url, str(journal)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    with process.stdout as lines:
        told = [lines.readline().decode().strip() for _ in range(count)]
        process.kill()
        told += [line for line in lines.read().decode().split("\n")[:-1] if line]
    process.wait()
    return told


async def test_nothing_is_lost_or_doubled_by_kill_9(database_url: str, tmp_path: Path) -> None:
    """Five processes, each killed at another moment of its writing; one more takes in what they left."""
    journal = tmp_path / "journal"
    told: list[str] = []
    for round_number in range(5):
        told += await asyncio.to_thread(killed_after, 150 + 97 * round_number, database_url, journal)
    db = open_database(database_url)
    await UsagePump(db, journal, None).drain()
    async with db.read() as r:
        stored = [row["id"] for row in await r.all(select(usage_events.c.id))]
    events, requests, tokens = await counted(db)
    await db.close()
    # An event may have been written whole by a process killed before it could tell; at most one each.
    assert set(told) <= set(stored)
    assert len(set(stored) - set(told)) <= 5
    assert events == requests == len(stored)
    assert tokens == 15 * len(stored)
    assert segments(journal) == []


def test_an_event_survives_its_own_encoding() -> None:
    event = usage(status=CallStatus.CLIENT_GONE, metadata={"a": "b"}, usage_raw="{}", first_token_ms=1.5)
    assert decode_events([encode_event(event), b"garbage"]) == ([event], 1)


async def test_what_is_appended_while_a_batch_is_written_waits_for_the_next_round(
    memory_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(tmp_path)
    pump = UsagePump(memory_database, tmp_path, writer)
    await pump.drain()
    writer.append(encode_event(usage()))
    batches = 0

    @asynccontextmanager
    async def busy_server() -> AsyncGenerator[Writer]:
        nonlocal batches
        batches += 1
        writer.append(encode_event(usage()))
        async with type(memory_database).write(memory_database) as w:
            yield w

    with monkeypatch.context() as patch:
        patch.setattr(memory_database, "write", busy_server)
        assert await pump.drain() == 1
        assert batches == 1, "one transaction a round, however many calls end meanwhile"
    assert await pump.drain() == 1
    assert await counted(memory_database) == (2, 2, 30)
    writer.close()
