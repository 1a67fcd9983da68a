"""The event stream of a task: order, replay, any number of watchers, the end."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.datagen.conftest import Serve
from tests.datagen.engine.conftest import until
from tests.datagen.engine.fakes import OWNER, Installation, Said, Writer
from tests.datagen.engine.test_run import rows_of, run, started, task_row
from tidemill.datagen.engine.feed import Feeds
from tidemill.datagen.routes import HANDLERS
from tidemill.relay.contracts import Call


class Frame:
    """One event as a browser would see it."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        assert not any(line.startswith("event:") for line in lines)
        self.id = int(next(line[4:] for line in lines if line.startswith("id: ")))
        self.data: dict[str, Any] = json.loads(next(line[6:] for line in lines if line.startswith("data: ")))
        self.type: str = self.data["type"]


def frames(body: bytes) -> list[Frame]:
    """Read a finished stream."""
    parts = [part for part in body.decode().split("\n\n") if part.strip()]
    return [Frame(part) for part in parts if not part.startswith(":")]


async def collected(stream: AsyncGenerator[bytes] | None) -> list[Frame]:
    """Read a stream to its end."""
    assert stream is not None
    body = b""
    async with asyncio.timeout(20):
        async for chunk in stream:
            body += chunk
    return frames(body)


@pytest.fixture
async def done(installation: Installation) -> tuple[Installation, str]:
    """Give a finished task of 24 rows."""
    task_id = await started(installation)
    assert await run(installation, task_id) == "finished"
    return installation, task_id


async def test_a_finished_task_is_told_from_its_beginning(done: tuple[Installation, str]) -> None:
    installation, task_id = done
    told = await collected(await installation.service.watch(OWNER.scope, task_id, None, "en"))
    assert told[0].type == "progress"
    assert (told[0].data["current"], told[0].data["total"], told[0].data["percent"]) == (24, 24, 100.0)
    assert [frame.type for frame in told].count("row") == 24
    assert told[1].data["message"] == "Started: 24 rows to make."
    assert told[-1].data == {"type": "complete", "status": "finished"}
    ids = [frame.id for frame in told]
    assert ids == sorted(ids)
    rows = {row["id"]: row for row in await rows_of(installation, task_id)}
    for frame in told:
        if frame.type == "row":
            row = rows[frame.data["id"]]
            assert frame.data["index"] == row["item_no"]
            assert frame.data["final_score"] == row["final_score"]
            assert frame.data["status"] == row["status"]
            assert row["data_content"].startswith(frame.data["preview"])


async def test_after_a_gap_every_row_comes_again_and_none_twice(done: tuple[Installation, str]) -> None:
    installation, task_id = done
    whole = await collected(await installation.service.watch(OWNER.scope, task_id, 0, "en"))
    rows = [frame.id for frame in whole if frame.type == "row"]
    for position in rows:
        rest = await collected(await installation.service.watch(OWNER.scope, task_id, position, "en"))
        assert [frame.id for frame in rest if frame.type == "row"] == [one for one in rows if one > position]
        assert rest[0].type == "progress"
        assert rest[0].id == position


async def test_the_watcher_who_saw_the_end_gets_204(done: tuple[Installation, str], serve: Serve) -> None:
    installation, task_id = done
    async with serve(OWNER, list(HANDLERS), {"tasks": installation.service}) as client:
        first = await client.get(f"/api/progress/{task_id}")
        assert first.headers["content-type"].startswith("text/event-stream")
        end = frames(first.content)[-1]
        again = await client.get(f"/api/progress/{task_id}", headers={"Last-Event-ID": str(end.id)})
        assert (again.status_code, again.content) == (204, b"")
        before = await client.get(f"/api/progress/{task_id}", headers={"Last-Event-ID": str(end.id - 1)})
        assert frames(before.content)[-1].type == "complete"
        odd = await client.get(f"/api/progress/{task_id}", headers={"Last-Event-ID": "not a number"})
        assert odd.status_code == 200


async def test_an_unknown_task_answers_2001(quick: Installation, serve: Serve) -> None:
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}) as client:
        answer = await client.get("/api/progress/task_none")
        assert (answer.status_code, answer.json()["code"]) == (404, 2001)


async def test_lines_come_in_the_watchers_language(done: tuple[Installation, str]) -> None:
    installation, task_id = done
    told = await collected(await installation.service.watch(OWNER.scope, task_id, 0, "zh"))
    assert next(frame.data["message"] for frame in told if frame.type == "log") == "开始处理，共 24 条。"


async def test_many_watchers_see_everything_while_it_happens(installation: Installation) -> None:
    installation.relay.script = Writer(latency_s=0.01)
    task_id = await started(installation, variants_per_sample=10, max_concurrent=8)
    watching = [
        asyncio.ensure_future(collected(await installation.service.watch(OWNER.scope, task_id, 0, "en")))
        for _ in range(8)
    ]
    running = asyncio.ensure_future(run(installation, task_id))
    told = await asyncio.gather(*watching)
    assert await running == "finished"
    numbers = sorted(row["event_seq"] for row in await rows_of(installation, task_id))
    for one in told:
        assert [frame.id for frame in one if frame.type == "row"] == numbers
        assert one[-1].type == "complete"
        shown = 0
        for frame in one:
            shown += frame.type == "row"
            if frame.type == "progress":
                assert frame.data["current"] >= shown


async def test_nothing_is_told_before_it_is_committed(installation: Installation) -> None:
    installation.relay.script = Writer(latency_s=0.005)
    task_id = await started(installation, variants_per_sample=10)
    running = asyncio.ensure_future(run(installation, task_id))
    stream = await installation.service.watch(OWNER.scope, task_id, 0, "en")
    assert stream is not None
    async for chunk in stream:
        stored = {row["id"] for row in await rows_of(installation, task_id)}
        current = (await task_row(installation, task_id))["seq"]
        for frame in frames(chunk):
            assert frame.id <= current
            if frame.type == "row":
                assert frame.data["id"] in stored
    await running


async def test_a_watcher_hears_at_most_five_progress_frames_a_second(quick: Installation) -> None:
    quick.relay.script = Writer(latency_s=0.002)
    task_id = await started(quick, variants_per_sample=60)
    running = asyncio.ensure_future(run(quick, task_id))
    stream = await quick.service.watch(OWNER.scope, task_id, 0, "en")
    assert stream is not None
    times: list[float] = []
    loop = asyncio.get_running_loop()
    async for chunk in stream:
        times += [loop.time() for frame in frames(chunk) if frame.type == "progress"]
    await running
    # Between the snapshot and the final one the spacing holds.
    gaps = [after - before for before, after in itertools.pairwise(times[1:-1])]
    assert all(gap >= 0.19 for gap in gaps), gaps


async def test_a_quiet_stream_keeps_itself_alive(quick: Installation) -> None:
    async def never(call: Call) -> Said:
        del call
        await asyncio.Event().wait()
        raise AssertionError

    quick.relay.script = never
    task_id = await started(quick)
    feeds = Feeds(quick.db, keep_alive_s=0.02)
    stream = feeds.watch(OWNER.scope, task_id, 0, "en")
    seen = [await anext(stream) for _ in range(3)]
    assert seen[-1] == b": keep-alive\n\n"
    feeds.close()
    with pytest.raises(StopAsyncIteration):
        while True:
            await anext(stream)


async def test_a_watcher_who_leaves_is_forgotten(quick: Installation) -> None:
    task_id = await started(quick)
    feeds = Feeds(quick.db, keep_alive_s=1)
    stream = feeds.watch(OWNER.scope, task_id, 0, "en")
    await anext(stream)
    assert len(feeds) == 1
    await stream.aclose()
    assert len(feeds) == 0


async def test_a_stopped_task_ends_its_streams_and_a_resumed_one_opens_them(installation: Installation) -> None:
    installation.relay.script = Writer(latency_s=0.02)
    task_id = await started(installation, variants_per_sample=10)
    running = asyncio.ensure_future(run(installation, task_id))
    stream = await installation.service.watch(OWNER.scope, task_id, 0, "en")
    watching = asyncio.ensure_future(collected(stream))

    async def some() -> bool:
        return (await task_row(installation, task_id))["accepted"] >= 4

    await until(some)
    await installation.service.stop(OWNER, task_id)
    told = await watching
    assert told[-1].data["status"] == "stopped"
    assert await running == "fenced"
    from tidemill.datagen.contracts import ResumeRequest  # noqa: PLC0415 - used here alone

    await installation.service.resume(OWNER, task_id, ResumeRequest(), "en")
    again = asyncio.ensure_future(collected(await installation.service.watch(OWNER.scope, task_id, told[-1].id, "en")))
    assert await run(installation, task_id) == "finished"
    rest = await again
    assert rest[-1].data["status"] == "finished"
    before = [frame.data["id"] for frame in told if frame.type == "row"]
    after = [frame.data["id"] for frame in rest if frame.type == "row"]
    assert sorted(before + after) == sorted(row["id"] for row in await rows_of(installation, task_id))


async def test_slow_watchers_get_only_the_latest_progress(quick: Installation) -> None:
    quick.relay.script = Writer(latency_s=0.001)
    task_id = await started(quick, variants_per_sample=40)
    stream = await quick.service.watch(OWNER.scope, task_id, 0, "en")
    assert stream is not None
    first = await anext(stream)
    assert frames(first)[0].data["current"] == 0
    assert await run(quick, task_id) == "finished"
    rest = frames(b"".join([chunk async for chunk in stream]))
    assert [frame.type for frame in rest].count("row") == 320
    assert [frame.type for frame in rest].count("progress") <= 2
