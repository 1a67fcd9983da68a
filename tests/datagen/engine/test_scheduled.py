"""A scheduled start: checked as a start is, carried out as its owner is then, once for each firing."""

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from tests.datagen.engine.conftest import until
from tests.datagen.engine.fakes import MODEL, OWNER, Installation
from tidemill.datagen.facade import START, ScheduledStart, register_starts
from tidemill.datagen.jobs import register
from tidemill.datagen.scheduled import task_name
from tidemill.datagen.tables import tasks
from tidemill.kernel.actor import Actor, SystemReason, SystemScope
from tidemill.kernel.errors import BadInput
from tidemill.operations.facade import JobService, StatusService
from tidemill.platform.db import Row
from tidemill.platform.jobs.tables import job
from tidemill.relay.errors import ModelNotAllowed

SYSTEM = SystemScope(SystemReason.JOBS)
BODY: dict[str, Any] = {
    "file_id": 1,
    "task_type": "note",
    "data_rounds": 1,
    "variants_per_sample": 1,
    "min_score": 0,
    "evaluator_model": "none",
    "dedup": "off",
}


class Owners:
    """Knows the owner until it is disabled."""

    def __init__(self) -> None:
        self.known: dict[int, Actor] = {OWNER.user_id: OWNER}

    async def actor(self, user_id: int) -> Actor | None:
        return self.known.get(user_id)


@pytest.fixture
def owners() -> Owners:
    return Owners()


@pytest.fixture
async def running(installation: Installation, owners: Owners) -> Installation:
    register(installation.jobs, installation.mill)
    register_starts(installation.jobs, lambda: installation.service, owners)
    await installation.jobs.start()
    return installation


async def fire(running: Installation, payload: dict[str, Any]) -> str:
    async with running.db.write() as w:
        return await running.jobs.enqueue(w, SYSTEM, START, payload, user_id=OWNER.user_id)


async def ended(running: Installation, job_id: str) -> Row:
    found: list[Row] = []

    async def over() -> bool:
        async with running.db.read() as r:
            row = await r.first(select(job).where(job.c.id == job_id))
        assert row is not None
        found[:] = [row]
        return row["state"] in {"succeeded", "failed", "dead"}

    await until(over)
    return found[0]


async def all_tasks(running: Installation) -> list[Row]:
    async with running.db.read() as r:
        return list(await r.all(select(tasks)))


async def test_a_firing_starts_one_task_of_its_owner(running: Installation) -> None:
    job_id = await fire(running, BODY)
    row = await ended(running, job_id)
    [task] = await all_tasks(running)
    assert (row["state"], row["checkpoint"]) == ("succeeded", {"task_id": task["task_id"]})
    assert (task["task_id"], task["user_id"], task["task_type"]) == (task_name(job_id), OWNER.user_id, "note")


async def test_a_run_after_a_death_starts_no_second_task(running: Installation) -> None:
    job_id = await fire(running, BODY)
    await ended(running, job_id)
    async with running.db.write() as w:
        await w.run(job.update().where(job.c.id == job_id).values(state="queued", checkpoint=None))
        w.changed("jobs")
    assert (await ended(running, job_id))["state"] == "succeeded"
    assert len(await all_tasks(running)) == 1


async def test_a_disabled_owner_starts_nothing_and_the_job_says_why(running: Installation, owners: Owners) -> None:
    owners.known.clear()
    row = await ended(running, await fire(running, BODY))
    assert (row["state"], row["error_code"]) == ("failed", "owner_disabled")
    assert await all_tasks(running) == []


async def test_what_became_impossible_fails_with_its_reason(running: Installation) -> None:
    row = await ended(running, await fire(running, {**BODY, "task_type": "gone"}))
    assert (row["state"], row["error_code"]) == ("failed", "task_refused")
    assert "gone" in row["error_text"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task_type": "gone"}, "task_type"),
        ({"file_id": "one"}, "file_id"),
        ({"preview": True}, "preview"),
        ({"rounds": 3}, "rounds"),
        ({"variants_per_sample": 0}, "variants_per_sample"),
    ],
)
async def test_a_schedule_is_checked_as_a_start_is(quick: Installation, change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        await ScheduledStart(quick.service).check(OWNER, {**BODY, **change}, "en")
    assert [problem.field for problem in refused.value.fields] == [field]
    assert await all_tasks(quick) == []


async def test_a_missing_field_is_named(quick: Installation) -> None:
    with pytest.raises(BadInput) as refused:
        await ScheduledStart(quick.service).check(OWNER, {"file_id": 1}, "en")
    assert refused.value.fields[0].field == "task_type"


async def test_a_key_limited_to_models_pins_them(quick: Installation) -> None:
    scheduled = ScheduledStart(quick.service)
    key = replace(OWNER, via="key", models=frozenset({MODEL}))
    assert await scheduled.check(OWNER, BODY, "en") == BODY
    assert await scheduled.check(key, BODY, "en") == {**BODY, "models": [MODEL]}
    with pytest.raises(ModelNotAllowed):
        await scheduled.check(key, {**BODY, "model": "other"}, "en")


async def test_cancelling_a_tasks_job_stops_the_task(running: Installation) -> None:
    jobs = JobService(running.db, running.jobs, {"datagen.run": running.service})
    job_id = await fire(running, {**BODY, "data_rounds": 1000, "max_concurrent": 1})
    name = (await ended(running, job_id))["checkpoint"]["task_id"]
    [task] = await all_tasks(running)
    view = await jobs.cancel(OWNER, OWNER.scope, task["job_id"])
    assert view.cancel_requested or view.status == "cancelled"
    state = await StatusService(running.db, (running.service,)).status(OWNER.scope, name)
    assert (state.status, state.type) == ("stopped", "note")
