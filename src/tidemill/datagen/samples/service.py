"""Sample files for their owner: take in, list, show, edit, give out, convert, delete."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec

from tidemill.audit.facade import record
from tidemill.datagen.samples import repository
from tidemill.datagen.samples.contracts import FilesAnswer, FileTrouble, SampleFile, SampleRow
from tidemill.datagen.samples.conversion import Target, convert, of_file, of_upload, outcome
from tidemill.datagen.samples.delivery import ZIP_TYPE, Download, Entry, archive, deliver, render
from tidemill.datagen.samples.editing import SampleEdits
from tidemill.datagen.samples.errors import FileInUse, FileNotFound
from tidemill.datagen.samples.forms import Spooled, UploadForm, receive_form
from tidemill.datagen.samples.intake import Intake, Stored
from tidemill.datagen.samples.ports import LiveTasks
from tidemill.datagen.samples.problems import from_stored
from tidemill.datagen.samples.reader import SampleReader
from tidemill.datagen.samples.repository import FileRow
from tidemill.datagen.samples.search import search
from tidemill.datagen.samples.store import ChunkStore
from tidemill.datagen.samples.upkeep import SampleUpkeep
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.errors import BadInput, TidemillError
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.platform.blobs import Blobs
from tidemill.platform.db import Database

MAX_BATCH = 500


class SampleFiles:
    """The door of sample files; ``reader`` is what tasks read with, ``edits`` changes rows, ``upkeep`` clears away."""

    def __init__(
        self, db: Database, blobs: Blobs, live_tasks: LiveTasks, *, upload_folder: Path, max_upload_bytes: int
    ) -> None:
        self._db = db
        self._store = ChunkStore(blobs)
        self._live_tasks = live_tasks
        self._upload_folder = upload_folder
        self._max_upload_bytes = max_upload_bytes
        self._intake = Intake(db, blobs, max_upload_bytes)
        self.reader = SampleReader(db, blobs)
        self.edits = SampleEdits(db, blobs, self.reader, live_tasks)
        self.upkeep = SampleUpkeep(db, blobs, upload_folder)

    def receive(self, body: AsyncIterator[bytes], content_type: str) -> AbstractAsyncContextManager[UploadForm]:
        """Read a multipart form; its files live on disk until the block ends. Raises BadForm."""
        return receive_form(body, content_type, self._upload_folder, self._max_upload_bytes)

    async def add(self, actor: Actor, spooled: Spooled, encoding: str | None, lang: Lang) -> SampleFile:
        """Make one upload a file; raises UploadRefused and its kin, UploadTooLarge, StorageFull."""
        stored = await self._intake.store(actor.scope, spooled, encoding, lang)
        return await self._register(actor, stored, lang, "data_file.create")

    async def add_all(self, actor: Actor, uploads: Sequence[Spooled], encoding: str | None, lang: Lang) -> FilesAnswer:
        """Make several uploads files; a bad one is told in ``errors`` and does not fail the others."""
        answer = FilesAnswer([], [])
        for spooled in uploads:
            try:
                answer.files.append(await self.add(actor, spooled, encoding, lang))
            except TidemillError as error:
                answer.errors.append(trouble(error, lang, filename=spooled.filename))
        return answer

    async def page(self, scope: Scope, page: PageRequest, text: str | None, lang: Lang) -> Page[SampleFile]:
        """Return files, newest first, whose name holds ``text``."""
        after = _file_cursor(page.cursor)
        offset = page.offset if after is None else 0
        async with self._db.read() as r:
            rows = await repository.page(r, scope, text=text, after=after, offset=offset, limit=page.page_size + 1)
            total = await repository.count(r, scope, text=text) if after is None else None
        shown = rows[: page.page_size]
        following = encode_cursor(shown[-1].id) if len(rows) > page.page_size else None
        return Page([view(row, lang) for row in shown], total, page.page, page.page_size, following)

    async def get(self, scope: Scope, file_id: int, lang: Lang) -> SampleFile:
        """Return one file; raises FileNotFound."""
        return view(await self._file(scope, file_id), lang)

    async def content(self, scope: Scope, file_id: int, page: PageRequest, text: str | None) -> Page[SampleRow]:
        """Return rows in order; with ``text`` those whose values hold it. Raises FileNotFound."""
        file = await self._file(scope, file_id)
        start = _row_cursor(page.cursor)
        if text:
            skip = page.offset if start is None else 0
            found = await search(self.reader, file, text, start=start or 0, skip=skip, limit=page.page_size)
            following = None if found.next is None else encode_cursor("row", found.next)
            return Page(found.rows, found.total, page.page, page.page_size, following)
        first = page.offset if start is None else start
        rows = await self.reader.rows(scope, file_id, file.version, first, page.page_size)
        end = first + len(rows)
        following = encode_cursor("row", end) if end < file.row_count and rows else None
        items = [SampleRow(position, row) for position, row in enumerate(rows, first)]
        return Page(items, file.row_count, page.page, page.page_size, following)

    async def download(self, scope: Scope, file_id: int, *, as_csv: bool, encoding: str | None) -> Download:
        """Return a file as it stands now, as UTF-8; with a mark when it came with one or ``encoding`` says so."""
        file = await self._file(scope, file_id)
        if encoding not in {None, "utf-8", "utf-8-sig"}:
            raise BadInput.of("encoding", "utf-8 or utf-8-sig")
        mark = encoding == "utf-8-sig" if encoding else file.encoding == "utf-8-sig" and not as_csv
        return deliver(self.reader, file, "csv" if as_csv else file.format, mark=mark)

    async def download_all(self, scope: Scope, file_ids: Sequence[int]) -> Download:
        """Return several files as one archive; raises FileNotFound when any is missing."""
        files = await self._files(scope, file_ids)
        missing = [file_id for file_id in file_ids if file_id not in files]
        if missing:
            raise FileNotFound(file_id=missing[0])
        downloads = [
            deliver(self.reader, files[file_id], files[file_id].format, mark=files[file_id].encoding == "utf-8-sig")
            for file_id in dict.fromkeys(file_ids)
        ]
        entries = [Entry(download.filename, download.parts) for download in downloads]
        return Download("data_files.zip", ZIP_TYPE, archive(entries))

    async def convert_all(self, actor: Actor, file_ids: Sequence[int], target: Target, lang: Lang) -> FilesAnswer:
        """Make converted files beside the originals; what cannot be converted is told in ``errors``."""
        files = await self._files(actor.scope, file_ids)
        answer = FilesAnswer([], [])
        for file_id in dict.fromkeys(file_ids):
            file = files.get(file_id)
            try:
                if file is None:
                    raise FileNotFound(file_id=file_id)
                stored = await convert(self._store, actor.user_id, of_file(self.reader, file), target)
                answer.files.append(await self._register(actor, stored, lang, "data_file.convert"))
            except TidemillError as error:
                answer.errors.append(trouble(error, lang, filename=file.filename if file else None, id=file_id))
        return answer

    async def convert_upload(
        self, actor: Actor, spooled: Spooled, target: Target, encoding: str | None, lang: Lang, *, save: bool
    ) -> tuple[Download, SampleFile | None]:
        """Convert an upload; the result is kept as a file only with ``save``. Raises like ``add`` and NothingToConvert.

        Without ``save`` the stored rows go when the download has been read to its end or is given up.
        """
        stored = await self._intake.store(actor.scope, spooled, encoding, lang)
        source = of_upload(self._store, stored)
        try:
            filename, file_format = outcome(source, target)
            if save:
                converted = await convert(self._store, actor.user_id, source, target)
                kept = await self._register(actor, converted, lang, "data_file.convert")
                file = await self._file(actor.scope, kept.id)
                await self._store.discard([stored.key])
                return deliver(self.reader, file, file_format), kept
        except TidemillError:
            await self._store.discard([stored.key])
            raise

        async def parts() -> AsyncIterator[bytes]:
            try:
                async for part in render(source.chunks, source.columns, file_format, mark=False):
                    yield part
            finally:
                await self._store.discard([stored.key])

        media_type = "text/csv" if file_format == "csv" else "application/x-jsonlines; charset=utf-8"
        return Download(filename, media_type, parts()), None

    async def delete(self, actor: Actor, file_id: int) -> None:
        """Delete a file with every version of it; raises FileNotFound, FileInUse."""
        async with self._db.write() as w:
            file = await repository.get(w, actor.scope, file_id, hold=True)
            if file is None:
                raise FileNotFound(file_id=file_id)
            keys = await repository.remove(w, actor.scope, file_id) or []
            # Asked after the row is locked by its deletion: a task that starts now waits, then finds no file.
            if await self._live_tasks.uses_file(w, file_id):
                raise FileInUse(file.filename)
            await record(
                w,
                actor=actor,
                action="data_file.delete",
                object_type="data_file",
                object_id=file_id,
                details={"filename": file.filename, "rows": file.row_count},
            )
        await self._store.discard(keys)

    async def _register(self, actor: Actor, stored: Stored, lang: Lang, action: str) -> SampleFile:
        async with self._db.write() as w:
            file_id = await self._intake.register(w, actor.scope, stored)
            await record(
                w,
                actor=actor,
                action=action,
                object_type="data_file",
                object_id=file_id,
                details={"filename": stored.filename, "rows": stored.rows},
            )
        return await self.get(actor.scope, file_id, lang)

    async def _file(self, scope: Scope, file_id: int) -> FileRow:
        async with self._db.read() as r:
            file = await repository.get(r, scope, file_id)
        if file is None:
            raise FileNotFound(file_id=file_id)
        return file

    async def _files(self, scope: Scope, file_ids: Sequence[int]) -> dict[int, FileRow]:
        if not 1 <= len(file_ids) <= MAX_BATCH:
            raise BadInput.of("file_ids", f"1 to {MAX_BATCH} ids")
        async with self._db.read() as r:
            return await repository.get_many(r, scope, file_ids)


def view(file: FileRow, lang: Lang) -> SampleFile:
    """Return a file as its owner sees it, its problems told in ``lang``."""
    return SampleFile(
        id=file.id,
        filename=file.filename,
        file_size=file.file_size,
        content_type=file.content_type,
        encoding=file.encoding,
        rows=file.row_count,
        columns=file.columns,
        problems=[problem.told(lang) for problem in from_stored(file.problems)],
        problem_count=file.problem_count,
        version=file.version,
        user_id=file.user_id,
        created_at=file.created_at,
        updated_at=file.updated_at,
        language_hint=file.language_hint,
    )


def trouble(error: TidemillError, lang: Lang, *, filename: str | None = None, id: int | None = None) -> FileTrouble:  # noqa: A002 - the field's name
    """Tell a refusal as an entry of a list."""
    code = error.envelope_code or error.status
    return FileTrouble(code=code, message=error.message(lang), filename=filename, id=id)


def _file_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    [last] = decode_cursor(cursor, 1)
    return _whole(last)


def _row_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    _, position = decode_cursor(cursor, 2)
    return _whole(position)


def _whole(value: Any) -> int:
    try:
        return msgspec.convert(value, int)
    except msgspec.ValidationError:
        raise BadInput.of("cursor", "is not a cursor of this list; take `next` from the page before") from None
