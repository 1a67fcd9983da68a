"""Any mixture of good answers, bad answers, failures and kills ends with every item once and nothing shown lost.

A kill is an engine that is dropped where it stands: its tasks end without another statement, nothing is flushed. The
next engine on the same database takes the task on, as the next process would.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from tests.datagen.engine.conftest import add_users, until
from tests.datagen.engine.fakes import FakeRelay, Installation, Said, Writer, is_judge, service
from tests.datagen.engine.test_run import assert_whole, rows_of, started, task_row
from tests.fixtures.databases import opened_in_memory
from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.engine.run import RunEnd
from tidemill.datagen.tables import task_chunk, tasks
from tidemill.platform.db import Database
from tidemill.relay.contracts import Call
from tidemill.relay.errors import NoChannelAvailable, RateLimited, UpstreamFailed, UpstreamTimedOut

FATES = ("ok", "ok", "ok", "slow", "garbage", "cut", "500", "gone", "late", "429", "none", "refused")


class Fates:
    """A script in which each call meets the next fate of a list, over and over."""

    def __init__(self, fates: Sequence[str]) -> None:
        self._fates = fates
        self._writer = Writer()
        self.calls = 0
        self.kill_at: int | None = None
        self.reached = asyncio.Event()

    async def __call__(self, call: Call) -> Said:  # noqa: C901 - one branch a fate
        fate = self._fates[self.calls % len(self._fates)]
        self.calls += 1
        if self.kill_at is not None and self.calls >= self.kill_at:
            self.reached.set()
        await asyncio.sleep(0)
        match fate:
            case "slow":
                await asyncio.sleep(0.003)
            case "garbage":
                return Said("?")
            case "cut":
                return Said('{"text": "', finish_reason="length")
            case "500":
                raise UpstreamFailed("broken", kind="server", upstream_status=500)
            case "gone":
                raise UpstreamFailed("refused", kind="transport")
            case "late":
                raise UpstreamTimedOut("late", kind="timeout")
            case "429":
                raise RateLimited(limit="rpm", retry_after_s=0.001)
            case "none":
                raise NoChannelAvailable(model=call.model, retry_after_s=0.001)
            case "refused" if not is_judge(call):
                raise UpstreamFailed("bad request", kind="client", upstream_status=400)
            case _:
                pass
        return await self._writer(call)


async def killed(mill: Mill, running: asyncio.Future[RunEnd]) -> None:
    """Drop an engine where it stands."""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await mill.close()


@pytest.fixture(scope="module", autouse=True)
def impatient() -> None:
    """Let lanes rest for milliseconds."""
    patch = pytest.MonkeyPatch()
    for name, value in (("OPEN_S", 0.001), ("OPEN_MAX_S", 0.002), ("SHORT_REST_MAX_S", 0.001)):
        patch.setattr(f"tidemill.datagen.engine.lanes.{name}", value)


@given(
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=12).filter(lambda found: "ok" in found),
    kills=st.lists(st.integers(1, 25), max_size=5),
    judged=st.booleans(),
    dedup=st.sampled_from(["off", "exact", "near"]),
    concurrent=st.integers(1, 7),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_any_mixture_ends_with_every_item_once(
    migrated_sqlite: Path, *, fates: list[str], kills: list[int], judged: bool, dedup: str, concurrent: int
) -> None:
    db = await opened_in_memory(migrated_sqlite)
    try:
        await add_users(db)
        await _through_kills(db, fates, kills, judged=judged, dedup=dedup, concurrent=concurrent)
    finally:
        await db.close()


async def _through_kills(
    db: Database, fates: list[str], kills: list[int], *, judged: bool, dedup: str, concurrent: int
) -> None:
    script = Fates(fates)
    world = Installation(db, relay=FakeRelay(script, [service(1), service(2)]))
    task_id = await started(
        world, dedup=dedup, max_concurrent=concurrent, **({"evaluator_model": None} if judged else {})
    )
    shown: dict[int, str] = {}
    for calls in kills:
        mill = world.new_mill()
        script.kill_at, script.reached = script.calls + calls, asyncio.Event()
        running = asyncio.ensure_future(mill.run(task_id, asyncio.Event(), asyncio.Event()))
        waiting = asyncio.ensure_future(script.reached.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        waiting.cancel()
        await killed(mill, running)
        stored = {row["item_no"]: row["data_content"] for row in await rows_of(world, task_id)}
        assert shown.items() <= stored.items()
        shown = stored
        row = await task_row(world, task_id)
        assert row["accepted"] + row["below_threshold"] + row["needs_review"] == len(stored)
    script.kill_at = None
    mill = world.new_mill()
    await asyncio.wait_for(mill.run(task_id, asyncio.Event(), asyncio.Event()), 40)
    await mill.close()
    stored = {row["item_no"]: row["data_content"] for row in await rows_of(world, task_id)}
    assert shown.items() <= stored.items()
    assert (await task_row(world, task_id))["status"] == "finished"
    await assert_whole(world, task_id)
    await world.mill.close()


async def test_two_engines_on_one_task_store_each_item_once(installation: Installation) -> None:
    installation.relay.script = Writer(latency_s=0.005)
    task_id = await started(installation, variants_per_sample=10, max_concurrent=4)
    first, second = installation.new_mill(), installation.new_mill()
    running = asyncio.ensure_future(first.run(task_id, asyncio.Event(), asyncio.Event()))

    async def some() -> bool:
        return (await task_row(installation, task_id))["accepted"] >= 8

    await until(some)
    assert await second.run(task_id, asyncio.Event(), asyncio.Event()) == "finished"
    assert await running == "fenced"
    await assert_whole(installation, task_id)
    await first.close()
    await second.close()


async def test_a_draining_process_hands_the_task_over(installation: Installation) -> None:
    installation.relay.script = Writer(latency_s=0.005)
    task_id = await started(installation, variants_per_sample=10)
    draining = asyncio.Event()
    running = asyncio.ensure_future(installation.mill.run(task_id, asyncio.Event(), draining))

    async def some() -> bool:
        return (await task_row(installation, task_id))["accepted"] >= 8

    await until(some)
    draining.set()
    assert await running == "drained"
    assert installation.relay.in_flight == 0
    assert (await task_row(installation, task_id))["status"] == "running"
    assert await installation.mill.run(task_id, asyncio.Event(), asyncio.Event()) == "finished"
    await assert_whole(installation, task_id)


async def test_calls_repeated_after_a_kill_are_those_in_flight_and_one_window(quick: Installation) -> None:
    writer = Writer(latency_s=0.002)
    quick.relay.script = writer
    task_id = await started(quick, variants_per_sample=20, max_concurrent=6)
    mill = quick.new_mill()
    running = asyncio.ensure_future(mill.run(task_id, asyncio.Event(), asyncio.Event()))

    async def some() -> bool:
        return len(quick.relay.calls) >= 60

    await until(some)
    await killed(mill, running)
    window = 60  # far more than what six calls of 2 ms finish within one commit of 2 ms
    assert await quick.mill.run(task_id, asyncio.Event(), asyncio.Event()) == "finished"
    assert len(quick.relay.calls) <= 160 + 6 + window
    await assert_whole(quick, task_id)


async def test_a_task_begun_before_chunks_were_counted_passes_over_what_is_stored(installation: Installation) -> None:
    installation.relay.script = Writer(latency_s=0.005)
    task_id = await started(installation, variants_per_sample=10, sample_limit=3)
    mill = installation.new_mill()
    running = asyncio.ensure_future(mill.run(task_id, asyncio.Event(), asyncio.Event()))

    async def some() -> bool:
        return (await task_row(installation, task_id))["accepted"] >= 20

    await until(some)
    await killed(mill, running)
    async with installation.db.write() as w:
        await w.run(update(tasks).values(chunk_samples=0, next_chunk=0))
        await w.run(delete(task_chunk))
    stored = (await task_row(installation, task_id))["accepted"]
    calls = len(installation.relay.calls)
    assert await installation.mill.run(task_id, asyncio.Event(), asyncio.Event()) == "finished"
    await assert_whole(installation, task_id)
    assert len(installation.relay.calls) - calls == 60 - stored
