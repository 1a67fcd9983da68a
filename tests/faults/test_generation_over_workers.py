"""kill -9 of one of two workers in the middle of a task that both make, with real processes over one PostgreSQL.

One process serves, two work. Whether the worker that dies leads the task or helps, the other takes over what was out
with it, and the task ends with every item stored once and everything shown still there.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.test_kill_generation import Watcher, listed, upload, wait_for_model
from tests.fixtures.processes import TIDEMILL, Child, Server, ServerFactory, Simulator, SimulatorFactory

SAMPLES = 100
VARIANTS = 10
ROUNDS = 2
TOTAL = SAMPLES * VARIANTS * ROUNDS
SLOTS = 32
LATENCY_S = 0.2
END_S = 180.0
WAIT_S = 60.0
Record = Callable[[str, object], None]


class Works:
    """A server without a worker, two workers beside it, and their database."""

    def __init__(self, server: Server, folder: Path, url: str) -> None:
        self.server = server
        self._folder = folder
        self._url = url
        self.workers: list[Child] = []

    def start_worker(self) -> Child:
        """Start a worker on the server's data directory and wait until it is ready."""
        worker = Child([TIDEMILL, "worker"], self._folder, self.server.environment)
        self.workers.append(worker)
        worker.wait_for_line("tidemill is ready")
        return worker

    def ask(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return what the database answers."""

        async def work() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self._url)
            try:
                return [dict(row) for row in await connection.fetch(sql, *values)]
            finally:
                await connection.close()

        return asyncio.run(work())

    def crew(self, task_id: str) -> dict[str, dict[str, Any]]:
        """Return who makes the task, by the type of job: entry, slots and process id."""
        rows = self.ask(
            "SELECT job.type, c.entry, c.slots, worker.pid FROM task_crew c JOIN job ON job.id = c.job_id "
            "AND job.epoch = c.job_epoch AND job.state = 'running' JOIN worker ON worker.id = job.lease_owner "
            "WHERE c.task_id = $1",
            task_id,
        )
        return {row["type"]: row for row in rows}

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.end_group()


def until(condition: Callable[[], bool], what: str, *, seconds: float = WAIT_S, works: Works | None = None) -> None:
    """Wait until a condition holds; raises AssertionError saying what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(line for worker in works.workers for line in worker.log[-15:]) if works else ""
            raise AssertionError(f"{what} did not happen within {seconds:g} s\n{logs}")
        time.sleep(0.05)


@pytest.fixture(params=["postgresql", "rabbitmq"])
def queue(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Give the settings of what carries tickets."""
    if request.param == "rabbitmq":
        return {"TIDEMILL_QUEUE__URL": request.getfixturevalue("rabbitmq").url}
    return {"TIDEMILL_QUEUE__URL": "local://"}


@pytest.fixture
def works(make_server: ServerFactory, postgres_url: str, queue: Mapping[str, str], tmp_path: Path) -> Iterator[Works]:
    """Give a running server that takes no jobs; workers are started by the test."""
    settings = {
        "TIDEMILL_DATABASE__URL": postgres_url,
        "TIDEMILL_SERVER__ROLES": "api,scheduler",
        "TIDEMILL_QUEUE__PREFIX": f"t{os.getpid()}-{time.monotonic_ns()}",
        **queue,
    }
    made = Works(make_server(settings).start(), tmp_path, postgres_url)
    yield made
    made.close()


def start_task(server: Server, token: str, simulator: Simulator) -> str:
    """Start the task; returns its id."""
    added = server.run(
        "channels", "add", "--name", "simulated", "--base-url", simulator.base_url, "--models", "sim", "--json"
    )
    assert added.returncode == 0, added.stderr
    samples = [{"text": f"Customer {number} asks about the fee of card number {number}."} for number in range(SAMPLES)]
    file_id = upload(server, token, samples)
    wait_for_model(server, token)
    asked = {
        "file_id": file_id,
        "task_type": "entity_extraction",
        "model": "sim",
        "min_score": 0,
        "variants_per_sample": VARIANTS,
        "data_rounds": ROUNDS,
        "max_concurrent": SLOTS,
        "evaluator_model": "none",
        "dedup": "off",
    }
    return str(server.post("/api/start", asked, token)["data"]["task_id"])


@pytest.mark.timeout(400)
@pytest.mark.parametrize("dies", ["datagen.run", "datagen.help"])
def test_a_killed_worker_loses_and_doubles_nothing(
    works: Works, make_simulator: SimulatorFactory, dies: str, record_property: Record
) -> None:
    simulator = make_simulator("--latency", str(LATENCY_S), "--slots", str(2 * SLOTS))
    server = works.server
    token = server.sign_in()
    works.start_worker()
    works.start_worker()
    task_id = start_task(server, token, simulator)
    watcher = Watcher(server, token, task_id, None)
    watcher.start()

    def both() -> bool:
        slots = [one["slots"] for one in works.crew(task_id).values()]
        return len(slots) == 2 and min(slots) == SLOTS // 2

    def status() -> dict[str, Any]:
        found: dict[str, Any] = server.get(f"/api/status/{task_id}", token)["data"]
        return found

    until(both, "sharing the task", works=works)
    until(lambda: status()["current"] >= TOTAL // 3, "a third of the rows", works=works)
    victim = works.crew(task_id)[dies]
    before = status()["current"]
    kept = listed(server, token, task_id)
    assert before < TOTAL
    (dead,) = [worker for worker in works.workers if worker.pid == victim["pid"]]
    (survivor,) = [worker for worker in works.workers if worker is not dead]
    dead.kill()
    killed_s = time.monotonic()

    def taken_over() -> bool:
        sql = "SELECT 1 FROM task_chunk WHERE task_id = $1 AND entry = $2"
        return not works.ask(sql, task_id, victim["entry"])

    assert not taken_over()
    until(taken_over, "taking over the dead worker's chunks", works=works)
    record_property("seconds_to_take_over", round(time.monotonic() - killed_s, 2))
    assert status()["current"] < TOTAL, "the task was over before its dead worker was missed: make it longer"

    watcher.join(END_S)
    assert watcher.complete == {"type": "complete", "status": "finished"}
    end = status()
    assert (end["status"], end["current"], end["total"]) == ("finished", TOTAL, TOTAL)
    began, ended = (datetime.fromisoformat(end[name]) for name in ("started_at", "finished_at"))
    record_property("seconds_over_ideal", round((ended - began).total_seconds() / (TOTAL * LATENCY_S / SLOTS), 2))
    rows = listed(server, token, task_id)
    assert kept.keys() <= rows.keys()
    assert {number: rows[number]["data_content"] for number in kept} == {
        number: row["data_content"] for number, row in kept.items()
    }
    items = Counter(row["item_no"] for row in rows.values())
    assert max(items.values()) == 1
    assert len(rows) + end["failed"] == TOTAL
    # The watcher began with the task and never went: it has seen each row.
    assert {row["id"] for row in watcher.rows} == rows.keys()
    assert works.ask("SELECT 1 FROM task_chunk UNION ALL SELECT 1 FROM task_crew") == []
    # Each run adds its calls once a second: what the dead one had made since is not in the services' figures.
    assert TOTAL * 0.9 <= sum(one["done"] for one in end["services"]) <= TOTAL + SLOTS
    assert survivor.stop() == 0
    assert server.stop() == 0
