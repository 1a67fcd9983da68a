"""Jobs over HTTP: their owners look and cancel, administrators also change, replay and discard."""

from datetime import timedelta
from typing import Any

import pytest

from tests.operations.conftest import ANN, BOB, RELAY_KEY, ROOT, SYSTEM, Client, Desk, Serve
from tidemill.kernel import clock
from tidemill.platform.jobs import repository
from tidemill.platform.jobs.repository import Lease


async def ok(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def ids(listed: dict[str, Any]) -> list[str]:
    return [item["id"] for item in listed["items"]]


async def test_owners_see_their_own_jobs_newest_first_by_pages(desk: Desk, serve: Serve) -> None:
    mine = [await desk.enqueue() for _ in range(5)]
    foreign = await desk.enqueue(BOB.user_id)
    async with serve(ANN) as client:
        first = await ok(client, "GET", "/api/v1/jobs?page_size=3")
        second = await ok(client, "GET", f"/api/v1/jobs?page_size=3&cursor={first['next']}")
        assert ids(first) + ids(second) == list(reversed(mine))
        assert second["next"] is None
        for path in ("", "/cancel"):
            method = "POST" if path else "GET"
            refused = await ok(client, method, f"/api/v1/jobs/{foreign}{path}", status=404)
            assert refused["type"] == "urn:tidemill:job_not_found"


async def test_filters_by_status_type_and_queue(desk: Desk, serve: Serve) -> None:
    dead = await desk.lost()
    failed = await desk.lost(state="failed")
    kept = await desk.enqueue(kind="kept")
    async with serve(ANN) as client:
        assert ids(await ok(client, "GET", "/api/v1/jobs?status=dead,failed")) == [failed, dead]
        assert ids(await ok(client, "GET", "/api/v1/jobs?type=kept")) == [kept]
        assert ids(await ok(client, "GET", "/api/v1/jobs?queue=slow")) == []
        wrong = await ok(client, "GET", "/api/v1/jobs?status=dead,gone", status=400)
        assert wrong["errors"][0]["field"] == "status"
        assert (await ok(client, "GET", "/api/v1/jobs?cursor=xx", status=400))["errors"][0]["field"] == "cursor"


async def test_a_job_shows_its_history_and_its_error(desk: Desk, serve: Serve) -> None:
    job_id = await desk.lost()
    async with serve(ANN) as client:
        job = await ok(client, "GET", f"/api/v1/jobs/{job_id}")
    assert (job["status"], job["attempt"], job["max_attempts"]) == ("dead", 1, 3)
    assert job["error"] == {"code": "boom", "message": "boom happened"}
    assert [(event["seq"], event["kind"]) for event in job["events"]] == [(1, "queued"), (2, "running"), (3, "dead")]
    assert "payload" not in job


async def test_administrators_see_everything_about_any_job(desk: Desk, serve: Serve) -> None:
    job_id = await desk.enqueue(idem_key="key-1")
    claimed = await desk.claim()
    async with desk.db.write() as w:
        await repository.save(w, SYSTEM, claimed.lease, {"at": 5})
    async with serve(ROOT) as client:
        job = await ok(client, "GET", f"/api/v1/admin/jobs/{job_id}")
    assert (job["payload"], job["checkpoint"], job["idem_key"], job["worker"]) == ({"n": 1}, {"at": 5}, "key-1", "w1")
    [attempt] = job["attempts"]
    assert (attempt["number"], attempt["worker"], attempt["outcome"]) == (1, "w1", None)
    await desk.finish(claimed, "retry_wait", ("slow", "too slow"))
    async with serve(ROOT) as client:
        [attempt] = (await ok(client, "GET", f"/api/v1/admin/jobs/{job_id}"))["attempts"]
    assert (attempt["outcome"], attempt["error"]) == ("retry_wait", {"code": "slow", "message": "too slow"})


async def test_administrators_filter_by_owner_error_time_and_text(desk: Desk, serve: Serve) -> None:
    anns = await desk.lost(error="quota")
    bobs = await desk.lost(BOB.user_id, error="broken_file")
    with clock.shifted(7200):
        later = await desk.enqueue(BOB.user_id)
    soon = (clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with serve(ROOT) as client:
        for query, found in (
            ("", [later, bobs, anns]),
            ("?user_id=8", [later, bobs]),
            ("?error_code=quota", [anns]),
            (f"?to={soon}", [bobs, anns]),
            (f"?from={soon}", [later]),
            ("?q=BROKEN_", [bobs]),
            (f"?q={anns}", [anns]),
            ("?q=100%25", []),
        ):
            # The two hours ahead are told to the list as well: creation is the database's time.
            assert ids(await ok(client, "GET", f"/api/v1/admin/jobs{query}")) == found, query


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/admin/jobs"),
        ("GET", "/api/v1/admin/jobs/x"),
        ("PATCH", "/api/v1/admin/jobs/x"),
        ("POST", "/api/v1/admin/jobs/x/replay"),
        ("POST", "/api/v1/admin/jobs/replay"),
        ("POST", "/api/v1/admin/queues/default/pause"),
        ("GET", "/api/v1/admin/workers"),
        ("GET", "/api/v1/admin/schedules"),
    ],
)
async def test_only_administrators_reach_the_desk(serve: Serve, method: str, path: str) -> None:
    body: dict[str, Any] | None = None if method == "GET" else {}
    async with serve(ANN) as client:
        await ok(client, method, path, body, status=403)
    async with serve(None) as client:
        await ok(client, method, path, body, status=401)


async def test_a_key_needs_its_scope(serve: Serve) -> None:
    async with serve(RELAY_KEY) as client:
        for path in ("/api/v1/jobs", "/api/v1/schedules", "/api/v1/tasks/task_1/status"):
            assert "datagen" in (await ok(client, "GET", path, status=403))["detail"]


async def test_a_waiting_job_is_cancelled_at_once_a_running_one_is_told(desk: Desk, serve: Serve) -> None:
    waiting = await desk.enqueue()
    running = await desk.enqueue(kind="kept")
    claimed = await desk.claim("kept")
    async with serve(ANN) as client:
        assert (await ok(client, "POST", f"/api/v1/jobs/{waiting}/cancel"))["status"] == "cancelled"
        job = await ok(client, "POST", f"/api/v1/jobs/{running}/cancel")
        assert (job["status"], job["cancel_requested"]) == ("running", True)
        refused = await ok(client, "POST", f"/api/v1/jobs/{waiting}/cancel", status=409)
        assert refused["type"] == "urn:tidemill:job_not_cancellable"
    assert desk.keeper.given_up == [running]
    assert await desk.finish(claimed, "cancelled")
    entries = await desk.audited("job.cancel")
    assert [(entry.actor_id, entry.object_id) for entry in entries] == [(7, waiting), (7, running)]


async def test_payload_and_priority_change_while_a_job_does_not_run(desk: Desk, serve: Serve) -> None:
    job_id = await desk.enqueue()
    async with serve(ROOT) as client:
        job = await ok(client, "PATCH", f"/api/v1/admin/jobs/{job_id}", {"payload": {"n": 2}, "priority": 5})
        assert (job["payload"], job["priority"], job["events"][-1]["kind"]) == ({"n": 2}, 5, "edited")
        other = await desk.enqueue()
        claimed = await desk.claim()
        assert (claimed.lease.job_id, claimed.payload) == (job_id, {"n": 2})
        refused = await ok(client, "PATCH", f"/api/v1/admin/jobs/{job_id}", {"priority": 1}, status=409)
        assert refused["type"] == "urn:tidemill:job_not_editable"
        wrong = await ok(client, "PATCH", f"/api/v1/admin/jobs/{other}", {"priority": 5000}, status=400)
        assert wrong["errors"][0]["field"] == "priority"
        large = {"payload": {"text": "x" * 70_000}}
        await ok(client, "PATCH", f"/api/v1/admin/jobs/{other}", large, status=400)
        unknown = await ok(client, "PATCH", f"/api/v1/admin/jobs/{other}", {"state": "dead"}, status=400)
        assert unknown["errors"][0]["field"] == "state"
    [entry] = await desk.audited("job.change")
    assert entry.details == {"type": "work", "fields": ["payload", "priority"]}


async def test_a_dead_letter_lives_again_and_its_old_run_stays_out(desk: Desk, serve: Serve) -> None:
    job_id = await desk.enqueue()
    old = await desk.claim()
    async with desk.db.write() as w:
        await repository.save(w, SYSTEM, old.lease, {"at": 5})
    await desk.finish(old, "dead", ("boom", "boom happened"))
    async with serve(ROOT) as client:
        job = await ok(client, "POST", f"/api/v1/admin/jobs/{job_id}/replay")
        assert (job["status"], job["attempt"], job["error"], job["finished_at"]) == ("queued", 0, None, None)
        again = await ok(client, "POST", f"/api/v1/admin/jobs/{job_id}/replay", status=409)
        assert again["type"] == "urn:tidemill:job_not_replayable"
        new = await desk.claim()
        assert (new.lease.epoch, new.checkpoint, new.attempt) == (old.lease.epoch + 2, {"at": 5}, 1)
        assert not await desk.finish(old, "succeeded")
        job = await ok(client, "GET", f"/api/v1/admin/jobs/{job_id}")
        assert [event["kind"] for event in job["events"]] == ["queued", "running", "dead", "replayed", "running"]
        assert job["events"][3]["data"] == {"by": 1}
    [entry] = await desk.audited("job.replay")
    assert (entry.actor_id, entry.details["error"]) == (1, "boom")


async def test_another_payload_at_replay_drops_the_checkpoint(desk: Desk, serve: Serve) -> None:
    job_id = await desk.enqueue()
    old = await desk.claim()
    async with desk.db.write() as w:
        await repository.save(w, SYSTEM, old.lease, {"at": 5})
    await desk.finish(old, "failed", ("boom", "boom happened"))
    async with serve(ROOT) as client:
        await ok(client, "POST", f"/api/v1/admin/jobs/{job_id}/replay", {"payload": {"n": 9}})
    new = await desk.claim()
    assert (new.payload, new.checkpoint) == ({"n": 9}, None)


async def test_a_discarded_letter_is_cancelled_and_its_keeper_hears(desk: Desk, serve: Serve) -> None:
    job_id = await desk.lost(kind="kept")
    waiting = await desk.enqueue()
    async with serve(ROOT) as client:
        assert (await ok(client, "POST", f"/api/v1/admin/jobs/{job_id}/discard"))["status"] == "cancelled"
        for one in (job_id, waiting):
            refused = await ok(client, "POST", f"/api/v1/admin/jobs/{one}/discard", status=409)
            assert refused["type"] == "urn:tidemill:job_not_discardable"
    assert desk.keeper.given_up == [job_id]


async def test_many_are_counted_first_and_then_replayed(desk: Desk, serve: Serve) -> None:
    wanted = [await desk.lost(error="quota") for _ in range(3)]
    others = [await desk.lost(error="boom"), await desk.enqueue()]
    body = {"filter": {"error_code": "quota", "type": "work", "queue": "default"}}
    async with serve(ROOT) as client:
        counted = await ok(client, "POST", "/api/v1/admin/jobs/replay", body)
        assert (counted["matching"], counted["changed"]) == (3, 0)
        assert [item["status"] for item in counted["sample"]] == ["dead"] * 3
        done = await ok(client, "POST", "/api/v1/admin/jobs/replay", {**body, "dry_run": False})
        assert (done["matching"], done["changed"]) == (3, 3)
        assert {(item["id"], item["status"]) for item in done["sample"]} == {(one, "queued") for one in wanted}
        left = await ok(client, "GET", "/api/v1/admin/jobs?status=dead")
        assert ids(left) == others[:1]
    [entry] = await desk.audited("job.replay")
    assert (entry.details["count"], entry.details["first"]) == (3, sorted(wanted))


async def test_many_are_discarded_by_id_whatever_else_is_named(desk: Desk, serve: Serve) -> None:
    dead, failed, waiting = await desk.lost(), await desk.lost(state="failed"), await desk.enqueue()
    body = {"ids": [dead, failed, waiting, "no-such-job"], "dry_run": False}
    async with serve(ROOT) as client:
        done = await ok(client, "POST", "/api/v1/admin/jobs/discard", body)
        assert (done["matching"], done["changed"]) == (2, 2)
        assert ids(await ok(client, "GET", "/api/v1/admin/jobs?status=cancelled")) == [failed, dead]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": [], "filter": {}},
        {"filter": {"status": "running"}},
        {"filter": {"type": "a\x00b"}},
        {"filter": {"user_id": 2**40}},
        {"filter": {"from": "9999-12-31T23:59:59-12:00"}},
        {"ids": ["\x00"]},
    ],
)
async def test_a_batch_says_what_it_means(serve: Serve, body: dict[str, Any]) -> None:
    async with serve(ROOT) as client:
        refused = await ok(client, "POST", "/api/v1/admin/jobs/replay", body, status=400)
        assert refused["errors"]


async def test_a_large_batch_goes_in_slices(desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.operations.job_service.SLICE", 2)
    for _ in range(5):
        await desk.lost()
    async with serve(ROOT) as client:
        done = await ok(client, "POST", "/api/v1/admin/jobs/replay", {"filter": {}, "dry_run": False})
    assert done["changed"] == 5
    assert [entry.details["count"] for entry in await desk.audited("job.replay")] == [2, 2, 1]


async def test_one_address_tells_how_far_anything_has_got(desk: Desk, serve: Serve) -> None:
    job_id = await desk.enqueue()
    async with desk.db.write() as w:
        [claimed] = await repository.claim(w, SYSTEM, "w1", "work", 1)
        await repository.report(w, SYSTEM, claimed.lease, (3, 4, "nearly"))
    async with serve(ANN) as client:
        job = await ok(client, "GET", f"/api/v1/tasks/{job_id}/status")
        assert (job["task_id"], job["type"], job["status"], job["error"]) == (job_id, "work", "running", None)
        assert job["progress"] == {"current": 3, "total": 4, "percent": 75.0, "message": "nearly"}
        task = await ok(client, "GET", "/api/v1/tasks/task_1/status")
        assert (task["type"], task["progress"]["percent"]) == ("qa_pairs", 33.3)
    async with serve(BOB) as client:
        for name in (job_id, "task_1", "nothing", "a%00b"):
            assert (await ok(client, "GET", f"/api/v1/tasks/{name}/status", status=404))["title"]


@pytest.mark.parametrize("query", ["q=%00", "from=9999-12-31T23:59:59-12:00", "user_id=0", "page_size=0", "type=%00"])
async def test_what_no_database_could_look_for_is_refused(serve: Serve, query: str) -> None:
    async with serve(ROOT) as client:
        assert (await ok(client, "GET", f"/api/v1/admin/jobs?{query}", status=400))["errors"]
        await ok(client, "GET", "/api/v1/admin/jobs/a%00b", status=404)
        await ok(client, "GET", "/api/v1/admin/schedules/a%00b", status=404)


async def test_a_lost_lease_cannot_bring_back_what_was_given_up(desk: Desk) -> None:
    job_id = await desk.lost()
    await desk.jobs.discard(ROOT, ROOT.admin_scope, job_id)
    async with desk.db.write() as w:
        assert not await repository.holds(w, SYSTEM, Lease(job_id, 1, "w1"))
