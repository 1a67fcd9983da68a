"""Any order of what workers, people and accidents do to jobs keeps what the engine promises.

The machine plays workers, an operator and a clock against the database in memory and compares each job before and after
every step.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from tests.fixtures.databases import opened_in_memory
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, Row, Writer
from tidemill.platform.jobs import repository, repository_desk, repository_moves, repository_workers
from tidemill.platform.jobs.errors import QueueFull
from tidemill.platform.jobs.repository import End, Lease, NewJob
from tidemill.platform.jobs.rules import ENDED, MOVES, WAITING, Outcome, State, after_crash
from tidemill.platform.jobs.tables import job, job_event

T = TypeVar("T")

SYSTEM = SystemScope(SystemReason.JOBS)
LEASE_S = 30.0
WORKERS = ("w1", "w2")
TYPES = {"fast": "quick", "slow": "lazy"}
MAX_LENGTH = 6
ENDS: list[tuple[State, float, bool]] = [
    ("succeeded", 0, True),
    ("failed", 0, True),
    ("dead", 0, True),
    ("cancelled", 0, True),
    ("retry_wait", 5, True),
    ("queued", 0, False),
]


def facts(worker: str) -> dict[str, Any]:
    return {
        "id": worker,
        "host": "h",
        "node": "n",
        "pid": 1,
        "version": "1",
        "roles": ["worker"],
        "types": sorted(TYPES),
        "capacity": 8,
    }


class Jobs(RuleBasedStateMachine):
    """One database, two workers, an operator, and a clock that jumps."""

    template: Path
    ids = Bundle("ids")
    leases = Bundle("leases")
    lapsed = Bundle("lapsed")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.jumps = ExitStack()
        self.db: Database = self.runner.run(opened_in_memory(self.template))
        self.before: dict[str, Row] = {}
        self.made = 0
        self.paused: set[str] = set()
        self.succeeded: set[str] = set()
        self.write(lambda w: repository_moves.set_queue(w, SYSTEM, "quick", {"max_length": MAX_LENGTH}))
        for worker in WORKERS:
            self.beat(worker)

    def teardown(self) -> None:
        self.jumps.close()
        self.runner.run(self.db.close())
        self.runner.close()

    def write(self, work: Callable[[Writer], Awaitable[T]]) -> T:
        async def within() -> T:
            async with self.db.write() as w:
                return await work(w)

        return self.runner.run(within())

    def rows(self) -> dict[str, Row]:
        async def within() -> dict[str, Row]:
            async with self.db.read() as r:
                return {row["id"]: row for row in await r.all(select(job))}

        return self.runner.run(within())

    # What workers do.

    def beat(self, worker: str) -> None:
        self.write(lambda w: repository_workers.beat(w, SYSTEM, facts(worker)))

    @rule(target=leases, worker=st.sampled_from(WORKERS), kind=st.sampled_from(sorted(TYPES)), limit=st.integers(1, 3))
    def claim(self, worker: str, kind: str, limit: int) -> Any:
        self.beat(worker)
        claimed = self.write(lambda w: repository.claim(w, SYSTEM, worker, kind, limit))
        for one in claimed:
            assert one.lease.job_id not in self.succeeded
            assert self.before[one.lease.job_id]["state"] in WAITING
            assert self.before[one.lease.job_id]["run_at"] <= clock.now()
            assert one.queue not in self.paused
        return multiple(*(one.lease for one in claimed))

    @rule(target=lapsed, lease=consumes(leases), end=st.sampled_from(ENDS))
    def finish(self, lease: Lease, end: tuple[State, float, bool]) -> Lease:
        state, delay_s, counted = end
        held = self.holds(lease)
        kept = self.write(
            lambda w: repository.finish(
                w, SYSTEM, [End(lease, Outcome(state, delay_s), ("x", "y"), counted, (1, 2, ""))]
            )
        )
        assert kept or not held
        if held:
            assert self.rows()[lease.job_id]["state"] == state
        return lease

    def holds(self, lease: Lease) -> bool:
        row = self.rows()[lease.job_id]
        return (row["state"], row["epoch"], row["lease_owner"]) == ("running", lease.epoch, lease.owner)

    @rule(lease=leases)
    def save(self, lease: Lease) -> None:
        held = self.holds(lease)
        assert self.write(lambda w: repository.save(w, SYSTEM, lease, {"at": 1})) == held

    @rule(lease=lapsed, end=st.sampled_from(ENDS))
    def write_late(self, lease: Lease, end: tuple[State, float, bool]) -> None:
        state, delay_s, counted = end
        was = self.rows()

        async def late(w: Writer) -> None:
            await repository.finish(w, SYSTEM, [End(lease, Outcome(state, delay_s), None, counted)])
            assert not await repository.save(w, SYSTEM, lease, {"late": True})
            await repository.report(w, SYSTEM, lease, (9, 9, "late"))
            assert not await repository.holds(w, SYSTEM, lease)

        self.write(late)
        assert self.rows() == was

    @rule(worker=st.sampled_from(WORKERS))
    def die_and_be_reaped(self, worker: str) -> None:
        """Let a worker fall silent until the others take its jobs."""
        self.jumps.enter_context(clock.shifted(LEASE_S + 1))
        for other in WORKERS:
            if other != worker:
                self.beat(other)

        async def reap(w: Writer) -> None:
            for row in await repository_workers.orphans(w, SYSTEM, lease_s=LEASE_S, dead=(), alone=None, limit=50):
                assert self.before[row["id"]]["lease_owner"] == worker
                assert await repository_workers.give_back(w, SYSTEM, row, after_crash(row["crashes"] + 1, 3))
                assert not await repository_workers.give_back(w, SYSTEM, row, after_crash(row["crashes"] + 1, 3))

        self.write(reap)
        assert all(row["lease_owner"] != worker for row in self.rows().values())
        self.beat(worker)

    # What people do.

    @rule(target=ids, kind=st.sampled_from(sorted(TYPES)), key=st.sampled_from([None, "k1", "k2"]), delay=st.booleans())
    def enqueue(self, kind: str, key: str | None, delay: bool) -> Any:  # noqa: FBT001 - drawn, not called
        run_at = clock.now() + timedelta(seconds=20) if delay else None
        new = NewJob(type=kind, queue=TYPES[kind], payload={}, user_id=7, idem_key=key, run_at=run_at)
        known = {row["id"] for row in self.before.values() if key and (row["type"], row["idem_key"]) == (kind, key)}
        alive = {one for one in known if self.before[one]["state"] != "cancelled"}
        waiting = sum(row["queue"] == TYPES[kind] and row["state"] in WAITING for row in self.before.values())
        try:
            added = self.write(lambda w: repository.add(w, SYSTEM, new))
        except QueueFull:
            assert (kind, waiting) == ("fast", MAX_LENGTH)
            return multiple()  # pyright: ignore[reportUnknownVariableType] - of nothing
        assert added.new == (not alive)
        assert added.new or {added.id} == alive
        self.made += added.new
        return added.id

    @rule(job_id=ids)
    def cancel(self, job_id: str) -> None:
        self.write(lambda w: repository.request_cancel(w, SYSTEM, job_id, 1))
        row = self.rows()[job_id]
        assert row["state"] in ENDED or (row["state"] == "running" and row["cancel_requested_at"] is not None)

    @rule(job_id=ids, payload=st.sampled_from([None, {"n": 1}]))
    def replay(self, job_id: str, payload: dict[str, Any] | None) -> None:
        was = self.before[job_id]
        moved = self.write(lambda w: repository_moves.replay(w, SYSTEM, [job_id], by=1, payload=payload))
        assert bool(moved) == (was["state"] in {"dead", "failed"})
        if moved:
            row = self.rows()[job_id]
            assert (row["epoch"], row["attempt"], row["crashes"]) == (was["epoch"] + 1, 0, 0)

    @rule(job_id=ids)
    def discard(self, job_id: str) -> None:
        was = self.before[job_id]["state"]
        moved = self.write(lambda w: repository_moves.discard(w, SYSTEM, [job_id], by=1))
        assert bool(moved) == (was in {"dead", "failed"})

    @rule(job_id=ids, priority=st.integers(-5, 5))
    def edit(self, job_id: str, priority: int) -> None:
        was = self.before[job_id]["state"]
        done = self.write(lambda w: repository_moves.edit(w, SYSTEM, job_id, {"priority": priority}, by=1))
        assert done == (was in WAITING | {"dead", "failed"})

    @rule(queue=st.sampled_from(sorted(TYPES.values())), on=st.booleans())
    def pause(self, queue: str, on: bool) -> None:  # noqa: FBT001 - drawn, not called
        self.write(lambda w: repository_moves.set_queue(w, SYSTEM, queue, {"paused": on}))
        (self.paused.add if on else self.paused.discard)(queue)

    @rule(seconds=st.integers(-600, 600))
    def jump(self, seconds: int) -> None:
        """Move the clock; its workers notice nothing but the time."""
        self.jumps.enter_context(clock.shifted(seconds))
        for worker in WORKERS:
            self.beat(worker)

    # What holds whatever was done.

    @invariant()
    def promises_hold(self) -> None:
        after = self.rows()
        assert len(after) == self.made
        for job_id, row in after.items():
            was = self.before.get(job_id)
            if was is not None:
                assert row["state"] == was["state"] or row["state"] in MOVES[was["state"]]
                assert row["epoch"] >= was["epoch"]
                assert row["event_seq"] >= was["event_seq"]
                assert row["state"] == was["state"] or row["event_seq"] > was["event_seq"]
            assert (row["state"] == "running") == (row["lease_owner"] is not None)
            assert row["attempt"] >= 0
            assert (row["state"] in ENDED) == (row["finished_at"] is not None)
        self.succeeded |= {job_id for job_id, row in after.items() if row["state"] == "succeeded"}
        assert all(after[job_id]["state"] == "succeeded" for job_id in self.succeeded)
        self.before = after
        self.histories_have_no_gaps()
        self.counts_add_up()

    def histories_have_no_gaps(self) -> None:
        async def within() -> dict[str, list[int]]:
            found: dict[str, list[int]] = {}
            async with self.db.read() as r:
                for row in await r.all(select(job_event).order_by(job_event.c.job_id, job_event.c.seq)):
                    found.setdefault(row["job_id"], []).append(row["seq"])
            return found

        seqs = self.runner.run(within())
        assert {job_id: list(range(1, row["event_seq"] + 1)) for job_id, row in self.before.items()} == seqs

    def counts_add_up(self) -> None:
        async def within() -> list[repository_desk.Depth]:
            async with self.db.read() as r:
                return await repository_desk.depths(r, SYSTEM)

        counted = {
            (depth.queue, state): n for depth in self.runner.run(within()) for state, n in depth.by_state.items()
        }
        expected: dict[tuple[str, str], int] = {}
        for row in self.before.values():
            if row["state"] not in {"succeeded", "cancelled"}:
                expected[row["queue"], row["state"]] = expected.get((row["queue"], row["state"]), 0) + 1
        assert counted == expected


def test_whatever_happens_to_jobs_the_promises_hold(migrated_sqlite: Path) -> None:
    Jobs.template = migrated_sqlite
    run_state_machine_as_test(
        Jobs,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
