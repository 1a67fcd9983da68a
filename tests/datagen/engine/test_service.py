"""Starting, stopping, resuming, deleting and listing tasks over HTTP, and what bad input gets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from tests.datagen.conftest import Serve
from tests.datagen.engine.conftest import until
from tests.datagen.engine.fakes import MODEL, OWNER, STRANGER, FakeRelay, Installation, Said, Writer, note, service
from tests.datagen.engine.test_run import assert_whole, rows_of, task_row
from tidemill.audit.tables import audit_log
from tidemill.datagen.jobs import recover, register
from tidemill.datagen.routes import HANDLERS
from tidemill.datagen.tables import generated_data, task_event, tasks
from tidemill.kernel.actor import Actor
from tidemill.platform.jobs.tables import job
from tidemill.relay.contracts import Call

ADMIN = Actor(user_id=2, username="stranger", is_admin=True, via="session")
START: dict[str, Any] = {
    "file_id": 1,
    "task_type": "note",
    "data_rounds": 1,
    "variants_per_sample": 2,
    "min_score": 0,
    "evaluator_model": "none",
    "dedup": "off",
}


@pytest.fixture
async def running(installation: Installation) -> Installation:
    """Give an installation whose job engine runs."""
    register(installation.jobs, installation.mill)
    await installation.jobs.start()
    return installation


@pytest.fixture
async def client(running: Installation, serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """Give the owner's client, in English."""
    async with serve(OWNER, list(HANDLERS), {"tasks": running.service}) as opened:
        yield opened


async def data(answer: httpx.Response) -> Any:
    """Return the ``data`` of a success."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["code"] == 200
    return body["data"]


async def start(client: httpx.AsyncClient, **changes: Any) -> str:
    """Start a task and return its name."""
    started = await data(await client.post("/api/start", json={**START, **changes}))
    return str(started["task_id"])


async def ended(client: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    """Wait for a task to end and return its status."""
    last: dict[str, Any] = {}

    async def over() -> bool:
        last.update(await data(await client.get(f"/api/status/{task_id}")))
        return last["status"] not in {"pending", "running"}

    await until(over)
    return last


async def test_a_task_runs_to_its_end(client: httpx.AsyncClient, running: Installation) -> None:
    answer = await client.post("/api/start", json=START)
    started = await data(answer)
    assert started["status"] == "running"
    assert started["task_id"].startswith("task_20")
    status = await ended(client, started["task_id"])
    assert (status["status"], status["current"], status["total"], status["percent"]) == ("finished", 8, 8, 100.0)
    assert status["accepted"] + status["below_threshold"] + status["needs_review"] + status["failed"] == 8
    assert status["tokens"] == {"input": 160, "output": 80}
    assert status["cost"] == "240"
    assert status["services"][0]["done"] == 8
    assert status["services"][0]["in_flight"] == 0
    assert status["finished_at"] is not None
    await assert_whole(running, started["task_id"])


async def test_the_message_is_chinese_unless_asked_otherwise(running: Installation, serve: Serve) -> None:
    async with serve(OWNER, list(HANDLERS), {"tasks": running.service}, "") as client:
        assert (await client.post("/api/start", json=START)).json()["message"] == "任务已启动"


async def test_starting_is_one_transaction_with_audit_and_job(client: httpx.AsyncClient, running: Installation) -> None:
    task_id = await start(client)
    async with running.db.read() as r:
        assert await r.scalar(select(job.c.payload).where(job.c.type == "datagen.run")) == {"task_id": task_id}
        assert await r.scalar(select(audit_log.c.action).where(audit_log.c.object_id == task_id)) == "task.start"
    await ended(client, task_id)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task_type": "poetry"}, "task_type"),
        ({"model": "nobody"}, "model"),
        ({"evaluator_model": "nobody"}, "evaluator_model"),
        ({"min_score": 11}, "min_score"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"variants_per_sample": 0}, "variants_per_sample"),
        ({"data_rounds": -1}, "data_rounds"),
        ({"max_retries": 99}, "max_retries"),
        ({"language": "fr"}, "language"),
        ({"dedup": "fuzzy"}, "dedup"),
        ({"budget": "much"}, "budget"),
        ({"budget": 0}, "budget"),
        ({"sample_limit": 0}, "sample_limit"),
        ({"directions": ["x" * 300]}, "directions"),
        ({"special_prompt": "x" * 30_000}, "special_prompt"),
        ({"file_id": "one"}, "file_id"),
    ],
)
async def test_bad_input_names_its_field(
    quick: Installation, serve: Serve, changes: dict[str, Any], field: str
) -> None:
    register(quick.jobs, quick.mill)
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}) as client:
        answer = await client.post("/api/start", json={**START, **changes})
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert field in [problem["field"] for problem in body["errors"]]
    assert isinstance(body["detail"], str)
    async with quick.db.read() as r:
        assert await r.scalar(select(func.count()).select_from(tasks)) == 0


async def test_every_problem_is_named_at_once_in_the_callers_language(quick: Installation, serve: Serve) -> None:
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}, "zh") as client:
        answer = await client.post("/api/start", json={**START, "min_score": 11, "dedup": "fuzzy"})
    problems = {problem["field"]: problem["message"] for problem in answer.json()["errors"]}
    assert problems.keys() == {"min_score", "dedup"}
    assert "须在 0 到 10 之间" in problems["min_score"]


async def test_an_empty_file_is_refused(quick: Installation, serve: Serve) -> None:
    quick.samples.rows_of_file.clear()
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}) as client:
        answer = await client.post("/api/start", json=START)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "file_id"


async def test_an_unknown_file_answers_3001(quick: Installation, serve: Serve) -> None:
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}) as client:
        answer = await client.post("/api/start", json={**START, "file_id": 77})
    assert (answer.status_code, answer.json()["code"]) == (404, 3001)


async def test_without_any_model_the_field_model_is_named(quick: Installation, serve: Serve) -> None:
    quick.relay.views.clear()
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}) as client:
        answer = await client.post("/api/start", json=START)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "model"


async def test_a_key_limited_to_models_cannot_name_another(quick: Installation, serve: Serve) -> None:
    limited = Actor(
        user_id=1, username="o", is_admin=False, via="key", scopes=frozenset({"datagen"}), models=frozenset({"other"})
    )
    async with serve(limited, list(HANDLERS), {"tasks": quick.service}) as client:
        assert (await client.post("/api/start", json={**START, "model": MODEL})).status_code == 403


async def test_a_key_without_the_scope_is_refused(quick: Installation, serve: Serve) -> None:
    other = Actor(user_id=1, username="o", is_admin=False, via="key", scopes=frozenset({"relay"}))
    async with serve(other, list(HANDLERS), {"tasks": quick.service}) as client:
        assert (await client.get("/api/tasks")).status_code == 403
    async with serve(None, list(HANDLERS), {"tasks": quick.service}) as client:
        assert (await client.get("/api/tasks")).status_code == 401


async def test_a_preview_shows_prompts_and_keeps_nothing(quick: Installation, serve: Serve) -> None:
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}) as client:
        shown = await data(await client.post("/api/start", json={**START, "evaluator_model": None, "preview": True}))
    assert len(shown["preview"]) == 3
    first = shown["preview"][0]
    assert "Sample 0" in first["prompt"]
    assert first["output"]["text"].startswith("A note")
    assert first["model_score"] == 9.0
    assert first["rule_score"] is not None
    async with quick.db.read() as r:
        assert await r.scalar(select(func.count()).select_from(tasks)) == 0


async def test_a_preview_that_gets_no_answer_says_so(quick: Installation, serve: Serve) -> None:
    from tidemill.platform.settings.groups.datagen import DatagenSettings  # noqa: PLC0415 - used here alone

    async def never(call: Call) -> Said:
        del call
        await asyncio.Event().wait()
        raise AssertionError

    slow = Installation(quick.db, relay=FakeRelay(never), settings=DatagenSettings(preview_timeout_s=0.05))
    async with serve(OWNER, list(HANDLERS), {"tasks": slow.service}) as client:
        answer = await client.post("/api/start", json={**START, "preview": True})
    assert answer.status_code == 503
    assert slow.relay.in_flight == 0


async def test_a_stopped_task_keeps_what_is_done_and_goes_on_when_resumed(
    client: httpx.AsyncClient, running: Installation
) -> None:
    running.relay.script = Writer(latency_s=0.01)
    task_id = await start(client, variants_per_sample=20, max_concurrent=4)

    async def some_done() -> bool:
        return (await data(await client.get(f"/api/status/{task_id}")))["current"] >= 8

    await until(some_done)
    stopped = await data(await client.post(f"/api/stop/{task_id}"))
    assert stopped == {"task_id": task_id, "status": "stopped"}
    status = await data(await client.get(f"/api/status/{task_id}"))
    assert status["status"] == "stopped"
    assert 8 <= status["current"] < status["total"]

    async def quiet() -> bool:
        return running.relay.in_flight == 0

    await until(quiet)
    kept = {row["item_no"]: row["data_content"] for row in await rows_of(running, task_id)}
    assert len(kept) == status["current"]
    assert (await client.post(f"/api/stop/{task_id}")).status_code == 409
    assert (await data(await client.post(f"/api/resume/{task_id}")))["status"] == "running"
    assert (await ended(client, task_id))["current"] == status["total"]
    after = {row["item_no"]: row["data_content"] for row in await rows_of(running, task_id)}
    assert kept.items() <= after.items()
    await assert_whole(running, task_id)


async def test_what_cannot_be_resumed_answers_409(client: httpx.AsyncClient, running: Installation) -> None:
    running.relay.script = Writer(latency_s=0.05)
    task_id = await start(client)
    assert (await client.post(f"/api/resume/{task_id}")).status_code == 409
    await ended(client, task_id)
    assert (await client.post(f"/api/resume/{task_id}")).status_code == 409
    assert (await client.post(f"/api/resume/{task_id}", content=b"[1]")).status_code == 400


async def test_a_running_task_is_stopped_before_it_is_deleted(client: httpx.AsyncClient, running: Installation) -> None:
    running.relay.script = Writer(latency_s=0.01)
    task_id = await start(client, variants_per_sample=50)

    async def some_done() -> bool:
        return (await data(await client.get(f"/api/status/{task_id}")))["current"] >= 4

    await until(some_done)
    assert (await client.delete(f"/api/task/{task_id}")).status_code == 200
    answer = await client.get(f"/api/status/{task_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, 2001)

    async def quiet() -> bool:
        return running.relay.in_flight == 0

    await until(quiet)
    async with running.db.read() as r:
        for table in (tasks, generated_data, task_event):
            assert await r.scalar(select(func.count()).select_from(table)) == 0


async def test_somebody_elses_task_does_not_exist(
    client: httpx.AsyncClient, running: Installation, serve: Serve
) -> None:
    task_id = await start(client)
    await ended(client, task_id)
    async with serve(STRANGER, list(HANDLERS), {"tasks": running.service}) as other:
        for method, path in (
            ("GET", f"/api/status/{task_id}"),
            ("GET", f"/api/progress/{task_id}"),
            ("POST", f"/api/stop/{task_id}"),
            ("POST", f"/api/resume/{task_id}"),
            ("DELETE", f"/api/task/{task_id}"),
        ):
            answer = await other.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, 2001), path
        assert (await data(await other.get("/api/tasks")))["items"] == []
        assert await data(await other.get("/api/active_task")) is None


async def test_tasks_are_listed_newest_first_by_pages(client: httpx.AsyncClient, running: Installation) -> None:
    del running
    made = [await start(client) for _ in range(5)]
    first = await data(await client.get("/api/tasks", params={"page_size": 2}))
    assert [item["task_id"] for item in first["items"]] == made[:2:-1]
    assert first["total"] == 5
    second = await data(await client.get("/api/tasks", params={"page_size": 2, "cursor": first["next"]}))
    assert [item["task_id"] for item in second["items"]] == made[2:0:-1]
    third = await data(await client.get("/api/tasks", params={"page": 3, "page_size": 2}))
    assert [item["task_id"] for item in third["items"]] == made[:1]
    assert "services" not in first["items"][0]
    assert (await client.get("/api/tasks", params={"status": "odd"})).status_code == 400
    for task_id in made:
        await ended(client, task_id)
    assert (await data(await client.get("/api/tasks", params={"status": "running"})))["items"] == []


async def test_the_newest_running_task_is_active_with_the_others_beside_it(
    client: httpx.AsyncClient, running: Installation
) -> None:
    assert await data(await client.get("/api/active_task")) is None
    running.relay.script = Writer(latency_s=0.05)
    first, second = await start(client), await start(client)
    active = await data(await client.get("/api/active_task"))
    assert active["task_id"] == second
    assert [other["task_id"] for other in active["others"]] == [first]
    assert "services" in active
    await ended(client, first)
    await ended(client, second)


async def test_an_administrator_sees_and_deletes_everybodys(
    client: httpx.AsyncClient, running: Installation, serve: Serve
) -> None:
    first, second = await start(client), await start(client)
    await ended(client, first)
    await ended(client, second)
    assert (await client.get("/api/admin/tasks")).status_code == 403
    async with serve(ADMIN, list(HANDLERS), {"tasks": running.service}) as admin:
        listed = await data(await admin.get("/api/admin/tasks"))
        assert [item["task_id"] for item in listed["items"]] == [second, first]
        number = listed["items"][1]["id"]
        assert (await admin.delete(f"/api/admin/tasks/{number}")).status_code == 200
        assert (await admin.delete(f"/api/admin/tasks/{second}")).status_code == 200
        assert (await admin.delete(f"/api/admin/tasks/{second}")).status_code == 404


async def test_task_types_speak_the_callers_language(quick: Installation, serve: Serve) -> None:
    async with serve(OWNER, list(HANDLERS), {"tasks": quick.service}, "zh") as client:
        (first, *_) = (await data(await client.get("/api/task_types")))["items"]
        assert {"name", "title", "input_fields", "schema", "rules", "rubric"} <= first.keys()
        assert any("一" <= char <= "鿿" for char in first["title"])


async def test_after_a_crash_a_task_without_a_living_job_gets_one(installation: Installation) -> None:
    register(installation.jobs, installation.mill)
    from tidemill.datagen.contracts import StartRequest, TaskRef  # noqa: PLC0415 - used here alone

    answer = await installation.service.start(OWNER, StartRequest(**START), "en")
    assert isinstance(answer, TaskRef)
    async with installation.db.write() as w:
        await w.run(job.update().values(state="dead"))
    await recover(installation.service)
    await installation.jobs.start()

    async def over() -> bool:
        return (await task_row(installation, answer.task_id))["status"] == "finished"

    await until(over)
    await assert_whole(installation, answer.task_id)


async def test_an_erasure_that_was_cut_short_is_ended_at_the_next_start(installation: Installation) -> None:
    register(installation.jobs, installation.mill)
    from tidemill.datagen.contracts import StartRequest, TaskRef  # noqa: PLC0415 - used here alone

    answer = await installation.service.start(OWNER, StartRequest(**START), "en")
    assert isinstance(answer, TaskRef)
    async with installation.db.write() as w:
        await w.run(tasks.update().values(status="deleted"))
    await recover(installation.service)
    async with installation.db.read() as r:
        assert await r.scalar(select(func.count()).select_from(tasks)) == 0


async def test_a_pool_of_several_models_shares_the_work(client: httpx.AsyncClient, running: Installation) -> None:
    running.relay.views = [service(1), service(2, model="mill-large"), service(3, model="mill-large")]
    writer = Writer(latency_s=0.002)

    async def script(call: Call) -> Said:
        return await writer(call)

    running.relay.script = script
    task_id = await start(client, models=[MODEL, "mill-large"], variants_per_sample=6, max_concurrent=6)
    status = await ended(client, task_id)
    assert status["models"] == [MODEL, "mill-large"]
    assert {row["generation_model"] for row in await rows_of(running, task_id)} == {MODEL, "mill-large"}
    assert sum(one["done"] for one in status["services"]) == 24
    assert note("x").content
