"""Generated rows over HTTP: listed, mended, confirmed, judged."""

import json
from typing import Any

import httpx
import pytest

from tests.datagen.conftest import add_rows, add_task
from tests.datagen.review.conftest import As
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database

GOOD = {"question": "What is the annual fee?", "answer": "300", "evidence": "300 a year"}


async def listed(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/api/generated_data", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.fixture
async def rows(database: Database, ann: Actor) -> list[int]:
    await add_task(database, ann, "task_a")
    return await add_rows(
        database,
        ann,
        "task_a",
        [
            {"final_score": 9.0},
            {"final_score": 7.5, "status": "below_threshold"},
            {"final_score": None, "model_score": None, "status": "needs_review"},
            {"final_score": 8.25, "is_confirmed": True},
            {"final_score": 8.25, "content": {"question": "年费多少？", "answer": "100%_免"}},
        ],
    )


async def test_a_row_is_listed_with_the_seeds_columns_and_ours(
    client: httpx.AsyncClient, rows: list[int], ann: Actor
) -> None:
    page = await listed(client, page_size=1, sort="id")
    [row] = page["items"]
    assert page["total"] == 5
    assert (row["id"], row["task_id"], row["user_id"], row["item_no"]) == (rows[0], "task_a", ann.user_id, 0)
    assert json.loads(row["data_content"])["answer"] == "a0"
    assert (row["model_score"], row["rule_score"], row["final_score"], row["is_confirmed"]) == (9.0, 9, 9.0, False)
    assert (row["row_version"], row["status"], row["task_type"]) == (1, "accepted", "qa_pairs")
    assert row["lineage"]["attempts"][0]["attempt"] == 0


@pytest.mark.parametrize(
    ("params", "places"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"sort": "id"}, [0, 1, 2, 3, 4]),
        ({"sort": "-final_score"}, [0, 4, 3, 1, 2]),
        ({"sort": "final_score"}, [2, 1, 3, 4, 0]),
        ({"sort": "+created_at"}, [0, 1, 2, 3, 4]),
        ({"sort": "-created_at"}, [4, 3, 2, 1, 0]),
        ({"status": "accepted"}, [4, 3, 0]),
        ({"is_confirmed": "true"}, [3]),
        ({"is_confirmed": "false", "status": "accepted"}, [4, 0]),
        ({"min_score": "8.25"}, [4, 3, 0]),
        ({"min_score": "7", "max_score": "8"}, [1]),
        ({"q": "年费"}, [4]),
        ({"q": "100%_"}, [4]),
        ({"q": "Q3?"}, [3]),
        ({"task_id": "task_b"}, []),
        ({"task_type": "qa_pairs", "q": "a1"}, [1]),
    ],
)
async def test_filters_narrow_and_sorts_order(
    client: httpx.AsyncClient, rows: list[int], params: dict[str, str], places: list[int]
) -> None:
    found = await listed(client, **params)
    assert [item["id"] for item in found["items"]] == [rows[place] for place in places]
    assert found["total"] == len(places)


@pytest.mark.parametrize("sort", ["id", "-id", "final_score", "-final_score", "created_at", "-created_at"])
async def test_a_cursor_walks_every_row_once_in_order(client: httpx.AsyncClient, rows: list[int], sort: str) -> None:
    whole = [item["id"] for item in (await listed(client, sort=sort))["items"]]
    walked: list[int] = []
    cursor: str | None = None
    while True:
        data = await listed(client, sort=sort, page_size=2, **({"cursor": cursor} if cursor else {}))
        walked += [item["id"] for item in data["items"]]
        cursor = data["next"]
        if cursor is None:
            break
    assert walked == whole
    assert sorted(walked) == rows


async def test_an_update_is_checked_stored_and_remembered(client: httpx.AsyncClient, rows: list[int]) -> None:
    items = [{"id": rows[0], "data_content": GOOD, "row_version": 1}, {"id": rows[1], "data_content": json.dumps(GOOD)}]
    answer = await client.post("/api/generated_data/batch_update", json={"items": items})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["ok"], data["failed"], [item["row_version"] for item in data["items"]]) == (2, [], [2, 2])
    mended = (await listed(client, sort="id"))["items"][0]
    assert json.loads(mended["data_content"]) == GOOD
    assert mended["lineage"]["generated"]["answer"] == "a0"
    assert mended["lineage"]["edits"][0]["row_version"] == 2
    assert mended["lineage"]["attempts"][0]["attempt"] == 0


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("not json", "items[1].data_content"),
        ("[1]", "items[1].data_content"),
        ({"question": "only"}, "items[1].data_content"),
        ({"question": 5, "answer": "x"}, "items[1].data_content"),
    ],
)
async def test_one_bad_content_leaves_all_as_they_were(
    client: httpx.AsyncClient, rows: list[int], content: Any, field: str
) -> None:
    before = await listed(client)
    items = [{"id": rows[0], "data_content": GOOD}, {"id": rows[1], "data_content": content}]
    answer = await client.post("/api/generated_data/batch_update", json={"items": items})
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert await listed(client) == before


async def test_a_stale_version_shows_both_sides_and_changes_nothing(client: httpx.AsyncClient, rows: list[int]) -> None:
    first = {"items": [{"id": rows[0], "data_content": GOOD, "row_version": 1}]}
    assert (await client.post("/api/generated_data/batch_update", json=first)).status_code == 200
    before = await listed(client)
    mine = {**GOOD, "answer": "mine"}
    stale = {"items": [{"id": rows[1], "data_content": GOOD}, {"id": rows[0], "data_content": mine, "row_version": 1}]}
    answer = await client.post("/api/generated_data/batch_update", json=stale)
    assert (answer.status_code, answer.json()["code"]) == (409, 409)
    [side] = json.loads(answer.json()["detail"])
    assert (side["id"], side["yours"]["data_content"]["answer"]) == (rows[0], "mine")
    assert (side["current"]["row_version"], json.loads(side["current"]["data_content"])) == (2, GOOD)
    assert await listed(client) == before


async def test_rows_are_confirmed_by_id_and_by_filter(client: httpx.AsyncClient, rows: list[int]) -> None:
    by_id = await client.post("/api/generated_data/batch_confirm", json={"ids": rows[:2], "is_confirmed": True})
    assert by_id.json()["data"] == {"ok": 2, "failed": []}
    body = {"filter": {"task_id": "task_a", "is_confirmed": True}, "is_confirmed": False}
    by_filter = await client.post("/api/generated_data/batch_confirm", json=body)
    assert by_filter.json()["data"] == {"ok": 3, "failed": []}
    assert (await listed(client, is_confirmed="true"))["items"] == []


async def test_a_verdict_is_noted_and_taken_back_by_the_other_word(
    client: httpx.AsyncClient, rows: list[int], ann: Actor
) -> None:
    body = {"ids": [rows[3]], "status": "rejected", "note": "off topic"}
    assert (await client.post("/api/generated_data/batch_review", json=body)).json()["data"]["ok"] == 1
    [row] = (await listed(client, status="rejected"))["items"]
    assert (row["id"], row["reviewer_id"], row["review_note"]) == (rows[3], ann.user_id, "off topic")
    assert row["reviewed_at"] is not None
    assert row["is_confirmed"] is False
    undo = {"filter": {"status": "rejected"}, "status": "accepted"}
    assert (await client.post("/api/generated_data/batch_review", json=undo)).json()["data"]["ok"] == 1
    assert (await listed(client, status="rejected"))["items"] == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("batch_confirm", {"is_confirmed": True}, "ids"),
        ("batch_confirm", {"ids": list[int](), "is_confirmed": True}, "ids"),
        ("batch_confirm", {"filter": dict[str, str](), "is_confirmed": True}, "filter"),
        ("batch_confirm", {"ids": [1], "filter": {"q": "x"}, "is_confirmed": True}, "ids"),
        ("batch_confirm", {"ids": [1]}, "is_confirmed"),
        ("batch_review", {"ids": [1], "status": "below_threshold"}, "status"),
        ("batch_review", {"ids": [1], "status": "rejected", "note": "x" * 2001}, "note"),
        ("batch_update", {"items": list[int]()}, "items"),
        ("batch_update", {"items": [{"id": 1, "data_content": GOOD}, {"id": 1, "data_content": GOOD}]}, "items"),
    ],
)
async def test_a_bad_batch_names_its_field(client: httpx.AsyncClient, path: str, body: Any, field: str) -> None:
    answer = await client.post(f"/api/generated_data/{path}", json=body)
    assert answer.status_code == 400, answer.text
    assert field in {error["field"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    "params", [{"sort": "task"}, {"status": "fine"}, {"page": "0"}, {"cursor": "zz"}, {"min_score": "high"}]
)
async def test_a_bad_parameter_is_named(client: httpx.AsyncClient, params: dict[str, str]) -> None:
    answer = await client.get("/api/generated_data", params=params)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == next(iter(params))


async def test_a_cursor_of_another_order_is_refused(client: httpx.AsyncClient, rows: list[int]) -> None:
    assert rows
    following = (await listed(client, page_size=2, sort="id"))["next"]
    answer = await client.get("/api/generated_data", params={"sort": "-final_score", "cursor": following})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "cursor")


async def test_foreign_rows_are_not_there_and_stay_untouched(
    client: httpx.AsyncClient, client_for: As, rows: list[int], database: Database, bob: Actor
) -> None:
    await add_task(database, bob, "task_b")
    [own] = await add_rows(database, bob, "task_b", [{}])
    before = await listed(client)
    async with client_for(bob) as other:
        assert [row["id"] for row in (await listed(other))["items"]] == [own]
        assert (await listed(other, task_id="task_a"))["items"] == []
        mixed = [own, rows[0]]
        answers = [
            await other.post(
                "/api/generated_data/batch_update",
                json={"items": [{"id": row_id, "data_content": GOOD} for row_id in mixed]},
            ),
            await other.post("/api/generated_data/batch_confirm", json={"ids": mixed, "is_confirmed": True}),
            await other.post("/api/generated_data/batch_review", json={"ids": mixed, "status": "rejected"}),
        ]
        assert {answer.status_code for answer in answers} == {404}
        all_of_task_a = {"filter": {"task_id": "task_a"}, "is_confirmed": True}
        reached = await other.post("/api/generated_data/batch_confirm", json=all_of_task_a)
        assert reached.json()["data"]["ok"] == 0
        assert (await other.get("/api/generated_data/export", params={"task_id": "task_a"})).content == b""
        [mine] = (await listed(other))["items"]
        assert (mine["is_confirmed"], mine["status"], mine["row_version"]) == (False, "accepted", 1)
    assert await listed(client) == before


async def test_rows_of_a_task_that_is_being_erased_are_hidden(
    client: httpx.AsyncClient, database: Database, ann: Actor
) -> None:
    await add_task(database, ann, "task_gone", status="deleted")
    await add_rows(database, ann, "task_gone", [{}])
    assert (await listed(client))["items"] == []
