"""Queues and workers over HTTP."""

from typing import Any

from tests.operations.conftest import BOB, LEASE_S, ROOT, SYSTEM, Client, Desk, Serve
from tidemill.kernel import clock
from tidemill.platform.jobs import repository, repository_workers
from tidemill.platform.jobs.engine import QUEUES_BELL

DEFAULT = "/api/v1/admin/queues/default"


async def ok(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_every_queue_of_a_type_is_there_with_its_figures(desk: Desk, serve: Serve) -> None:
    await desk.enqueue()
    running = await desk.claim()
    await desk.lost()
    await desk.lost(state="failed")
    await desk.enqueue()
    async with serve(ROOT) as client:
        listed = await ok(client, "GET", "/api/v1/admin/queues")
        assert [queue["name"] for queue in listed["items"]] == ["default", "slow"]
        default = await ok(client, "GET", DEFAULT)
    assert default == listed["items"][0] | {"oldest_s": default["oldest_s"]}
    counts = {name: default[name] for name in ("waiting", "retry_wait", "running", "dead", "failed")}
    assert counts == {"waiting": 1, "retry_wait": 0, "running": 1, "dead": 1, "failed": 1}
    assert (default["types"], default["tickets"], default["paused"]) == (["kept", "work"], None, False)
    assert default["rate_per_s"] == round(2 / 60, 3)
    assert (default["max_length"], default["max_per_user"], default["concurrency"]) == (100_000, 10_000, None)
    assert await desk.finish(running, "succeeded")


async def test_how_long_the_oldest_has_been_due(desk: Desk, serve: Serve) -> None:
    await desk.enqueue()
    with clock.shifted(90):
        async with serve(ROOT) as client:
            assert 90 <= (await ok(client, "GET", DEFAULT))["oldest_s"] < 100


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(desk: Desk, serve: Serve) -> None:
    await desk.enqueue()
    rung: list[str] = []
    desk.db.subscribe(QUEUES_BELL, lambda: rung.append("rung"))
    async with serve(ROOT) as client:
        assert (await ok(client, "POST", f"{DEFAULT}/pause"))["paused"] is True
        assert rung
        async with desk.db.read() as r:
            assert not await repository.has_due(r, SYSTEM, ["work"])
        assert (await ok(client, "POST", f"{DEFAULT}/resume"))["paused"] is False
        async with desk.db.read() as r:
            assert await repository.has_due(r, SYSTEM, ["work"])
    assert [entry.object_id for entry in await desk.audited("queue.pause")] == ["default"]
    assert [entry.object_id for entry in await desk.audited("queue.resume")] == ["default"]


async def test_bounds_hold_and_null_takes_them_back(desk: Desk, serve: Serve) -> None:
    async with serve(ROOT) as client:
        changed = await ok(client, "PATCH", DEFAULT, {"max_length": 5, "max_per_user": 1, "concurrency": 2})
        assert (changed["max_length"], changed["max_per_user"], changed["concurrency"]) == (5, 1, 2)
        again = await ok(client, "PATCH", DEFAULT, {"max_length": None})
        assert (again["max_length"], again["max_per_user"], again["concurrency"]) == (100_000, 1, 2)
        wrong = await ok(client, "PATCH", DEFAULT, {"concurrency": 0, "max_length": -1}, status=400)
        assert {problem["field"] for problem in wrong["errors"]} == {"concurrency", "max_length"}
    [first, second] = await desk.audited("queue.change")
    assert first.details["after"] == {"max_length": 5, "max_per_user": 1, "concurrency": 2}
    assert (second.details["before"], second.details["after"]) == ({"max_length": 5}, {"max_length": None})


async def test_an_unknown_queue_is_not_made_by_naming_it(serve: Serve) -> None:
    async with serve(ROOT) as client:
        for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/pause")):
            body: dict[str, Any] | None = None if method == "GET" else {}
            refused = await ok(client, method, f"/api/v1/admin/queues/nowhere{path}", body, status=404)
            assert "default, slow" in refused["title"]


async def test_workers_show_what_they_hold_and_whether_they_live(desk: Desk, serve: Serve) -> None:
    facts: dict[str, Any] = {
        "host": "mill-1",
        "node": "n",
        "pid": 42,
        "version": "0.1.0",
        "roles": ["worker"],
        "types": ["work"],
        "capacity": 16,
        "running": 1,
        "draining": False,
        "transport": {"name": "local", "state": "up", "since": "2026-01-01T00:00:00Z", "reconnects": 3},
    }
    async with desk.db.write() as w:
        await repository_workers.beat(w, SYSTEM, {**facts, "id": "w1"})
    await desk.enqueue(BOB.user_id)
    claimed = await desk.claim(owner="w1")
    async with serve(ROOT) as client:
        [worker] = (await ok(client, "GET", "/api/v1/admin/workers"))["items"]
        assert (worker["alive"], worker["draining"], worker["capacity"]) == (True, False, 16)
        assert worker["heartbeat_age_s"] < 10
        assert (worker["transport"]["name"], worker["transport"]["reconnects"]) == ("local", 3)
        assert [(held["id"], held["type"]) for held in worker["jobs"]] == [(claimed.lease.job_id, "work")]
        with clock.shifted(LEASE_S + 1):
            [worker] = (await ok(client, "GET", "/api/v1/admin/workers"))["items"]
            assert worker["alive"] is False
