"""Sample files over HTTP, the way a front end uses them."""

import io
import json
import zipfile
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from tests.datagen.conftest import add_task
from tests.datagen.samples.conftest import LIMIT, As, form, forms
from tidemill.datagen.tables import tasks
from tidemill.kernel.actor import Actor
from tidemill.platform.blobs.memory import MemoryBlobs
from tidemill.platform.db import Database

THREE = b'{"text": "one", "n": 1}\n{"text": "two"}\n{"text": "three", "tags": ["a"]}\n'


async def uploaded(client: httpx.AsyncClient, name: str = "three.jsonl", data: bytes = THREE) -> dict[str, Any]:
    body, content_type = form(name, data)
    answer = await client.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def content(client: httpx.AsyncClient, file_id: int, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/data_files/{file_id}/content", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_an_upload_is_listed_shown_and_paged(client: httpx.AsyncClient, ann: Actor) -> None:
    file = await uploaded(client)
    assert file["rows"] == 3
    assert file["columns"] == ["text", "n", "tags"]
    assert (file["encoding"], file["content_type"], file["version"]) == ("utf-8", "application/x-jsonlines", 1)
    assert (file["file_size"], file["problems"], file["problem_count"]) == (len(THREE), [], 0)
    assert (file["user_id"], file["language_hint"]) == (ann.user_id, "en")
    listed = (await client.get("/api/data_files")).json()
    assert (listed["code"], listed["data"]["items"], listed["data"]["total"]) == (200, [file], 1)
    shown = (await client.get(f"/api/data_files/{file['id']}")).json()["data"]
    assert shown == file
    page = await content(client, file["id"], page=2, page_size=2)
    assert page["items"] == [{"index": 2, "data": {"text": "three", "tags": ["a"]}}]
    assert (page["total"], page["next"]) == (3, None)


async def test_lists_go_on_by_cursor_and_look_in_names(client: httpx.AsyncClient) -> None:
    ids = [(await uploaded(client, f"file-{number}.jsonl"))["id"] for number in range(5)]
    seen: list[int] = []
    cursor: str | None = None
    while True:
        params = {"page_size": "2", **({"cursor": cursor} if cursor else {})}
        data = (await client.get("/api/data_files", params=params)).json()["data"]
        seen += [item["id"] for item in data["items"]]
        cursor = data["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    found = (await client.get("/api/data_files", params={"q": "FILE-3"})).json()["data"]
    assert [item["id"] for item in found["items"]] == [ids[3]]


async def test_rows_are_replaced_appended_and_deleted(client: httpx.AsyncClient) -> None:
    file_id = (await uploaded(client))["id"]
    path = f"/api/data_files/{file_id}/content"
    put = await client.put(f"{path}/1", json={"text": "TWO", "new": True})
    assert put.json()["data"] == {"index": 1, "data": {"text": "TWO", "new": True}}
    added = await client.post(path, json={"items": [{"text": "four"}, {"text": "five"}]})
    assert (added.json()["data"]["added"], added.json()["data"]["rows"]) == (2, 5)
    removed = await client.request("DELETE", f"{path}/batch", json={"indices": [0, 3, 3]})
    assert (removed.json()["data"]["deleted"], removed.json()["data"]["rows"]) == (2, 3)
    page = await content(client, file_id)
    assert [item["data"]["text"] for item in page["items"]] == ["TWO", "three", "five"]
    again = await client.delete(f"{path}/batch", params={"indices": "0,1"})
    assert again.json()["data"]["rows"] == 1
    shown = (await client.get(f"/api/data_files/{file_id}")).json()["data"]
    assert (shown["rows"], shown["version"], shown["columns"]) == (1, 5, ["text", "n", "tags", "new"])


async def test_downloads_give_the_file_as_it_stands(client: httpx.AsyncClient) -> None:
    file_id = (await uploaded(client, "三行.jsonl"))["id"]
    same = await client.get(f"/api/data_files/{file_id}/download")
    assert same.content == THREE
    assert same.headers["content-disposition"].endswith("filename*=UTF-8''%E4%B8%89%E8%A1%8C.jsonl")
    await client.put(f"/api/data_files/{file_id}/content/0", json={"text": 'say "hi",\nall'})
    table = await client.get(f"/api/data_files/{file_id}/download_csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text == 'text,n,tags\r\n"say ""hi"",\nall",,\r\ntwo,,\r\nthree,,"[""a""]"\r\n'
    marked = await client.get(f"/api/data_files/{file_id}/download_csv", params={"encoding": "utf-8-sig"})
    assert marked.content.startswith(b"\xef\xbb\xbftext,")


async def test_csv_rows_stay_text_through_edits(client: httpx.AsyncClient) -> None:
    file = await uploaded(client, "t.csv", '问题,答案\r\n年费,"每年,300"\r\n'.encode("gb18030"))
    assert (file["encoding"], file["columns"], file["content_type"]) == ("gb18030", ["问题", "答案"], "text/csv")
    assert file["language_hint"] == "zh"
    await client.post(f"/api/data_files/{file['id']}/content", json={"items": [{"问题": 5, "答案": None}]})
    page = await content(client, file["id"])
    assert [item["data"] for item in page["items"]] == [
        {"问题": "年费", "答案": "每年,300"},
        {"问题": "5", "答案": ""},
    ]
    assert (await client.get(f"/api/data_files/{file['id']}/download")).text == (
        '问题,答案\r\n年费,"每年,300"\r\n5,\r\n'
    )


async def test_bad_lines_are_numbered_and_the_rest_is_kept(
    client: httpx.AsyncClient, client_for: As, ann: Actor
) -> None:
    file = await uploaded(client, "mixed.jsonl", b'{"a": 1}\nnot json\n\n[1]\n{}\n{"a": "\xff"}\n{"a": 2}')
    assert (file["rows"], file["problem_count"]) == (2, 4)
    assert [problem["line"] for problem in file["problems"]] == [2, 4, 5, 6]
    assert "JSON" in file["problems"][0]["reason"]
    async with client_for(ann, "zh") as chinese:
        shown = (await chinese.get(f"/api/data_files/{file['id']}")).json()["data"]
    assert shown["problems"][1]["reason"].startswith("必须是 JSON 对象")


async def test_a_refusal_speaks_the_callers_language_in_every_part(client_for: As, ann: Actor) -> None:
    body, content_type = form("empty.jsonl", b"")
    async with client_for(ann, "zh") as chinese:
        told = await chinese.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    assert told.json()["message"].startswith("文件为空")
    assert told.json()["errors"] == [{"field": "file", "message": told.json()["message"]}]


async def test_only_the_first_hundred_problems_are_kept_and_all_are_counted(client: httpx.AsyncClient) -> None:
    file = await uploaded(client, "bad.jsonl", b'{"a": 1}\n' + b"x\n" * 250)
    assert (len(file["problems"]), file["problem_count"]) == (100, 250)


@pytest.mark.parametrize(
    ("name", "data", "hint"),
    [
        ("empty.jsonl", b"", "empty"),
        ("blank.jsonl", b"\n\n", "empty"),
        ("header.csv", b"a,b\n", "empty"),
        ("book.xlsx", b"PK\x03\x04rest", "XLSX"),
        ("data.jsonl", b'{"a":1}\x00\x01', "binary"),
        ("data.bin", b"hello there", "format"),
        ("array.json", b'[{"a": 1}]', "JSONL"),
        ("pretty.json", b'{\n "a": 1\n}\n', "JSONL"),
        ("prose.jsonl", b"once upon a time\n", "Line 1"),
        ("no-names.csv", b",,\n1,2,3\n", "name the columns"),
    ],
)
async def test_what_is_no_sample_file_is_refused_with_a_remedy(
    client: httpx.AsyncClient, blobs: MemoryBlobs, name: str, data: bytes, hint: str
) -> None:
    body, content_type = form(name, data)
    answer = await client.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    assert answer.status_code == 400
    told = answer.json()
    assert (told["code"], told["errors"][0]["field"]) == (400, "file")
    assert hint.lower() in told["message"].lower()
    assert (await client.get("/api/data_files")).json()["data"]["items"] == []
    assert await blobs.list("samples") == []


async def test_a_form_without_a_file_or_cut_short_is_refused(client: httpx.AsyncClient) -> None:
    body, content_type = forms([], {"other": "x"})
    missing = await client.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (400, "file")
    body, content_type = form("a.jsonl", THREE)
    cut = await client.post("/api/data_files/upload", content=body[:-30], headers={"content-type": content_type})
    assert cut.status_code == 400
    plain = await client.post("/api/data_files/upload", json={})
    assert plain.status_code == 400


async def test_several_files_answer_with_those_kept_and_those_refused(client: httpx.AsyncClient) -> None:
    body, content_type = forms([("files", "a.jsonl", THREE), ("files", "b.jsonl", b""), ("files", "c.csv", b"x\n1\n")])
    answer = await client.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    data = answer.json()["data"]
    assert [file["filename"] for file in data["files"]] == ["a.jsonl", "c.csv"]
    assert [(error["filename"], error["code"]) for error in data["errors"]] == [("b.jsonl", 400)]


async def test_a_file_past_the_limit_is_refused_and_the_others_are_kept(client: httpx.AsyncClient) -> None:
    large = b'{"a": "' + b"x" * LIMIT + b'"}\n'
    body, content_type = form("large.jsonl", large)
    alone = await client.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    assert (alone.status_code, alone.json()["code"]) == (413, 413)
    body, content_type = forms([("files", "large.jsonl", large), ("files", "a.jsonl", THREE)])
    both = await client.post("/api/data_files/upload", content=body, headers={"content-type": content_type})
    data = both.json()["data"]
    assert [file["filename"] for file in data["files"]] == ["a.jsonl"]
    assert data["errors"][0]["code"] == 413


async def test_search_finds_values_in_any_case_and_pages(client: httpx.AsyncClient) -> None:
    lines = [{"text": f"row {number}", "kind": "Even" if number % 2 == 0 else "odd"} for number in range(1500)]
    lines.append({"text": 'a "quoted" \u4e2d\u6587', "kind": "x"})
    data = "\n".join(json.dumps(line) for line in lines).encode()
    file_id = (await uploaded(client, "many.jsonl", data))["id"]
    page = await content(client, file_id, q="EVEN", page=2, page_size=10)
    assert [item["index"] for item in page["items"]] == list(range(20, 40, 2))
    assert page["total"] == 750
    following = await content(client, file_id, q="even", page_size=10, cursor=page["next"])
    assert [item["index"] for item in following["items"]] == list(range(40, 60, 2))
    assert [item["index"] for item in (await content(client, file_id, q="中文"))["items"]] == [1500]
    assert [item["index"] for item in (await content(client, file_id, q='"quoted"'))["items"]] == [1500]
    assert (await content(client, file_id, q="kind"))["items"] == []


async def test_others_see_nothing_of_a_file(client: httpx.AsyncClient, client_for: As, bob: Actor) -> None:
    file_id = (await uploaded(client))["id"]
    async with client_for(bob) as other:
        path = f"/api/data_files/{file_id}"
        answers = [
            await other.get(path),
            await other.get(f"{path}/download"),
            await other.get(f"{path}/download_csv"),
            await other.get(f"{path}/content"),
            await other.get(f"{path}/content", params={"q": "one"}),
            await other.put(f"{path}/content/0", json={"text": "mine"}),
            await other.post(f"{path}/content", json={"items": [{"text": "mine"}]}),
            await other.request("DELETE", f"{path}/content/batch", json={"indices": [0]}),
            await other.delete(path),
            await other.post("/api/data_files/batch_download", json={"file_ids": [file_id]}),
        ]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, 3001)}
        removed = await other.post("/api/data_files/batch_delete", json={"file_ids": [file_id]})
        assert removed.json()["data"]["ok"] == 0
        assert removed.json()["data"]["failed"][0]["code"] == 3001
        converted = await other.post(
            "/api/data_files/batch_convert", json={"file_ids": [file_id], "target_format": "csv"}
        )
        assert converted.json()["data"]["errors"][0]["code"] == 3001
        assert (await other.get("/api/data_files")).json()["data"]["items"] == []
    assert (await client.get(f"/api/data_files/{file_id}/download")).content == THREE


async def test_a_caller_without_credential_or_scope_is_turned_away(client_for: As, ann: Actor) -> None:
    async with client_for(None) as nobody:
        assert (await nobody.get("/api/data_files")).status_code == 401
    key = Actor(user_id=ann.user_id, username="ann", is_admin=False, via="key", scopes=frozenset({"relay"}), key_id="k")
    async with client_for(key) as narrow:
        assert (await narrow.get("/api/data_files")).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("PUT", "/content/3", {"a": 1}, 404, None),
        ("PUT", "/content/0", [1], 400, "body"),
        ("PUT", "/content/0", {}, 400, "data"),
        ("PUT", "/content/0?version=9", {"a": 1}, 409, None),
        ("PUT", "/content/0", {"a": "x" * (1 << 20)}, 400, "data"),
        ("POST", "/content", {"items": []}, 400, "items"),
        ("POST", "/content", {"items": [{"a": 1}, {}]}, 400, "items[1]"),
        ("POST", "/content", {}, 400, "items"),
        ("DELETE", "/content/batch", {"indices": [0, 3]}, 400, "indices"),
        ("DELETE", "/content/batch", {"indices": [-1]}, 400, "indices"),
        ("DELETE", "/content/batch", {"indices": []}, 400, "indices"),
        ("DELETE", "/content/batch", {}, 400, "indices"),
        ("DELETE", "/content/batch?indices=a", None, 400, "indices"),
        ("DELETE", "/content/batch?version=7", {"indices": [0]}, 409, None),
        ("GET", "/content?page=0", None, 400, "page"),
        ("GET", "/content?page_size=201", None, 400, "page_size"),
        ("GET", "/content?cursor=bogus", None, 400, "cursor"),
        ("GET", "/download?encoding=gbk", None, 400, "encoding"),
    ],
)
async def test_a_bad_edit_names_its_field_and_changes_nothing(
    client: httpx.AsyncClient, blobs: MemoryBlobs, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    file = await uploaded(client)
    kept = await blobs.list("samples")
    answer = await client.request(method, f"/api/data_files/{file['id']}{path}", json=body)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in {error["field"] for error in answer.json()["errors"]}
    assert (await client.get(f"/api/data_files/{file['id']}/download")).content == THREE
    assert (await client.get(f"/api/data_files/{file['id']}")).json()["data"] == file
    assert await blobs.list("samples") == kept


async def test_deleting_takes_rows_and_objects_unless_a_live_task_reads_the_file(
    client: httpx.AsyncClient, database: Database, blobs: MemoryBlobs, ann: Actor
) -> None:
    file_id = (await uploaded(client))["id"]
    await client.put(f"/api/data_files/{file_id}/content/0", json={"text": "edited"})
    await add_task(database, ann, "task_1", status="running", file_id=file_id, plan={"file_version": 1})
    refused = await client.delete(f"/api/data_files/{file_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, 409)
    assert (await client.get(f"/api/data_files/{file_id}")).status_code == 200
    async with database.write() as w:
        await w.run(update(tasks).values(status="stopped"))
    assert (await client.delete(f"/api/data_files/{file_id}")).json() == {
        "code": 200,
        "message": "success",
        "data": None,
    }
    assert (await client.get(f"/api/data_files/{file_id}")).json()["code"] == 3001
    assert await blobs.list("samples") == []


async def test_a_batch_download_is_one_archive_with_distinct_names(client: httpx.AsyncClient) -> None:
    ids = [
        (await uploaded(client))["id"],
        (await uploaded(client))["id"],
        (await uploaded(client, "t.csv", b"a\n1\n"))["id"],
    ]
    answer = await client.post("/api/data_files/batch_download", json={"file_ids": ids})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist() == ["three.jsonl", "three (2).jsonl", "t.csv"]
        assert bundle.read("three (2).jsonl") == THREE
    missing = await client.post("/api/data_files/batch_download", json={"file_ids": [*ids, 999_999]})
    assert (missing.status_code, missing.json()["code"]) == (404, 3001)


async def test_conversions_stand_beside_the_originals(client: httpx.AsyncClient) -> None:
    table = await uploaded(client, "t.csv", "\ufeffq,a\n年费,300\n".encode())
    assert table["encoding"] == "utf-8-sig"
    lines = await uploaded(client)

    async def convert(target: str) -> dict[str, Any]:
        body = {"file_ids": [table["id"], lines["id"], 999_999], "target_format": target}
        return (await client.post("/api/data_files/batch_convert", json=body)).json()["data"]

    to_lines = await convert("jsonl")
    assert [file["filename"] for file in to_lines["files"]] == ["t.jsonl"]
    assert [(error["id"], error["code"]) for error in to_lines["errors"]] == [(lines["id"], 400), (999_999, 3001)]
    made = to_lines["files"][0]
    download = await client.get(f"/api/data_files/{made['id']}/download")
    assert download.text == '{"q":"年费","a":"300"}\n'
    assert (made["file_size"], made["content_type"]) == (len(download.content), "application/x-jsonlines")
    to_csv = await convert("csv")
    made = to_csv["files"][0]
    assert (made["filename"], made["columns"], made["rows"]) == ("three.csv", ["text", "n", "tags"], 3)
    download = await client.get(f"/api/data_files/{made['id']}/download")
    assert made["file_size"] == len(download.content)
    to_utf8 = await convert("utf-8")
    made = to_utf8["files"][0]
    assert (made["filename"], made["encoding"]) == ("t.csv", "utf-8")
    assert (await client.get(f"/api/data_files/{table['id']}/download")).content.startswith(b"\xef\xbb\xbf")
    assert (await client.get(f"/api/data_files/{made['id']}/download")).content == "q,a\r\n年费,300\r\n".encode()
    wrong = await client.post("/api/data_files/batch_convert", json={"file_ids": [1], "target_format": "xlsx"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "target_format")


async def test_convert_files_answers_the_file_and_keeps_it_only_when_asked(
    client: httpx.AsyncClient, blobs: MemoryBlobs
) -> None:
    body, content_type = forms([("file", "t.csv", b"q,a\n1,2\n")], {"target_format": "jsonl"})
    once = await client.post("/api/convert_files", content=body, headers={"content-type": content_type})
    assert (once.status_code, once.text) == (200, '{"q":"1","a":"2"}\n')
    assert "t.jsonl" in once.headers["content-disposition"]
    assert await blobs.list("samples") == []
    body, content_type = forms([("file", "t.csv", b"q,a\n1,2\n")], {"target_format": "jsonl", "save": "true"})
    kept = await client.post("/api/convert_files", content=body, headers={"content-type": content_type})
    assert kept.text == once.text
    listed = (await client.get("/api/data_files")).json()["data"]["items"]
    assert [(file["filename"], str(file["id"])) for file in listed] == [("t.jsonl", kept.headers["x-file-ids"])]
    assert len(await blobs.list("samples")) == 1
    several, content_type = forms(
        [("files", "t.csv", b"q\n1\n"), ("files", "empty.csv", b""), ("files", "l.csv", b"q\n2\n")]
    )
    bundle = await client.post(
        "/api/convert_files?target_format=jsonl", content=several, headers={"content-type": content_type}
    )
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as opened:
        assert opened.namelist() == ["t.jsonl", "l.jsonl", "errors.json"]
        assert json.loads(opened.read("errors.json"))[0]["filename"] == "empty.csv"
    same, content_type = forms([("file", "l.jsonl", THREE)], {"target_format": "jsonl"})
    refused = await client.post("/api/convert_files", content=same, headers={"content-type": content_type})
    assert (refused.status_code, refused.json()["code"]) == (400, 400)
    assert len(await blobs.list("samples")) == 1
