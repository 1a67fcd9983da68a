"""Two workers over one database: they share a task, its calls and its money, and either may go at any moment.

Both run in this process, each with a job engine, a generation engine and a relay of its own, over one PostgreSQL. A
worker is killed by taking its lease: it does not hear of that, and what it still stores must not land.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.datagen.engine.conftest import add_users, until
from tests.datagen.engine.fakes import OWNER, FakeRelay, Installation, Said, Writer, note
from tests.datagen.engine.test_run import assert_whole, rows_of, task_row
from tidemill.datagen.contracts import ResumeRequest, StartRequest, TaskRef
from tidemill.datagen.engine.claim import SYSTEM
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.engine.run import TaskRun
from tidemill.datagen.engine.twins import Twins
from tidemill.datagen.jobs import HELP, register
from tidemill.datagen.novelty import fingerprint
from tidemill.datagen.plan import TaskPlan
from tidemill.datagen.service import JOB
from tidemill.datagen.tables import generated_data, task_chunk, task_crew, task_event, tasks
from tidemill.kernel import clock
from tidemill.platform.db import Database, open_database
from tidemill.platform.jobs import repository_workers
from tidemill.platform.jobs.rules import Outcome as JobOutcome
from tidemill.platform.jobs.tables import job
from tidemill.platform.jobs.tables import worker as worker_table
from tidemill.relay.contracts import Call

SAMPLES = 100
LATENCY_S = 0.02


class Gauge:
    """Counts the calls that are out over several relays; while ``gate`` is shut, none comes back."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.gate = asyncio.Event()

    def measured(self, script: Any) -> Any:
        """Return the script with its calls counted."""

        async def counted(call: Call) -> Said:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await self.gate.wait()
                return await script(call)
            finally:
                self.now -= 1

        return counted


class Pair:
    """Two workers."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.gauge = Gauge()
        # One writer for both: every text is new, whoever asks.
        self.writer = Writer(latency_s=LATENCY_S)
        self.workers = [
            Installation(db, relay=FakeRelay(self.gauge.measured(self.writer)), samples=SAMPLES, alone=False)
            for _ in range(2)
        ]
        for worker in self.workers:
            register(worker.jobs, worker.mill)

    async def start(self, **changes: Any) -> str:
        """Start a task and then the first worker; returns the task's name."""
        asked: dict[str, Any] = {
            "variants_per_sample": 4,
            "data_rounds": 2,
            "max_concurrent": 8,
            "dedup": "off",
            "evaluator_model": "none",
            "min_score": 0,
        }
        request = StartRequest(file_id=1, task_type="note", **{**asked, **changes})
        answer = await self.workers[0].service.start(OWNER, request, "en")
        assert isinstance(answer, TaskRef)
        await self.workers[0].jobs.start()
        return answer.task_id

    async def both_at_work(self, task_id: str) -> None:
        """Start the second worker and wait until both make the task; until it has joined, nothing is made."""
        await self.workers[1].jobs.start()

        async def joined() -> bool:
            return len(await self.slots(task_id)) == 2

        await until(joined)
        self.gauge.gate.set()
        calls = [len(worker.relay.calls) for worker in self.workers]

        async def shared() -> bool:
            slots = await self.slots(task_id)
            return len(slots) == 2 and min(slots) > 0 and len(self.workers[1].relay.calls) > calls[1] + 8

        await until(shared)

    async def slots(self, task_id: str) -> list[int]:
        """Return how many calls each of the crew may have out."""
        async with self.db.read() as r:
            crew = await r.all(select(task_crew.c.slots).where(task_crew.c.task_id == task_id))
        return sorted(row["slots"] for row in crew)

    async def job_of(self, task_id: str, kind: str) -> dict[str, Any]:
        """Return the task's job of a type."""
        async with self.db.read() as r:
            rows = await r.all(select(job).where(job.c.type == kind, job.c.state == "running"))
        (row,) = [row for row in rows if row["payload"]["task_id"] == task_id]
        return dict(row)

    async def take_lease(self, row: dict[str, Any]) -> None:
        """Do what the job engine does with a job whose worker fell silent."""
        async with self.db.write() as w:
            assert await repository_workers.give_back(w, SYSTEM, row, JobOutcome("queued"))  # pyright: ignore[reportArgumentType] - a row's mapping
            w.changed("jobs")

    async def ended(self, task_id: str, status: str = "finished") -> None:
        """Wait for the task's end and see that it is whole and nothing of its making is left behind."""
        self.gauge.gate.set()

        async def over() -> bool:
            return (await task_row(self.workers[0], task_id))["status"] != "running"

        await until(over, seconds=60)
        assert (await task_row(self.workers[0], task_id))["status"] == status
        if status == "finished":
            await assert_whole(self.workers[0], task_id)
            async with self.db.read() as r:
                assert await r.scalar(select(func.count()).select_from(task_chunk)) == 0
                assert await r.scalar(select(func.count()).select_from(task_crew)) == 0


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look ten times as often."""
    monkeypatch.setattr("tidemill.datagen.engine.foreman.TICK_S", 0.1)
    monkeypatch.setattr("tidemill.datagen.engine.foreman.SHARE_S", 0.02)


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[Pair]:
    """Give two workers over a fresh database."""
    db = open_database(postgres_url)
    await add_users(db)
    made = Pair(db)
    yield made
    for worker in made.workers:
        await worker.jobs.drain(2)
        await worker.mill.close()
    await db.close()


async def test_a_second_worker_joins_and_leaves_when_nothing_is_left(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)
    assert await pair.slots(task_id) == [4, 4]
    await pair.ended(task_id)
    calls = [len(worker.relay.calls) for worker in pair.workers]
    assert sum(calls) == 800
    assert min(calls) > 50
    async with pair.db.read() as r:
        jobs = {row["type"]: row["state"] for row in await r.all(select(job.c.type, job.c.state))}
        lines = [row["data"].get("code") for row in await r.all(select(task_event.c.data).order_by(task_event.c.seq))]
    assert jobs[JOB] == "succeeded"
    assert lines == ["started", "joined", "finished", None]

    async def helped() -> bool:
        async with pair.db.read() as r:
            return await r.scalar(select(job.c.state).where(job.c.type == HELP)) == "succeeded"

    await until(helped)


async def test_all_together_have_no_more_calls_out_than_the_task_may(pair: Pair) -> None:
    task_id = await pair.start(max_concurrent=7)
    await pair.both_at_work(task_id)
    assert sum(await pair.slots(task_id)) <= 7
    await pair.ended(task_id)
    assert pair.gauge.most == 7


async def test_a_lone_worker_has_all_the_calls_again_when_the_other_has_gone(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)
    await pair.workers[1].jobs.drain(2)

    async def alone() -> bool:
        return await pair.slots(task_id) == [8]

    await until(alone)
    await pair.ended(task_id)
    assert pair.gauge.most == 8


@pytest.mark.parametrize("kind", [JOB, HELP])
async def test_a_worker_whose_lease_was_taken_stores_nothing_more(pair: Pair, kind: str) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)
    row = await pair.job_of(task_id, kind)
    dead, alive = pair.workers if kind == JOB else reversed(pair.workers)
    # It claims nothing more, and does not know that it has lost what it runs.
    dead.jobs._worker._takes = False  # pyright: ignore[reportPrivateUsage] - a process that hangs would not either
    entry = await entry_of(pair, row["id"])

    async def half_way() -> bool:
        async with pair.db.read() as r:
            stored = await r.scalar(select(func.count()).select_from(generated_data))
            return 100 < stored < 700 and await r.scalar(select(func.count()).where(task_chunk.c.entry == entry)) > 0

    await until(half_way)
    await pair.take_lease(row)
    await pair.ended(task_id)
    assert len(alive.relay.calls) > len(dead.relay.calls) / 3
    # What was out with the dead one was made again, but for what it had stored: at most its calls and one commit.
    assert 800 <= len(alive.relay.calls) + len(dead.relay.calls) <= 800 + 8 + 60


async def entry_of(pair: Pair, job_id: str) -> int:
    async with pair.db.read() as r:
        return int(await r.scalar(select(task_crew.c.entry).where(task_crew.c.job_id == job_id)))


async def test_exact_duplicates_are_found_over_both(pair: Pair) -> None:
    for worker in pair.workers:
        # Both say the same words in the same order: whoever comes second has to think again.
        numbers = itertools.count()

        async def script(call: Call, numbers: "itertools.count[int]" = numbers) -> Said:
            del call
            await asyncio.sleep(LATENCY_S)
            return note(f"The remark number {next(numbers)} about the weather.")

        worker.relay.script = pair.gauge.measured(script)
    task_id = await pair.start(dedup="exact", data_rounds=1, max_retries=2)
    await pair.both_at_work(task_id)
    await pair.ended(task_id)
    rows = await rows_of(pair.workers[0], task_id)
    texts = [note_text(row["data_content"]) for row in rows if row["status"] == "accepted"]
    assert len({fingerprint(text) for text in texts}) == len(texts)
    met = [row for row in rows if row["attempts"] > 1]
    assert len(met) > 20, "hardly any twin was met: the test shows nothing"
    assert all("duplicate" in row["lineage"] for row in met)
    # Nobody says more than one remark a call, so what was accepted says how far the two came together.
    assert len(texts) == len(set(texts)) <= max(len(worker.relay.calls) for worker in pair.workers)


async def test_a_twin_in_the_same_moment_is_found_by_the_commit(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is heard of the other but what the commit finds."""

    async def deaf(twins: Twins, until_seq: int) -> None:
        del twins, until_seq

    refused: list[str] = []
    hears = TaskRun.refused

    def counted(run: TaskRun, outcomes: Sequence[Outcome]) -> None:
        refused.extend(str(outcome.output) for outcome in outcomes)
        hears(run, outcomes)

    monkeypatch.setattr(Twins, "hear", deaf)
    monkeypatch.setattr(TaskRun, "refused", counted)
    numbers = itertools.count()

    async def script(call: Call) -> Said:
        del call
        await asyncio.sleep(LATENCY_S)
        # Each remark is made about twice, by whoever asks.
        return note(f"The remark number {next(numbers) // 2} about the weather.")

    for worker in pair.workers:
        worker.relay.script = pair.gauge.measured(script)
    task_id = await pair.start(dedup="exact", data_rounds=1, variants_per_sample=2, max_retries=5)
    await pair.both_at_work(task_id)
    await pair.ended(task_id)
    rows = await rows_of(pair.workers[0], task_id)
    accepted = [row for row in rows if row["status"] == "accepted"]
    assert len({row["data_content"] for row in accepted}) == len(accepted)
    assert len(accepted) > 100
    assert len(refused) > 5


def note_text(content: str) -> str:
    return content.split('"text":"', 1)[1].rsplit('"', 1)[0]


async def test_what_others_accepted_is_heard_for_near_duplicates(pair: Pair) -> None:
    task_id = await pair.start(dedup="near", sample_limit=5, variants_per_sample=1, data_rounds=1)
    await pair.ended(task_id)
    row = await task_row(pair.workers[0], task_id)
    (first, *_) = await rows_of(pair.workers[0], task_id)
    twins = Twins(pair.db, task_id, _plan_of(row["plan"]), 0)
    assert twins.index is not None
    await twins.hear(row["seq"])
    near = twins.index.check(note_text(first["data_content"]).replace("of the day", "of that day"))
    assert near.max_jaccard > 0.6
    assert not near.exact_duplicate


def _plan_of(stored: dict[str, Any]) -> TaskPlan:
    import msgspec  # noqa: PLC0415 - used here alone

    return msgspec.convert(stored, TaskPlan)


async def test_a_budget_holds_for_both_and_so_does_the_pause(pair: Pair) -> None:
    task_id = await pair.start(budget="9000")  # 300 of 800 rows at 30 credits each
    await pair.both_at_work(task_id)

    async def paused() -> bool:
        row = await task_row(pair.workers[0], task_id)
        return row["paused"] is not None and pair.gauge.now == 0

    await until(paused)
    row = await task_row(pair.workers[0], task_id)
    assert row["paused"]["code"] == "budget_spent"
    calls = sum(len(worker.relay.calls) for worker in pair.workers)
    # Each knows its own spending at once and the other's by its last commit.
    assert 300 <= calls <= 300 + 8 + 60
    await pair.workers[1].service.resume(OWNER, task_id, ResumeRequest(budget=1_000_000), "en")
    await pair.ended(task_id)
    assert (await task_row(pair.workers[0], task_id))["cost_nano"] == 800 * 30 * 10**9


async def test_the_figures_are_those_of_both(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)

    async def both_shown() -> bool:
        live = (await task_row(pair.workers[0], task_id))["live"]
        return live["services"][0]["in_flight"] > 4 and live["rows_per_s"] > 0

    await until(both_shown)
    await pair.ended(task_id)
    status = await pair.workers[0].service.status(OWNER.scope, task_id, "en")
    # What the one that helped had not told when the task ended, a tenth of a second of its calls, is not in it.
    assert 780 <= status.services[0].done <= 800
    assert status.current == status.total == 800


async def test_a_stop_ends_both_and_a_resume_goes_on(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)
    await pair.workers[1].service.stop(OWNER, task_id)
    assert await pair.slots(task_id) == []

    async def quiet() -> bool:
        return pair.gauge.now == 0

    await until(quiet)
    stopped = await task_row(pair.workers[0], task_id)
    assert stopped["status"] == "stopped"
    await asyncio.sleep(0.1)  # time in which something late could land
    assert dict(await task_row(pair.workers[0], task_id)) == dict(stopped)

    async def both_ended() -> bool:
        # By being told, or by finding that they have no place any more.
        async with pair.db.read() as r:
            states = {row["state"] for row in await r.all(select(job.c.state))}
        return states <= {"cancelled", "succeeded"}

    await until(both_ended)
    await pair.workers[0].service.resume(OWNER, task_id, ResumeRequest(), "en")
    await pair.ended(task_id)


async def test_the_lead_passes_on_when_its_process_drains(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)
    await pair.workers[0].jobs.drain(5)
    assert (await task_row(pair.workers[0], task_id))["status"] == "running"
    await pair.ended(task_id)
    assert sum(len(worker.relay.calls) for worker in pair.workers) <= 800 + 8


async def test_a_deleted_task_is_made_by_nobody(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.both_at_work(task_id)
    await pair.workers[0].service.delete(OWNER, OWNER.scope, task_id)

    async def quiet() -> bool:
        return pair.gauge.now == 0

    await until(quiet)
    async with pair.db.read() as r:
        for table in (tasks, generated_data, task_crew, task_chunk, task_event):
            assert await r.scalar(select(func.count()).select_from(table)) == 0


async def test_help_that_nobody_takes_does_not_pile_up(pair: Pair) -> None:
    pair.gauge.gate.set()
    task_id = await pair.start()
    async with pair.db.write() as w:
        row = await w.first(select(worker_table))
        assert row is not None
        await w.run(worker_table.insert(), {**row, "id": "a-worker-that-never-claims", "heartbeat_at": clock.now()})
    await pair.ended(task_id)
    async with pair.db.read() as r:
        assert await r.scalar(select(func.count()).where(job.c.type == HELP)) == 1


async def test_both_may_start_at_once_and_give_an_orphaned_task_one_job(pair: Pair) -> None:
    task_id = await pair.start()
    await pair.workers[0].jobs.drain(2)
    async with pair.db.write() as w:
        await w.run(update(job).values(state="cancelled"))
    found = await asyncio.gather(*(worker.service.recover() for worker in pair.workers))
    assert sorted(found) == [(0, 0), (0, 1)]
    await pair.workers[1].jobs.start()
    await pair.ended(task_id)
