"""Rows of a file at one fixed version: what a task, a page and a download read.

A version never changes, so what is read of it may be remembered; edits made meanwhile are not seen.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

import msgspec

from tidemill.datagen.samples import repository
from tidemill.datagen.samples.contracts import FileFacts
from tidemill.datagen.samples.errors import FileNotFound
from tidemill.datagen.samples.repository import FileRow, Span
from tidemill.datagen.samples.store import ChunkStore
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.platform.blobs import Blobs
from tidemill.platform.db import Database, Reader

# A task walks its file in small steps: the chunk it is in, and the next, for a dozen tasks at once; at most 3 MB.
_REMEMBERED_CHUNKS = 24
_SPANS_AT_A_TIME = 256


class SampleReader:
    """Reads sample files for those who hold a version of them."""

    def __init__(self, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._store = ChunkStore(blobs)
        self._chunks: OrderedDict[tuple[int, int, int], list[bytes]] = OrderedDict()
        # (file, version) -> the spans lately used; and who owns the file, so that a remembered chunk stays theirs.
        self._spans: OrderedDict[tuple[int, int], tuple[int, list[Span]]] = OrderedDict()
        self._leases: dict[tuple[int, int], int] = {}

    async def facts(self, r: Reader, scope: Scope, file_id: int, *, hold: bool = False) -> FileFacts:
        """Return what a task must know of a file; its version is the one to read with.

        ``hold`` (inside ``write()`` only) keeps the file from being edited or deleted until that transaction ends, so
        that the task's row is there before anybody decides that nobody needs this version.
        Raises FileNotFound (404, code 3001).
        """
        file = await repository.get(r, scope, file_id, hold=hold)
        if file is None:
            raise FileNotFound(file_id=file_id)
        return FileFacts(
            file_id=file.id,
            filename=file.filename,
            rows=file.row_count,
            columns=file.columns,
            version=file.version,
            language_hint=file.language_hint,
        )

    async def rows(self, scope: Scope, file_id: int, version: int, start: int, count: int) -> list[dict[str, Any]]:
        """Return up to ``count`` rows from position ``start`` of ``version``; fewer at the end of the file.

        Raises FileNotFound when the file is gone or not the scope's.
        """
        raw = await self.raw_rows(scope, file_id, version, start, count)
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        return [decode(row) for row in raw]

    async def raw_rows(self, scope: Scope, file_id: int, version: int, start: int, count: int) -> list[bytes]:
        """Return the same as JSON text."""
        end = start + count
        found: list[bytes] = []
        for span in await self._covering(scope, file_id, version, start, end):
            rows = await self._remembered(file_id, version, span)
            found += rows[max(0, start - span.first) : end - span.first]
        return found

    async def through(self, file: FileRow, start: int = 0) -> AsyncGenerator[list[bytes]]:
        """Yield every row of ``file`` at its version from position ``start``, one chunk at a time.

        The version is leased meanwhile: edits in this process leave its chunks alone, however long the reading takes.
        """
        with self.leased(file.id, file.version):
            after = -1
            skip = start
            while True:
                async with self._db.read() as r:
                    spans = await repository.spans_after(r, file.id, file.version, after, _SPANS_AT_A_TIME)
                for span in spans:
                    after = span.ord
                    if span.rows <= skip:
                        skip -= span.rows
                        continue
                    rows = await self._store.rows(span)
                    yield rows[skip:] if skip else rows
                    skip = 0
                if len(spans) < _SPANS_AT_A_TIME:
                    return

    @contextmanager
    def leased(self, file_id: int, version: int) -> Generator[None]:
        """Keep a version from being pruned by edits in this process."""
        key = (file_id, version)
        self._leases[key] = self._leases.get(key, 0) + 1
        try:
            yield
        finally:
            self._leases[key] -= 1
            if not self._leases[key]:
                del self._leases[key]

    def leased_versions(self, file_id: int) -> list[int]:
        """Return the versions of a file that this process is reading through."""
        return [version for held, version in self._leases if held == file_id]

    async def _covering(self, scope: Scope, file_id: int, version: int, start: int, end: int) -> list[Span]:
        known = self._spans.get((file_id, version))
        owner = owner_filter(scope)
        if known is not None and known[0] in {owner, None}:
            chosen = [span for span in known[1] if span.first < end and span.first + span.rows > start]
            if chosen and chosen[0].first <= start and chosen[-1].first + chosen[-1].rows >= end:
                return chosen
        async with self._db.read() as r:
            file = await repository.get(r, scope, file_id)
            if file is None:
                raise FileNotFound(file_id=file_id)
            # The living version is summed up from an index alone; older ones cost a look at each of their chunks.
            spans = await repository.spans(r, file_id, None if version == file.version else version, start, end)
        self._spans[file_id, version] = (file.user_id, spans)
        while len(self._spans) > _REMEMBERED_CHUNKS:
            self._spans.popitem(last=False)
        return spans

    async def _remembered(self, file_id: int, version: int, span: Span) -> list[bytes]:
        key = (file_id, version, span.id)
        rows = self._chunks.get(key)
        if rows is None:
            rows = await self._store.rows(span)
            self._chunks[key] = rows
            while len(self._chunks) > _REMEMBERED_CHUNKS:
                self._chunks.popitem(last=False)
        else:
            self._chunks.move_to_end(key)
        return rows
