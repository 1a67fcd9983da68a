"""Handing a task out in chunks: in any order of joining, leasing, storing, dying and stopping, every item once.

Runs here are played by hand over the real tables and the real group commit. One whose job was taken from it, or whose
task was stopped, knows nothing of that and goes on storing what it holds: nothing of it may land.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from tests.datagen.engine.conftest import add_users
from tests.datagen.engine.fakes import plan as make_plan
from tests.fixtures.databases import opened_in_memory
from tidemill.datagen import repository, repository_crew
from tidemill.datagen.engine.chunks import LEAST_ITEMS, MOST_ITEMS, Chunks, chunk_samples
from tidemill.datagen.engine.claim import SYSTEM, Place, PlaceLost
from tidemill.datagen.engine.commit import GroupCommit
from tidemill.datagen.engine.outcome import Course, Outcome
from tidemill.datagen.plan import Item, TaskPlan, item_of
from tidemill.datagen.repository_crew import Standing
from tidemill.datagen.tables import generated_data, task_chunk, task_crew, task_item_failed, tasks
from tidemill.kernel import clock
from tidemill.kernel.errors import StorageFull
from tidemill.platform.db import Database, Writer
from tidemill.platform.jobs.tables import job

TASK = "task_by_hand"
RUNS = 3


@given(
    samples=st.integers(1, 3_000),
    rounds=st.integers(1, 5),
    variants=st.integers(1, 40),
    batch=st.integers(1, 200),
)
def test_each_item_is_in_exactly_one_chunk(*, samples: int, rounds: int, variants: int, batch: int) -> None:
    plan = make_plan(samples=samples, rounds=rounds, variants=variants, batch_size=batch)
    size = chunk_samples(plan)
    chunks = Chunks(plan, size)
    assert size * variants <= max(MOST_ITEMS, variants)
    seen = 0
    for number in range(chunks.count):
        round_no, first, count = chunks.span(number)
        assert count >= 1
        for sample in {first, first + count - 1}:
            for variant in {0, variants - 1}:
                at = (round_no * variants + variant) * samples + sample
                assert chunks.of(item_of(plan, at)) == number
        seen += count * variants
    assert seen == plan.total


@pytest.mark.parametrize(("total", "most"), [(12, LEAST_ITEMS), (640, 24), (6_400, 200), (1_000_000, MOST_ITEMS)])
def test_small_tasks_have_small_chunks(total: int, most: int) -> None:
    plan = make_plan(samples=total // 2, rounds=1, variants=2, batch_size=5)
    assert chunk_samples(plan) * 2 <= most
    assert Chunks(plan, chunk_samples(plan)).count >= min(2, total // LEAST_ITEMS + 1)


class Lease:
    """A claim on a job as the job engine would judge it."""

    def __init__(self, job_id: str, epoch: int) -> None:
        self.job_id = job_id
        self.epoch = epoch

    async def holds(self, w: Writer) -> bool:
        held = select(job.c.id).where(job.c.id == self.job_id, job.c.epoch == self.epoch, job.c.state == "running")
        return await w.scalar(held) is not None


class Player:
    """One run, played by hand: it holds chunks and stores their items when it is told to."""

    user_id = 1
    task_type = "note"
    prompt_version = "1"

    def __init__(self, place: Place, chunks: Chunks) -> None:
        self.alone = False
        self.twins: list[int] = []
        self.place = place
        self.chunks = chunks
        self.left: dict[int, list[Item]] = {}
        self.gone = False
        self.told = asyncio.Event()

    def completed_by(self, outcomes: Sequence[Outcome]) -> list[int]:
        storing = {outcome.item.number for outcome in outcomes}
        return [number for number, items in self.left.items() if all(item.number in storing for item in items)]

    def committed(self, outcomes: Sequence[Outcome], standing: Standing, before: int) -> None:
        assert before + len(outcomes) == standing.seq
        storing = {outcome.item.number for outcome in outcomes}
        for number, items in list(self.left.items()):
            self.left[number] = [item for item in items if item.number not in storing]
            if not self.left[number]:
                del self.left[number]
        self.told.set()

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        self.twins += [outcome.item.number for outcome in outcomes]
        self.told.set()

    def lost(self, error: BaseException | None) -> None:
        assert error is None
        self.gone = True
        self.told.set()

    def blocked(self, error: StorageFull | None) -> None:
        raise AssertionError(error)


class Table:
    """The task, its jobs and the runs at it."""

    def __init__(self, db: Database, plan: TaskPlan, chunk: int) -> None:
        self.db = db
        self.plan = plan
        self.chunks = Chunks(plan, chunk)
        self.commit = GroupCommit(db, window_s=0)
        self.players: list[Player | None] = [None] * RUNS
        self.retired: list[Player] = []
        self.epochs = [0] * RUNS

    async def set_up(self) -> None:
        now = clock.now()
        async with self.db.write() as w:
            task = {"task_id": TASK, "user_id": 1, "status": "running", "started_at": now, "total": self.plan.total}
            await w.run(insert(tasks), {**task, "chunk_samples": self.chunks.samples})
            for who in range(RUNS):
                one = {"queue": "default", "type": "datagen.help", "run_at": now, "created_at": now}
                await w.run(insert(job).values(id=f"job-{who}", state="queued", payload={"task_id": TASK}, **one))

    async def claim(self, who: int) -> None:
        """Run the job: whoever ran it before has lost it. What runs already goes on."""
        async with self.db.write() as w:
            if await w.scalar(select(job.c.state).where(job.c.id == f"job-{who}")) == "running":
                return
            self.epochs[who] += 1
            mine = update(job).where(job.c.id == f"job-{who}")
            await w.run(mine.values(state="running", epoch=self.epochs[who]))
        await self.join(who)

    async def join(self, who: int) -> None:
        """Begin a run of the job, as a first or as another try in the same process."""
        lease = Lease(f"job-{who}", self.epochs[who])
        async with self.db.write() as w:
            if await repository_crew.lock(w, SYSTEM, TASK) is None or not await lease.holds(w):
                return
            row = await repository_crew.join(w, SYSTEM, TASK, lease.job_id, clock.now())
        self.retire(who)
        self.players[who] = Player(Place(TASK, row["epoch"], lease), self.chunks)

    def retire(self, who: int) -> None:
        player = self.players[who]
        if player is not None:
            self.retired.append(player)
        self.players[who] = None

    async def lapse(self, who: int) -> None:
        """Take the job from its process, which does not hear of it."""
        self.epochs[who] += 1
        async with self.db.write() as w:
            mine = update(job).where(job.c.id == f"job-{who}", job.c.state == "running")
            await w.run(mine.values(state="queued", epoch=self.epochs[who]))

    async def leave(self, who: int) -> None:
        player = self.players[who]
        if player is not None:
            async with self.db.write() as w:
                await repository_crew.leave(w, SYSTEM, TASK, player.place.entry)
            self.retire(who)

    async def lease(self, who: int, wanted: int = 1) -> None:
        player = self.players[who]
        if player is None:
            return
        entry, count = player.place.entry, self.chunks.count
        try:
            async with self.db.write() as w:
                got = await repository_crew.lease_fresh(w, SYSTEM, TASK, entry, count=count, wanted=wanted)
                if got is None:
                    standing = await player.place.lock(w)
                    found = await repository_crew.lease(w, SYSTEM, standing, entry, count=count, wanted=wanted)
                    got = [number for numbers in found or () for number in numbers]
                elif not await player.place.claim.holds(w):
                    raise PlaceLost  # noqa: TRY301 - takes the transaction back, as the engine does
        except PlaceLost:
            return
        if got:
            async with self.db.read() as r:
                held = await r.all(select(task_chunk.c.chunk_no).where(task_chunk.c.entry == entry))
                assert {row["chunk_no"] for row in held} >= set(got)
            await self.read(player, got)

    async def read(self, player: Player, numbers: Sequence[int]) -> None:
        stored = await self.stored()
        for number in numbers:
            pending = [item for item in self.chunks.items(number) if item.number not in stored]
            if pending:
                player.left[number] = pending

    async def haunt(self, which: int) -> None:
        """Let a run that is over store what it holds, as one would that is not told so."""
        if self.retired:
            player = self.retired[which % len(self.retired)]
            await self.store(player, 1_000)
            assert player.gone or not player.left

    async def store(self, player: Player | None, count: int, fingerprint: str | None = None) -> None:
        if player is None:
            return
        items = [item for items in player.left.values() for item in items][:count]
        if not items:
            return
        before = await self.stored()
        player.told.clear()
        for item in items:
            await self.commit.put(player, outcome_of(item, fingerprint))
        writing = asyncio.ensure_future(self.commit.run())
        await asyncio.wait_for(player.told.wait(), 20)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        if player.gone:
            assert await self.stored() == before

    async def stop(self) -> None:
        async with self.db.write() as w:
            if await repository.halt(w, SYSTEM, TASK, clock.now()) is not None:
                await repository_crew.disband(w, SYSTEM, TASK)

    async def resume(self) -> None:
        async with self.db.write() as w:
            await repository.reopen(w, SYSTEM, TASK, {})

    async def stored(self) -> set[int]:
        numbers: list[int] = []
        async with self.db.read() as r:
            for table in (generated_data, task_item_failed):
                numbers += [row["item_no"] for row in await r.all(select(table.c.item_no))]
        assert len(numbers) == len(set(numbers))
        return set(numbers)

    async def finish(self) -> None:
        """Let every run that lost its right try once more, then one healthy run see the task to its end."""
        await self.resume()
        for who in range(RUNS):
            await self.lapse(who)
            self.retire(who)
        for player in self.retired:
            await self.store(player, 1_000)
            assert player.gone or not player.left
        await self.claim(0)
        player = self.players[0]
        assert player is not None
        for _ in range(self.chunks.count + 1):
            await self.lease(0, 2)
            await self.store(player, 1_000)
        assert await self.stored() == set(range(self.plan.total))
        async with self.db.read() as r:
            row = await r.first(select(tasks))
            out = await r.scalar(select(func.count()).select_from(task_chunk))
        assert row is not None
        assert row["accepted"] + row["failed"] == self.plan.total == row["total"]
        assert row["next_chunk"] == self.chunks.count
        assert out == 0


def outcome_of(item: Item, fingerprint: str | None = None) -> Outcome:
    """Return a row for an item, or, every fifth time, a failure."""
    fails = item.number % 5 == 4
    return Outcome(
        item=item,
        status="failed" if fails else "accepted",
        output=None if fails else {"text": f"note {item.number}"},
        kind="parse" if fails else None,
        direction=None,
        persona="",
        style="",
        difficulty="",
        sample={},
        attempts=[],
        course=Course(avoid=[]),
        fingerprint=fingerprint,
    )


ACTS = ("claim", "join", "lease", "store", "haunt", "lapse", "leave", "stop", "resume")
OFTEN = (*ACTS, "claim", "lease", "lease", "store", "store")


@given(
    samples=st.integers(1, 7),
    rounds=st.integers(1, 2),
    variants=st.integers(1, 3),
    chunk=st.integers(1, 4),
    acts=st.lists(
        st.tuples(st.sampled_from(OFTEN), st.integers(0, RUNS - 1), st.integers(1, 6)), min_size=5, max_size=40
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_any_interleaving_stores_every_item_once(
    migrated_sqlite: Path, *, samples: int, rounds: int, variants: int, chunk: int, acts: list[tuple[str, int, int]]
) -> None:
    db = await opened_in_memory(migrated_sqlite)
    try:
        await add_users(db)
        table = Table(db, make_plan(samples=samples, rounds=rounds, variants=variants), min(chunk, samples))
        await table.set_up()
        for act, who, count in acts:
            await play(table, act, who, count)
        await table.finish()
    finally:
        await db.close()


async def play(table: Table, act: str, who: int, count: int) -> None:
    match act:
        case "claim":
            await table.claim(who)
        case "join":
            await table.join(who)
        case "lease":
            await table.lease(who, count)
        case "store":
            await table.store(table.players[who], count)
        case "haunt":
            await table.haunt(count)
        case "lapse":
            await table.lapse(who)
        case "leave":
            await table.leave(who)
        case "stop":
            await table.stop()
        case _:
            await table.resume()


@pytest.fixture
async def table(database: Database) -> Table:
    """Give a task of six chunks of two items, on each database."""
    await add_users(database)
    made = Table(database, make_plan(samples=12, rounds=1, variants=1), 2)
    await made.set_up()
    return made


async def test_what_a_dead_run_left_is_handed_out_first(table: Table) -> None:
    await table.claim(0)
    await table.claim(1)
    await table.lease(0, 2)
    await table.lease(1)
    await table.store(table.players[0], 1)
    await table.lapse(0)
    await table.lease(1, 2)
    second = table.players[1]
    assert second is not None
    assert sorted(second.left) == [0, 1, 2]
    assert [len(second.left[number]) for number in (0, 1, 2)] == [1, 2, 2]
    await table.finish()


async def test_chunks_of_the_living_stay_with_them(table: Table) -> None:
    await table.claim(0)
    await table.claim(1)
    await table.lease(0, 4)
    await table.lease(1, 10)
    second = table.players[1]
    assert second is not None
    assert sorted(second.left) == [4, 5]
    async with table.db.read() as r:
        out = await repository_crew.out(r, SYSTEM, TASK, second.place.entry)
        assert (out.held, out.left_behind) == (4, 0)
    await table.leave(0)
    async with table.db.read() as r:
        out = await repository_crew.out(r, SYSTEM, TASK, second.place.entry)
        assert (out.held, out.left_behind) == (0, 4)
    await table.finish()


async def test_two_at_once_never_get_the_same_chunk(table: Table) -> None:
    await table.claim(0)
    await table.claim(1)
    await asyncio.gather(*(table.lease(who) for who in (0, 1, 0, 1, 0, 1)))
    held = [sorted(player.left) for player in table.players if player is not None]
    assert sorted(number for numbers in held for number in numbers) == list(range(6))
    await table.finish()


async def test_joining_clears_the_places_of_the_dead(table: Table) -> None:
    await table.claim(0)
    await table.claim(1)
    await table.lapse(0)
    await table.claim(2)
    async with table.db.read() as r:
        found = await r.all(select(task_crew.c.job_id).order_by(task_crew.c.job_id))
    assert [row["job_id"] for row in found] == ["job-1", "job-2"]


async def test_a_run_started_anew_under_the_same_lease_shuts_the_first_one_out(table: Table) -> None:
    await table.claim(0)
    await table.lease(0, 2)
    await table.join(0)
    await table.haunt(0)
    assert table.retired[0].gone
    await table.lease(0, 2)
    await table.finish()


async def test_what_was_in_flight_at_a_stop_does_not_land_after_a_resume(table: Table) -> None:
    await table.claim(0)
    await table.lease(0, 2)
    await table.stop()
    await table.resume()
    first = table.players[0]
    assert first is not None
    await table.store(first, 4)
    assert first.gone
    await table.finish()


async def test_who_has_not_seen_another_join_meets_its_twin_all_the_same(table: Table) -> None:
    await table.claim(0)
    await table.lease(0)
    first = table.players[0]
    assert first is not None
    first.alone = True
    await table.claim(1)
    await table.lease(1)
    await table.store(table.players[1], 1, "f" * 32)
    await table.store(first, 1, "f" * 32)
    assert first.twins == [0]
    async with table.db.read() as r:
        assert [row["item_no"] for row in await r.all(select(generated_data.c.item_no))] == [2]
