"""Edits against a plain list: whatever is done to a file, it reads like the list, and so does every version before."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.datagen.conftest import add_task, in_parts
from tests.datagen.samples.conftest import form, put_file, rows_of
from tidemill.datagen.samples import chunks, repository
from tidemill.datagen.samples.editing import PRUNE_AFTER_S
from tidemill.datagen.samples.errors import FileChanged, FileNotFound
from tidemill.datagen.samples.service import SampleFiles
from tidemill.datagen.samples.tables import data_file_chunk, data_files
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, SystemReason, SystemScope
from tidemill.kernel.pages import PageRequest
from tidemill.platform.blobs.memory import MemoryBlobs
from tidemill.platform.db import Database

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)
ROW = st.dictionaries(st.sampled_from(["a", "b", "文"]), TEXT | st.integers() | st.none(), min_size=1)
STEP = st.one_of(
    st.tuples(st.just("replace"), st.integers(0, 200), ROW),
    st.tuples(st.just("append"), st.lists(ROW, min_size=1, max_size=9), st.none()),
    st.tuples(st.just("delete"), st.sets(st.integers(0, 200), min_size=1, max_size=12), st.none()),
)


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 4)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 120)
    monkeypatch.setattr(repository, "SHELF_SLOTS", 8)


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"n": number} for number in range(count)]


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f'{{"n": {row["n"]}}}\n' for row in rows).encode()


@pytest.mark.usefixtures("tiny_chunks")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(start=st.integers(1, 30), steps=st.lists(STEP, min_size=1, max_size=8))
async def test_any_sequence_of_edits_reads_like_a_list(
    sample_files: SampleFiles, database: Database, ann: Actor, start: int, steps: list[tuple[str, Any, Any]]
) -> None:
    model = numbered(start)
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(model))
    history = {file.version: list(model)}
    for kind, what, row in steps:
        if kind == "replace" and model:
            place = what % len(model)
            await sample_files.edits.replace(ann.scope, file.id, place, row)
            model[place] = row
        elif kind == "append":
            changed = await sample_files.edits.append(ann.scope, file.id, what)
            model += what
            assert changed.rows == len(model)
        elif kind == "delete" and model:
            gone = {place % len(model) for place in what}
            changed = await sample_files.edits.delete(ann.scope, file.id, sorted(gone))
            model = [kept for place, kept in enumerate(model) if place not in gone]
            assert (changed.rows, changed.deleted) == (len(model), len(gone))
        else:
            continue
        shown = await sample_files.get(ann.scope, file.id, "en")
        assert shown.rows == len(model)
        history[shown.version] = list(model)
        place = start % (len(model) + 1)
        page = PageRequest(page=place // 3 + 1, page_size=3)
        content = (await sample_files.content(ann.scope, file.id, page, None)).items
        expected = list(enumerate(model))[page.offset : page.offset + 3]
        assert [(item.index, item.data) for item in content] == expected
    for version, rows in history.items():
        assert await rows_of(sample_files, ann, file.id, version) == rows
        middle = len(rows) // 2
        assert await sample_files.reader.rows(ann.scope, file.id, version, middle, 5) == rows[middle : middle + 5]
    async with database.read() as r:
        alive = await r.all(
            select(data_file_chunk.c.ord, data_file_chunk.c.rows)
            .where(data_file_chunk.c.file_id == file.id, data_file_chunk.c.dead_version.is_(None))
            .order_by(data_file_chunk.c.ord)
        )
        next_slot = await r.scalar(select(data_files.c.next_slot).where(data_files.c.id == file.id))
    ends = [0, *(chunk["ord"] + chunk["rows"] for chunk in alive)]
    assert all(chunk["ord"] >= end for chunk, end in zip(alive, ends, strict=False))
    assert ends[-1] <= next_slot


@pytest.mark.usefixtures("tiny_chunks")
async def test_deleting_row_by_row_leaves_few_chunks(sample_files: SampleFiles, database: Database, ann: Actor) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(64)))
    await sample_files.edits.delete(ann.scope, file.id, list(range(0, 64, 2)))
    await sample_files.edits.delete(ann.scope, file.id, list(range(0, 32, 2)))
    assert await rows_of(sample_files, ann, file.id) == [{"n": number} for number in range(3, 64, 4)]
    async with database.read() as r:
        alive = select(func.count()).where(
            data_file_chunk.c.file_id == file.id, data_file_chunk.c.dead_version.is_(None)
        )
        assert await r.scalar(alive) == 4


async def test_a_task_goes_on_reading_the_version_that_stood_at_its_start(
    sample_files: SampleFiles, database: Database, ann: Actor, blobs: MemoryBlobs
) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(10)))
    async with database.write() as w:
        facts = await sample_files.reader.facts(w, ann.scope, file.id, hold=True)
    assert (facts.rows, facts.columns, facts.version, facts.language_hint) == (10, ["n"], 1, None)
    await add_task(database, ann, "task_v", status="stopped", file_id=file.id, plan={"file_version": facts.version})
    system = SystemScope(SystemReason.GENERATION)
    await sample_files.edits.replace(ann.scope, file.id, 0, {"n": 100})
    await sample_files.edits.replace(ann.scope, file.id, 0, {"n": 200})
    with clock.shifted(PRUNE_AFTER_S + 1):
        await sample_files.edits.replace(ann.scope, file.id, 0, {"n": 300})
    assert await sample_files.reader.rows(system, file.id, 1, 0, 10) == numbered(10)
    # Version 2 was nobody's: its bytes are gone. The task's, the present one and the one just before it are kept.
    assert len(await blobs.list("samples")) == 3
    assert (await rows_of(sample_files, ann, file.id))[0] == {"n": 300}


async def test_what_nobody_needs_is_cleared_away_after_a_while(
    sample_files: SampleFiles, ann: Actor, blobs: MemoryBlobs
) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(3)))
    for number in range(5):
        await sample_files.edits.replace(ann.scope, file.id, 0, {"n": number})
    assert len(await blobs.list("samples")) == 6
    with clock.shifted(PRUNE_AFTER_S + 1):
        await sample_files.edits.replace(ann.scope, file.id, 0, {"n": 9})
    # The upload's object is named by the file and stays; the newest version and the one before it stay too.
    assert len(await blobs.list("samples")) == 3
    assert await rows_of(sample_files, ann, file.id) == [{"n": 9}, {"n": 1}, {"n": 2}]


@pytest.mark.usefixtures("tiny_chunks")
async def test_a_download_under_way_is_not_disturbed_by_edits(sample_files: SampleFiles, ann: Actor) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(40)))
    download = await sample_files.download(ann.scope, file.id, as_csv=False, encoding=None)
    got = [await anext(download.parts)]
    await sample_files.edits.delete(ann.scope, file.id, list(range(40)))
    with clock.shifted(PRUNE_AFTER_S + 1):
        await sample_files.edits.append(ann.scope, file.id, [{"n": -1}])
        got += [part async for part in download.parts]
    assert b"".join(got) == as_lines(numbered(40))


async def test_edits_of_one_file_at_once_all_arrive(sample_files: SampleFiles, ann: Actor) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(3)))
    await asyncio.gather(*(sample_files.edits.append(ann.scope, file.id, [{"n": number}]) for number in range(20)))
    rows = await rows_of(sample_files, ann, file.id)
    assert sorted(row["n"] for row in rows[3:]) == list(range(20))
    assert (await sample_files.get(ann.scope, file.id, "en")).version == 21


async def test_edits_of_two_processes_at_once_all_arrive(
    sample_files: SampleFiles, database: Database, ann: Actor, blobs: MemoryBlobs
) -> None:
    """Two services share a database and an object store, and no lock."""
    from tidemill.datagen.samples.repository_use import TaskTable  # noqa: PLC0415 - only this test builds a second one

    other = SampleFiles(
        database, blobs, TaskTable(), upload_folder=sample_files.upkeep.upload_folder, max_upload_bytes=1 << 20
    )
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(1)))
    for number in range(5):
        await asyncio.gather(
            sample_files.edits.append(ann.scope, file.id, [{"n": number}]),
            other.edits.append(ann.scope, file.id, [{"n": number + 100}]),
        )
    rows = await rows_of(sample_files, ann, file.id)
    assert sorted(row["n"] for row in rows[1:]) == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]


async def test_an_edit_of_what_one_did_not_look_at_is_refused(sample_files: SampleFiles, ann: Actor) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(3)))
    await sample_files.edits.replace(ann.scope, file.id, 0, {"n": 7}, version=1)
    with pytest.raises(FileChanged, match="version 2"):
        await sample_files.edits.delete(ann.scope, file.id, [0], version=1)
    assert len(await rows_of(sample_files, ann, file.id)) == 3


async def test_a_foreign_scope_reads_nothing_even_when_rows_are_remembered(
    sample_files: SampleFiles, ann: Actor, bob: Actor
) -> None:
    file = await put_file(sample_files, ann, "f.jsonl", as_lines(numbered(3)))
    assert len(await sample_files.reader.rows(ann.scope, file.id, 1, 0, 3)) == 3
    with pytest.raises(FileNotFound):
        await sample_files.reader.rows(bob.scope, file.id, 1, 0, 3)


async def test_a_deleted_user_leaves_no_rows_and_no_objects(
    sample_files: SampleFiles, database: Database, ann: Actor, bob: Actor, blobs: MemoryBlobs
) -> None:
    await put_file(sample_files, ann, "a.jsonl", as_lines(numbered(3)))
    kept = await put_file(sample_files, bob, "b.jsonl", as_lines(numbered(3)))
    async with database.write() as w:
        keys = await sample_files.upkeep.erase_user(w, ann.user_id)
    await sample_files.upkeep.discard(keys)
    assert [info.key.split("/")[1] for info in await blobs.list("samples")] == [str(bob.user_id)]
    assert await rows_of(sample_files, bob, kept.id) == numbered(3)
    assert (await sample_files.page(ann.scope, PageRequest(), None, "en")).items == []


async def test_the_sweep_takes_old_leftovers_and_nothing_else(
    sample_files: SampleFiles, ann: Actor, blobs: MemoryBlobs
) -> None:
    file = await put_file(sample_files, ann, "a.jsonl", as_lines(numbered(3)))
    body, content_type = form("a.jsonl", as_lines(numbered(2)))
    async with sample_files.receive(in_parts(body, 64), content_type) as received:
        path = received.wanted()[0].path
        kept_path = path.with_name("upload-left-behind")
        path.rename(kept_path)
    await blobs.put("samples/1/00000000-0000-7000-8000-000000000000.jsonl", in_parts(b"old", 1), max_bytes=10)
    assert await sample_files.upkeep.sweep() == 1
    assert kept_path.exists()
    with clock.shifted(25 * 3600):
        assert await sample_files.upkeep.sweep() == 1
    assert not kept_path.exists()
    assert await rows_of(sample_files, ann, file.id) == numbered(3)
