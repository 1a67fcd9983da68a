"""Reports over HTTP, from rows as the engine writes them."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from tests.datagen.conftest import Serve, add_rows, add_task, add_user
from tidemill.datagen.reports.routes import HANDLERS
from tidemill.datagen.reports.service import ReportService
from tidemill.datagen.tables import task_item_failed
from tidemill.identity.errors import UserNotFound
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, AdminScope
from tidemill.platform.db import Database


class Users:
    """Knows the users it was given."""

    def __init__(self, *known: int) -> None:
        self._known = known

    async def get(self, scope: AdminScope, user_id: int) -> object:
        assert isinstance(scope, AdminScope)
        if user_id not in self._known:
            raise UserNotFound
        return user_id


def attempt(gates: list[str], reasons: list[str], problem: str | None = None) -> dict[str, Any]:
    return {"attempt": 0, "failed_gates": gates, "reasons": reasons, "problem": problem}


@pytest.fixture
async def task_id(database: Database, ann: Actor) -> str:
    started = clock.now() - timedelta(seconds=100)
    await add_task(
        database,
        ann,
        "task_r",
        started_at=started,
        finished_at=started + timedelta(seconds=50),
        total=6,
        accepted=3,
        below_threshold=1,
        failed=1,
        retried=2,
        input_tokens=700,
        output_tokens=300,
        cost_nano=1_500_000_000,
        plan={"models": ["m1", "m2"], "min_score": 8.0, "file_version": 1},
        params=json.dumps({"min_score": 8}),
    )
    await add_rows(
        database,
        ann,
        "task_r",
        [
            {"direction": "fees", "channel": "one", "final_score": 10.0, "input_tokens": 100, "output_tokens": 50},
            {
                "direction": "fees",
                "channel": "two",
                "final_score": 8.0,
                "input_tokens": 200,
                "output_tokens": 100,
                "retry_count": 1,
                "attempts": 2,
                "is_confirmed": True,
                "lineage": json.dumps({"attempts": [attempt(["duplicate"], ["repeats"]), attempt([], [])]}),
            },
            {"direction": "limits", "channel": "one", "status": "rejected", "final_score": 8.4, "review_note": "no"},
            {
                "direction": "limits",
                "channel": "one",
                "status": "below_threshold",
                "final_score": 4.0,
                "model_score": None,
                "input_tokens": 100,
                "output_tokens": 50,
                "attempts": 3,
                "retry_count": 2,
                "lineage": json.dumps(
                    {
                        "attempts": [
                            attempt([], ["not json"], "parse"),
                            attempt([], ["accuracy: 4/10"]),
                            attempt([], ["accuracy: 5/10"]),
                        ]
                    }
                ),
            },
        ],
    )
    async with database.write() as w:
        await w.run(
            insert(task_item_failed).values(
                task_id="task_r",
                item_no=5,
                event_seq=9,
                kind="transport",
                reason="connection refused",
                attempts=1,
                channel="two",
                direction="limits",
                input_tokens=10,
                output_tokens=0,
                created_at=clock.now(),
            )
        )
    return "task_r"


@pytest.fixture
def reports(database: Database, ann: Actor) -> ReportService:
    return ReportService(database, Users(ann.user_id))


@pytest.fixture
async def client(serve: Serve, reports: ReportService, ann: Actor) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(ann, list(HANDLERS), {"reports": reports}) as opened:
        yield opened


async def test_a_report_counts_what_is_there_now(client: httpx.AsyncClient, task_id: str) -> None:
    report = (await client.get(f"/api/reports/{task_id}")).json()["data"]
    assert report["counts"] == {
        "total": 6,
        "rows": 4,
        "accepted": 2,
        "below_threshold": 1,
        "needs_review": 0,
        "rejected": 1,
        "failed": 1,
        "retried": 2,
        "confirmed": 1,
        "acceptance": 0.4,
    }
    assert (report["models"], report["min_score"], report["params"]) == (["m1", "m2"], 8.0, {"min_score": 8})
    assert (report["seconds"], report["rows_per_s"]) == (50.0, 0.08)
    assert report["tokens"] == {"input": 700, "output": 300, "per_accepted": 500.0, "wasted_share": 0.55}
    assert (report["cost"], report["cost_per_accepted"]) == ("1.5", "0.75")


async def test_histograms_put_each_score_into_its_step(client: httpx.AsyncClient, task_id: str) -> None:
    histograms = (await client.get(f"/api/reports/{task_id}")).json()["data"]["histograms"]
    final = {(step["low"], step["high"]): step["count"] for step in histograms["final"]}
    assert len(final) == 10
    assert {edges: count for edges, count in final.items() if count} == {(4, 5): 1, (8, 9): 2, (9, 10): 1}
    assert sum(step["count"] for step in histograms["model"]) == 3


async def test_groups_tell_directions_services_and_attempts_apart(client: httpx.AsyncClient, task_id: str) -> None:
    report = (await client.get(f"/api/reports/{task_id}")).json()["data"]
    directions = {group["direction"]: group for group in report["directions"]}
    fees, limits = directions["fees"], directions["limits"]
    assert (fees["rows"], fees["accepted"], fees["failed"], fees["acceptance"]) == (2, 2, 0, 1.0)
    assert (fees["final_score"], fees["input_tokens"], fees["output_tokens"]) == (9.0, 300, 150)
    assert (limits["rows"], limits["accepted"], limits["failed"], limits["input_tokens"]) == (2, 0, 1, 110)
    services = {group["channel"]: group for group in report["services"]}
    assert (services["one"]["rows"], services["two"]["rows"], services["two"]["failed"]) == (3, 1, 1)
    assert services["one"]["model"] == "m"
    attempts = {group["attempts"]: (group["rows"], group["failed"]) for group in report["attempts"]}
    assert attempts == {1: (2, 1), 2: (1, 0), 3: (1, 0)}


async def test_reasons_and_failures_are_counted_by_cause(client: httpx.AsyncClient, task_id: str) -> None:
    report = (await client.get(f"/api/reports/{task_id}")).json()["data"]
    assert {reason["code"]: reason["count"] for reason in report["reasons"]} == {
        "accuracy": 2,
        "duplicate": 1,
        "parse": 1,
    }
    assert (report["duplicates"], report["attempts_seen"]) == (1, 4)
    assert report["failures"] == [{"code": "transport", "reason": "connection refused", "count": 1}]


async def test_throughput_adds_up_to_the_rows(client: httpx.AsyncClient, task_id: str) -> None:
    slots = (await client.get(f"/api/reports/{task_id}")).json()["data"]["throughput"]
    assert sum(slot["rows"] for slot in slots) == 4
    assert sum(slot["accepted"] for slot in slots) == 2
    assert len(slots) <= 24


async def test_ten_rows_stand_for_the_whole_task(client: httpx.AsyncClient, database: Database, ann: Actor) -> None:
    await add_task(database, ann, "task_long", total=95)
    ids = await add_rows(database, ann, "task_long", [{} for _ in range(95)])
    samples = (await client.get("/api/reports/task_long")).json()["data"]["samples"]
    places = [ids.index(sample["id"]) for sample in samples]
    assert len(places) == 10
    assert all(8 <= later - earlier <= 11 for earlier, later in pairwise(places))
    assert samples[0]["data"]["question"].startswith("q")


async def test_a_task_without_rows_has_an_empty_report(
    client: httpx.AsyncClient, database: Database, ann: Actor
) -> None:
    await add_task(database, ann, "task_0", status="running", params="not json")
    report = (await client.get("/api/reports/task_0")).json()["data"]
    assert (report["counts"]["rows"], report["counts"]["acceptance"], report["cost_per_accepted"]) == (0, None, None)
    assert (report["throughput"], report["samples"], report["directions"], report["reasons"]) == ([], [], [], [])
    for format_name in ("md", "csv", "json", "rows"):
        answer = await client.get("/api/reports/task_0/download", params={"format": format_name})
        assert answer.status_code == 200


async def test_reports_are_listed_newest_first_by_cursor(
    client: httpx.AsyncClient, database: Database, ann: Actor, bob: Actor, task_id: str
) -> None:
    await add_task(database, ann, "task_s")
    await add_task(database, bob, "task_b")
    await add_task(database, ann, "task_gone", status="deleted")
    first = (await client.get("/api/reports", params={"page_size": 1})).json()["data"]
    assert ([item["task_id"] for item in first["items"]], first["total"]) == (["task_s"], 2)
    second = (await client.get("/api/reports", params={"page_size": 1, "cursor": first["next"]})).json()["data"]
    assert ([item["task_id"] for item in second["items"]], second["next"]) == ([task_id], None)
    assert second["items"][0]["counts"]["accepted"] == 2


async def test_a_report_downloads_as_json_csv_document_and_rows(client: httpx.AsyncClient, task_id: str) -> None:
    path = f"/api/reports/{task_id}/download"
    shown = (await client.get(f"/api/reports/{task_id}")).json()["data"]
    assert (await client.get(path)).json() == shown
    table = list(csv.reader(io.StringIO((await client.get(path, params={"format": "csv"})).text, newline="")))
    assert table[0] == ["section", "name", "figure", "value"]
    assert ["counts", "", "accepted", "2"] in table
    assert ["directions", "fees", "rows", "2"] in table
    document = (await client.get(path, params={"format": "md"})).text
    assert document.startswith("# Report of task task_r\n")
    assert "| accepted | 2 |" in document
    chinese = await client.get(path, params={"format": "md"}, headers={"accept-language": "zh"})
    assert "## 各方向" in chinese.text
    rows = [json.loads(line) for line in (await client.get(path, params={"format": "rows"})).text.splitlines()]
    assert [row["_meta"]["status"] for row in rows] == ["accepted", "accepted", "rejected", "below_threshold"]
    wrong = await client.get(path, params={"format": "pdf"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "format")


async def test_a_document_survives_texts_that_look_like_tables(
    client: httpx.AsyncClient, database: Database, ann: Actor
) -> None:
    await add_task(database, ann, "task_m")
    await add_rows(database, ann, "task_m", [{"content": {"q": "a|b\nc"}, "direction": "=1|2"}])
    document = (await client.get("/api/reports/task_m/download", params={"format": "md"})).text
    assert "| =1\\|2 |" in document
    table = (await client.get("/api/reports/task_m/download", params={"format": "csv"})).text
    assert "directions,'=1|2,rows,1" in table


async def test_foreign_and_deleted_tasks_have_no_report(
    serve: Serve, reports: ReportService, database: Database, ann: Actor, bob: Actor, task_id: str
) -> None:
    await add_task(database, bob, "task_gone", status="deleted")
    async with serve(bob, list(HANDLERS), {"reports": reports}) as other:
        for path in (task_id, "task_gone", "nothing"):
            for tail in ("", "/download", "/download?format=rows"):
                answer = await other.get(f"/api/reports/{path}{tail}")
                assert (answer.status_code, answer.json()["code"]) == (404, 2001)
        assert (await other.get(f"/api/admin/users/{ann.user_id}/reports")).status_code == 403


async def test_an_administrator_reads_the_reports_of_a_user(
    serve: Serve, reports: ReportService, database: Database, ann: Actor, task_id: str
) -> None:
    root = await add_user(database, "root", is_admin=True)
    async with serve(root, list(HANDLERS), {"reports": reports}) as admin:
        listed = (await admin.get(f"/api/admin/users/{ann.user_id}/reports")).json()["data"]
        assert [item["task_id"] for item in listed["items"]] == [task_id]
        path = f"/api/admin/users/{ann.user_id}/reports/{task_id}/download"
        assert (await admin.get(path)).json()["counts"]["accepted"] == 2
        unknown = await admin.get("/api/admin/users/9999/reports")
        assert (unknown.status_code, unknown.json()["code"]) == (404, 1002)
        assert (await admin.get("/api/reports")).json()["data"]["items"] == []
