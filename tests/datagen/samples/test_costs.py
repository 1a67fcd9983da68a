"""What an operation costs, counted in statements and bytes: the same in a small file and in a large one."""

import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Executable, Insert

from tests.datagen.samples.conftest import put_file
from tidemill.datagen.samples.chunks import CHUNK_BYTES
from tidemill.datagen.samples.contracts import SampleFile
from tidemill.datagen.samples.repository_use import TaskTable
from tidemill.datagen.samples.service import SampleFiles
from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import PageRequest
from tidemill.platform.blobs import BlobInfo
from tidemill.platform.blobs.folder import FolderBlobs
from tidemill.platform.blobs.memory import MemoryBlobs
from tidemill.platform.db import Database, Reader, Row, Writer


class Counts:
    """Statements run, bytes read and bytes written."""

    def __init__(self) -> None:
        self.statements = self.read = self.written = 0

    def reset(self) -> None:
        self.statements = self.read = self.written = 0


class CountedBlobs(MemoryBlobs):
    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        data = await super().read(key, start, length)
        self._counts.read += len(data)
        return data

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, max_bytes: int) -> BlobInfo:
        info = await super().put(key, chunks, max_bytes=max_bytes)
        self._counts.written += info.size
        return info


class _Counted:
    def __init__(self, inner: Any, counts: Counts) -> None:
        self._inner = inner
        self._counts = counts

    async def all(self, stmt: Executable, params: Mapping[str, Any] | None = None) -> Sequence[Row]:
        self._counts.statements += 1
        return await self._inner.all(stmt, params)

    async def first(self, stmt: Executable, params: Mapping[str, Any] | None = None) -> Row | None:
        self._counts.statements += 1
        return await self._inner.first(stmt, params)

    async def scalar(self, stmt: Executable, params: Mapping[str, Any] | None = None) -> Any:
        self._counts.statements += 1
        return await self._inner.scalar(stmt, params)

    async def run(self, stmt: Executable, rows: Any = None) -> int:
        self._counts.statements += 1
        return await self._inner.run(stmt, rows)

    async def load(self, stmt: Insert, rows: Sequence[Mapping[str, Any]]) -> int:
        self._counts.statements += 1
        return await self._inner.load(stmt, rows)

    def changed(self, topic: str) -> None:
        self._inner.changed(topic)

    def after_commit(self, callback: Callable[[], None]) -> None:
        self._inner.after_commit(callback)


class CountedDatabase:
    """Only the two doors: that is all sample files use."""

    def __init__(self, inner: Database, counts: Counts) -> None:
        self._inner = inner
        self._counts = counts

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reader]:
        async with self._inner.read() as r:
            yield _Counted(r, self._counts)

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Writer]:
        async with self._inner.write() as w:
            yield _Counted(w, self._counts)


async def test_an_operation_costs_the_same_in_any_file(database: Database, ann: Actor, tmp_path: Path) -> None:
    counts = Counts()
    counted = cast("Database", CountedDatabase(database, counts))
    service = SampleFiles(
        counted, CountedBlobs(counts), TaskTable(), upload_folder=tmp_path, max_upload_bytes=100 << 20
    )

    async def costs(file: SampleFile) -> dict[str, tuple[int, int, int]]:
        middle = file.rows // 2
        row = {"n": -1, "text": "x" * 40}
        scope = ann.scope
        operations: dict[str, Callable[[], Any]] = {
            "page": lambda: service.content(scope, file.id, PageRequest(page=middle // 20 + 1, page_size=20), None),
            "replace": lambda: service.edits.replace(scope, file.id, middle, row),
            "append": lambda: service.edits.append(scope, file.id, [row]),
            "delete": lambda: service.edits.delete(scope, file.id, [middle, middle + 1]),
        }
        found: dict[str, tuple[int, int, int]] = {}
        for name, operation in operations.items():
            counts.reset()
            await operation()
            found[name] = (counts.statements, counts.read, counts.written)
        return found

    async def uploaded(rows: int) -> SampleFile:
        data = b"".join(b'{"n": %d, "text": "%s"}\n' % (number, b"x" * 40) for number in range(rows))
        return await put_file(service, ann, f"{rows}.jsonl", data)

    small = await costs(await uploaded(100))
    large = await costs(await uploaded(60_000))
    assert {name: cost[0] for name, cost in small.items()} == {name: cost[0] for name, cost in large.items()}
    assert all(cost[0] <= 9 for cost in large.values()), large
    # Bytes: never more than the chunks that are touched, however long the file is.
    assert all(cost[1] <= 2 * CHUNK_BYTES and cost[2] <= CHUNK_BYTES for cost in large.values()), large


async def test_an_upload_passes_through_without_filling_memory(database: Database, ann: Actor, tmp_path: Path) -> None:
    service = SampleFiles(
        database,
        FolderBlobs(tmp_path / "objects"),
        TaskTable(),
        upload_folder=tmp_path / "spool",
        max_upload_bytes=100 << 20,
    )
    line = b'{"text": "' + b"x" * 480 + b'"}\n'
    lines = 24_000

    async def body() -> AsyncGenerator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n'
        for _ in range(lines // 100):
            yield line * 100
        yield b"\r\n--b--\r\n"

    tracemalloc.start()
    try:
        async with service.receive(body(), "multipart/form-data; boundary=b") as form:
            file = await service.add(ann, form.wanted()[0], None, "en")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (file.rows, file.file_size) == (lines, lines * len(line))
    assert peak < file.file_size // 2, f"{peak} bytes held for a file of {file.file_size}"
