"""Schedules over HTTP: made, checked, changed, fired; their owners' and the program's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.operations.conftest import ANN, BOB, ROOT, SYSTEM, Client, Desk, Serve
from tidemill.kernel import clock
from tidemill.operations.erasure import OperationsEraser
from tidemill.platform.jobs.scheduler import Scheduler

MINE = "/api/v1/schedules"
ALL = "/api/v1/admin/schedules"
NIGHTLY: dict[str, Any] = {"name": "nightly", "type": "work", "payload": {"n": 1}, "cron": "0 3 * * *"}


async def ok(client: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def names(listed: dict[str, Any]) -> list[str]:
    return [item["name"] for item in listed["items"]]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_schedule_is_made_with_its_next_five_firings(desk: Desk, serve: Serve) -> None:
    async with serve(ANN) as client:
        made = await ok(client, "POST", MINE, {**NIGHTLY, "timezone": "Asia/Shanghai"}, status=201)
        assert await ok(client, "GET", f"{MINE}/{made['id']}") == made
    assert (made["user_id"], made["misfire"], made["enabled"], made["last_job_id"]) == (7, "once", True, None)
    assert len(made["next"]) == 5
    assert made["next"][0] == made["next_run_at"]
    assert {(moment(at).astimezone(UTC).hour, moment(at).minute) for at in made["next"]} == {(19, 0)}
    [entry] = await desk.audited("schedule.create")
    assert (entry.actor_id, entry.object_id) == (7, made["id"])


async def test_firings_are_told_before_there_is_a_schedule(serve: Serve) -> None:
    async with serve(ANN) as client:
        asked = {"cron": "0 3 * * *", "timezone": "Asia/Shanghai"}
        told = (await client.get("/api/v1/schedule-firings", params=asked)).json()["next"]
        made = await ok(client, "POST", MINE, {**NIGHTLY, "timezone": "Asia/Shanghai"}, status=201)
        assert told == made["next"]
        once = await ok(client, "GET", "/api/v1/schedule-firings?run_at=2050-01-01T08:00:00%2B08:00")
        assert [moment(at) for at in once["next"]] == [datetime(2050, 1, 1, tzinfo=UTC)]
        refused = await client.get("/api/v1/schedule-firings", params={"cron": "61 * * * *"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "cron"), refused.text
        assert (await client.get("/api/v1/schedule-firings")).status_code == 400


@pytest.mark.parametrize(
    ("change", "field", "word"),
    [
        ({"cron": "61 * * * *"}, "cron", "Bad minute"),
        ({"cron": "* * * * * *"}, "cron", "fields"),
        ({"cron": ""}, "cron", "fields"),
        ({"cron": "0 0 30 2 *"}, "cron", "day-of-month"),
        ({"cron": None}, "cron", "run_at"),
        ({"run_at": "2999-01-01T00:00:00Z"}, "cron", "run_at"),
        ({"cron": None, "run_at": "2001-01-01T00:00:00Z"}, "run_at", "ahead"),
        ({"cron": None, "run_at": "2999-01-01T00:00:00"}, "run_at", "zone"),
        ({"cron": None, "run_at": "9999-12-31T23:59:59-12:00"}, "run_at", "50 years"),
        ({"timezone": "a\x00b"}, "timezone", "time zone"),
        ({"name": "a\x00b"}, "name", "blank"),
        ({"timezone": "Mars/Olympus"}, "timezone", "Mars/Olympus"),
        ({"timezone": "../../etc/passwd"}, "timezone", "time zone"),
        ({"name": "  "}, "name", "blank"),
        ({"name": "x" * 201}, "name", "200"),
        ({"type": "own.sweep"}, "type", "work"),
        ({"payload": {}}, "payload.n", "must be a number, ann"),
        ({"misfire": "twice"}, "misfire", "twice"),
        ({"often": True}, "often", "often"),
    ],
)
async def test_what_cannot_be_scheduled_is_named(serve: Serve, change: Any, field: str, word: str) -> None:
    async with serve(ANN) as client:
        refused = await ok(client, "POST", MINE, {**NIGHTLY, **change}, status=400)
        assert refused["errors"][0]["field"] == field
        assert word in refused["errors"][0]["message"]
        assert (await ok(client, "GET", MINE))["items"] == []


async def test_refusals_speak_the_callers_language(serve: Serve) -> None:
    async with serve(ANN, "zh") as client:
        refused = await ok(client, "POST", MINE, {**NIGHTLY, "cron": "x"}, status=400)
    assert "定时任务有误" in refused["title"]
    assert "五段" in refused["errors"][0]["message"]


async def test_a_user_has_a_name_once_and_a_hundred_schedules_at_most(desk: Desk, serve: Serve) -> None:
    async with serve(ANN) as client:
        await ok(client, "POST", MINE, NIGHTLY, status=201)
        taken = await ok(client, "POST", MINE, NIGHTLY, status=409)
        assert taken["type"] == "urn:tidemill:schedule_name_taken"
        for number in range(99):
            await ok(client, "POST", MINE, {**NIGHTLY, "name": f"n{number}"}, status=201)
        full = await ok(client, "POST", MINE, {**NIGHTLY, "name": "one more"}, status=409)
        assert full["type"] == "urn:tidemill:too_many_schedules"
        renamed = (await ok(client, "GET", f"{MINE}?page_size=1"))["items"][0]["id"]
        await ok(client, "PATCH", f"{MINE}/{renamed}", {"name": "nightly"}, status=409)
    async with serve(BOB) as client:
        await ok(client, "POST", MINE, NIGHTLY, status=201)
    assert len(await desk.audited("schedule.create")) == 101


async def test_others_schedules_are_not_there(serve: Serve) -> None:
    async with serve(ANN) as client:
        made = await ok(client, "POST", MINE, NIGHTLY, status=201)
    async with serve(BOB) as client:
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/run")):
            body: dict[str, Any] | None = {} if method == "PATCH" else None
            await ok(client, method, f"{MINE}/{made['id']}{path}", body, status=404)
        assert (await ok(client, "GET", MINE))["items"] == []
    async with serve(ROOT) as client:
        assert names(await ok(client, "GET", f"{ALL}?user_id=7")) == ["nightly"]


async def test_changes_count_from_now(desk: Desk, serve: Serve) -> None:
    async with serve(ANN) as client:
        made = await ok(client, "POST", MINE, NIGHTLY, status=201)
        one = f"{MINE}/{made['id']}"
        off = await ok(client, "PATCH", one, {"enabled": False})
        assert (off["next_run_at"], off["next"], off["cron"]) == (None, [], "0 3 * * *")
        at = (clock.now() + timedelta(days=2)).replace(microsecond=0)
        once = await ok(client, "PATCH", one, {"run_at": at.isoformat(), "enabled": True})
        assert (once["cron"], moment(once["next_run_at"]), len(once["next"])) == (None, at, 1)
        back = await ok(client, "PATCH", one, {"cron": "*/5 * * * *", "payload": {"n": 2}, "misfire": "all"})
        assert (back["run_at"], back["payload"], back["misfire"]) == (None, {"n": 2}, "all")
        assert await ok(client, "PATCH", one, {}) == back
        wrongs: list[dict[str, Any]] = [{"cron": None}, {"payload": {}}, {"cron": "0 3 * *"}]
        for wrong in wrongs:
            await ok(client, "PATCH", one, wrong, status=400)
        await ok(client, "DELETE", one, status=204)
        await ok(client, "GET", one, status=404)
    assert [entry.details["fields"] for entry in await desk.audited("schedule.change")] == [
        ["enabled"],
        ["enabled", "run_at"],
        ["cron", "misfire", "payload"],
    ]
    assert len(await desk.audited("schedule.delete")) == 1


async def test_firing_by_hand_makes_a_job_of_the_owner(desk: Desk, serve: Serve) -> None:
    async with serve(ANN) as client:
        made = await ok(client, "POST", MINE, {**NIGHTLY, "enabled": False}, status=201)
    async with serve(ROOT) as client:
        fired = await ok(client, "POST", f"{ALL}/{made['id']}/run")
        job = await ok(client, "GET", f"/api/v1/admin/jobs/{fired['job_id']}")
        assert (job["user_id"], job["type"], job["payload"], job["schedule_id"]) == (7, "work", {"n": 1}, made["id"])
        assert (await ok(client, "GET", f"{ALL}/{made['id']}"))["last_job_id"] == fired["job_id"]
    [entry] = await desk.audited("schedule.run")
    assert entry.details["job_id"] == fired["job_id"]


async def test_the_programs_own_schedules_are_retimed_and_never_lost(desk: Desk, serve: Serve) -> None:
    await desk.schedules.ensure()
    async with serve(ROOT) as client:
        [own] = (await ok(client, "GET", ALL))["items"]
        one = f"{ALL}/{own['id']}"
        assert (own["name"], own["user_id"], own["cron"]) == ("own.sweep", None, "17 3 * * *")
        for change in ({"name": "other"}, {"payload": {"n": 1}}):
            assert "own.sweep" in (await ok(client, "PATCH", one, change, status=409))["title"]
        await ok(client, "DELETE", one, status=409)
        await ok(client, "PATCH", one, {"cron": "0 5 * * 0", "enabled": False})
        await desk.schedules.ensure()
        [same] = (await ok(client, "GET", ALL))["items"]
        assert (same["id"], same["cron"], same["enabled"]) == (own["id"], "0 5 * * 0", False)
        second = await ok(client, "POST", ALL, {"name": "again", "type": "own.sweep", "cron": "0 6 * * *"}, status=201)
        await ok(client, "DELETE", f"{ALL}/{second['id']}", status=204)
    async with serve(ANN) as client:
        await ok(client, "GET", f"{MINE}/{own['id']}", status=404)


async def test_an_administrator_schedules_for_a_user(desk: Desk, serve: Serve) -> None:
    async with serve(ROOT) as client:
        made = await ok(client, "POST", ALL, {**NIGHTLY, "user_id": 8}, status=201)
        assert made["user_id"] == 8
        del desk.owners.known[8]
        for change in ({"user_id": 8, "name": "n2"}, {"user_id": 99}):
            refused = await ok(client, "POST", ALL, {**NIGHTLY, **change}, status=400)
            assert refused["errors"][0]["field"] == "user_id"
        await ok(client, "PATCH", f"{ALL}/{made['id']}", {"payload": {"n": 3}}, status=400)
        await ok(client, "PATCH", f"{ALL}/{made['id']}", {"enabled": False})
        refused = await ok(client, "POST", ALL, {**NIGHTLY, "type": "work"}, status=400)
        assert refused["errors"][0]["field"] == "type"


async def test_a_schedule_fires_by_itself_and_says_which_job_it_made(desk: Desk, serve: Serve) -> None:
    async with serve(ANN) as client:
        made = await ok(client, "POST", MINE, {**NIGHTLY, "cron": "* * * * *"}, status=201)
        with clock.shifted((moment(made["next_run_at"]) - clock.now()).total_seconds() + 1):
            assert await Scheduler(desk.db, desk.engine).tick() == 1
            seen = await ok(client, "GET", f"{MINE}/{made['id']}")
        [job] = (await ok(client, "GET", "/api/v1/jobs"))["items"]
    assert (job["schedule_id"], job["id"]) == (made["id"], seen["last_job_id"])
    assert moment(seen["next_run_at"]) - moment(made["next_run_at"]) == timedelta(minutes=1)


async def test_a_deleted_users_schedules_and_jobs_go_too(desk: Desk, serve: Serve) -> None:
    async with serve(ANN) as client:
        await ok(client, "POST", MINE, NIGHTLY, status=201)
        await desk.lost()
        running = await desk.enqueue(kind="kept")
        await desk.claim("kept")
        others = await desk.enqueue(BOB.user_id)
        async with desk.db.write() as w:
            await OperationsEraser().erase(w, SYSTEM, ANN.user_id)
        assert (await ok(client, "GET", MINE))["items"] == []
    async with serve(ROOT) as client:
        left = await ok(client, "GET", "/api/v1/admin/jobs")
        assert {item["id"] for item in left["items"]} == {running, others}
