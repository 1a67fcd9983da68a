"""Exports: every format, streamed in slices."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from tests.datagen.conftest import add_rows, add_task
from tidemill.datagen.review import export as exporting
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database

TALK = {"messages": [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "q1"},
    {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "q2"},
    {"role": "assistant", "content": "a2"},
]}  # fmt: skip


async def exported(client: httpx.AsyncClient, **params: Any) -> httpx.Response:
    answer = await client.get("/api/generated_data/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
async def rows(database: Database, ann: Actor) -> list[int]:
    await add_task(database, ann, "task_a")
    return await add_rows(
        database,
        ann,
        "task_a",
        [
            {"content": {"question": "年费？", "answer": "300"}, "is_confirmed": True},
            {"content": {"question": "=1+1", "answer": 'say "hi"\nnow', "tags": ["x"]}, "model_score": None},
            {"content": {"question": "low", "answer": "no"}, "status": "below_threshold", "final_score": 2.0},
        ],
    )


async def test_jsonl_gives_accepted_contents_one_a_line(client: httpx.AsyncClient, rows: list[int]) -> None:
    assert rows
    answer = await exported(client, task_id="task_a")
    assert "task_a.jsonl" in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["question"] for line in lines] == ["年费？", "=1+1"]
    assert lines[1] == {"question": "=1+1", "answer": 'say "hi"\nnow', "tags": ["x"]}


async def test_filters_narrow_an_export(client: httpx.AsyncClient, rows: list[int]) -> None:
    assert rows
    counts = {
        "confirmed": len((await exported(client, confirmed="true")).text.splitlines()),
        "all": len((await exported(client, status="all")).text.splitlines()),
        "low": len((await exported(client, status="below_threshold")).text.splitlines()),
        "score": len((await exported(client, status="all", max_score="5")).text.splitlines()),
        "none": len((await exported(client, task_id="task_z")).text.splitlines()),
    }
    assert counts == {"confirmed": 1, "all": 3, "low": 1, "score": 1, "none": 0}


async def test_meta_adds_what_is_known_of_a_row(client: httpx.AsyncClient, rows: list[int]) -> None:
    [first, _] = [json.loads(line) for line in (await exported(client, meta="1")).text.splitlines()]
    assert first["question"] == "年费？"
    assert (first["_meta"]["id"], first["_meta"]["final_score"]) == (rows[0], 9.0)
    assert first["_meta"]["lineage"]["attempts"]


async def test_csv_holds_the_datas_columns_then_the_figures(client: httpx.AsyncClient, rows: list[int]) -> None:
    answer = await exported(client, format="csv")
    table = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert table[0] == [
        "question", "answer", "tags", "_id", "_task_id", "_model_score", "_rule_score", "_final_score",
    ]  # fmt: skip
    assert table[1] == ["年费？", "300", "", str(rows[0]), "task_a", "9.0", "9", "9.0"]
    assert table[2][:3] == ["'=1+1", 'say "hi"\nnow', '["x"]']
    assert table[2][5] == ""
    raw = await exported(client, format="csv", raw="1", encoding="utf-8-sig")
    assert raw.content.startswith(b"\xef\xbb\xbfquestion")
    assert "\r\n=1+1," in raw.text


async def test_json_is_one_array_even_without_rows(client: httpx.AsyncClient, rows: list[int]) -> None:
    assert rows
    assert [row["answer"] for row in (await exported(client, format="json")).json()] == ["300", 'say "hi"\nnow']
    assert (await exported(client, format="json", task_id="task_z")).json() == []


async def test_slices_join_without_seams(
    client: httpx.AsyncClient, database: Database, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_task(database, ann, "task_long")
    await add_rows(database, ann, "task_long", [{} for _ in range(7)])
    monkeypatch.setattr(exporting, "SLICE_ROWS", 3)
    names = [f"q{number}?" for number in range(7)]
    lines = (await exported(client)).text.splitlines()
    assert [json.loads(line)["question"] for line in lines] == names
    assert [row["question"] for row in (await exported(client, format="json")).json()] == names
    table = csv.reader(io.StringIO((await exported(client, format="csv")).text, newline=""))
    assert [record[0] for record in table] == ["question", *names]


@pytest.mark.parametrize(
    ("content", "format_name", "expected"),
    [
        (
            {"question": "q", "answer": "a"},
            "openai",
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        ),
        ({"question": "q", "answer": "a"}, "alpaca", {"instruction": "q", "input": "", "output": "a"}),
        (
            {"text": "很好吃", "label": "好评"},
            "alpaca",
            {"instruction": "判断下面文本的类别，只回答类别名称。", "input": "很好吃", "output": "好评"},
        ),
        (
            {"text": "Ann left", "entities": [{"type": "person", "value": "Ann", "start": 0, "end": 3}]},
            "sharegpt",
            {
                "conversations": [
                    {
                        "from": "human",
                        "value": "Extract the entities of the following text as a JSON array of objects with type, "
                        "value, start and end.\n\nAnn left",
                    },
                    {"from": "gpt", "value": '[{"type":"person","value":"Ann","start":0,"end":3}]'},
                ]
            },
        ),
        (TALK, "openai", TALK),
        (
            TALK,
            "sharegpt",
            {
                "conversations": [
                    {"from": "human", "value": "q1"},
                    {"from": "gpt", "value": "a1"},
                    {"from": "human", "value": "q2"},
                    {"from": "gpt", "value": "a2"},
                ],
                "system": "be brief",
            },
        ),
        (
            TALK,
            "alpaca",
            {"instruction": "q2", "input": "", "output": "a2", "system": "be brief", "history": [["q1", "a1"]]},
        ),
        (
            {"instruction": "sum", "input": "1 2", "output": "3"},
            "alpaca",
            {"instruction": "sum", "input": "1 2", "output": "3"},
        ),
    ],
)
async def test_training_formats_take_what_a_row_holds(
    client: httpx.AsyncClient, database: Database, ann: Actor, content: Any, format_name: str, expected: Any
) -> None:
    await add_task(database, ann, "task_f")
    await add_rows(database, ann, "task_f", [{"content": content}])
    answer = await exported(client, format=format_name)
    records = [json.loads(answer.text)] if format_name == "openai" else answer.json()
    assert records == [expected]


@pytest.mark.parametrize("asked", ["xlsx", "parquet", "yaml"])
async def test_a_format_we_do_not_have_names_those_we_do(client: httpx.AsyncClient, asked: str) -> None:
    answer = await client.get("/api/generated_data/export", params={"format": asked})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "format")
    assert "jsonl, csv, json, alpaca, sharegpt, openai" in answer.json()["message"]


async def test_rows_that_are_no_conversation_are_refused_by_type(
    client: httpx.AsyncClient, database: Database, ann: Actor
) -> None:
    await add_task(database, ann, "task_o")
    await add_rows(database, ann, "task_o", [{"content": {"sql": "select 1"}, "task_type": "nl2sql"}])
    answer = await client.get("/api/generated_data/export", params={"format": "alpaca"})
    assert answer.status_code == 400
    assert "nl2sql" in answer.json()["message"]
