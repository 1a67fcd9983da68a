"""``/api/data_files`` and ``/api/convert_files``."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import Struct, field

from tidemill.datagen.samples.contracts import Changed, FilesAnswer, FileTrouble, SampleFile, SampleRow
from tidemill.datagen.samples.conversion import target_of
from tidemill.datagen.samples.delivery import ZIP_TYPE, Download, Entry, archive
from tidemill.datagen.samples.forms import UploadForm
from tidemill.datagen.samples.service import SampleFiles, trouble
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput, TidemillError
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web import Envelope, ListData, list_data, needs, ok
from tidemill.platform.web.attachment import attachment

AnyRequest = Request[Any, Any, Any]
Version = Annotated[int | None, QueryParameter(description="The version you looked at; another one answers 409.")]
Text = Annotated[str | None, QueryParameter(description="Text to look for, in any case.")]
Encoding = Annotated[str | None, QueryParameter(description="`utf-8-sig` puts a byte order mark in front, for Excel.")]

Files = NamedDependency[SampleFiles]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]

_OPTIONS: dict[str, Any] = {"guards": [needs("datagen")], "tags": ["data files"]}
# The body limit of ordinary requests does not hold for uploads: each file is held to limits.max_upload_bytes.
_UPLOAD: dict[str, Any] = {**_OPTIONS, "request_max_body_size": None}


class FileIds(Struct):
    """Several files."""

    file_ids: list[int]


class ConvertIds(Struct):
    """Several files and what to make of them: jsonl, csv or utf-8."""

    file_ids: list[int]
    target_format: str


class NewRows(Struct):
    """Rows to append."""

    items: list[dict[str, Any]]


class Indices(Struct):
    """Positions to delete, as they are before the call."""

    indices: list[int]


class BatchOutcome(Struct):
    """What a batch did: how many went well, and which did not."""

    ok: int = 0
    failed: list[FileTrouble] = field(default_factory=list[FileTrouble])


@get("/api/data_files", **_OPTIONS)
async def list_files(
    sample_files: Files,
    actor: Caller,
    lang: Language,
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
    q: Text = None,
) -> Envelope[ListData[SampleFile]]:
    """List one's own files, newest first; ``q`` looks in their names."""
    wanted = PageRequest.checked(page, page_size, cursor)
    return list_data(await sample_files.page(actor.scope, wanted, q, lang))


@post("/api/data_files/upload", status_code=200, **_UPLOAD)
async def upload(
    request: AnyRequest, sample_files: Files, actor: Caller, lang: Language, encoding: FromQuery[str | None] = None
) -> Envelope[SampleFile | FilesAnswer]:
    """Take files in: field ``file`` answers the one object, field ``files`` a list with its errors."""
    async with _form(request, sample_files) as form:
        chosen = form.fields.get("encoding") or encoding
        if form.is_single:
            return ok(await sample_files.add(actor, form.wanted()[0], chosen, lang))
        return ok(await sample_files.add_all(actor, form.wanted(), chosen, lang))


@get("/api/data_files/{file_id:int}", **_OPTIONS)
async def show_file(sample_files: Files, actor: Caller, lang: Language, file_id: FromPath[int]) -> Envelope[SampleFile]:
    """Show a file: rows, columns, size, encoding, problems."""
    return ok(await sample_files.get(actor.scope, file_id, lang))


@get("/api/data_files/{file_id:int}/download", **_OPTIONS)
async def download(sample_files: Files, actor: Caller, file_id: FromPath[int], encoding: Encoding = None) -> Stream:
    """Download the file as it stands now, in its own format, as UTF-8."""
    return _sent(await sample_files.download(actor.scope, file_id, as_csv=False, encoding=encoding))


@get("/api/data_files/{file_id:int}/download_csv", **_OPTIONS)
async def download_csv(sample_files: Files, actor: Caller, file_id: FromPath[int], encoding: Encoding = None) -> Stream:
    """Download the file as CSV."""
    return _sent(await sample_files.download(actor.scope, file_id, as_csv=True, encoding=encoding))


@get("/api/data_files/{file_id:int}/content", **_OPTIONS)
async def content(
    sample_files: Files,
    actor: Caller,
    file_id: FromPath[int],
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
    q: Text = None,
) -> Envelope[ListData[SampleRow]]:
    """Show rows at their positions; ``q`` keeps those whose values hold a text."""
    wanted = PageRequest.checked(page, page_size, cursor)
    return list_data(await sample_files.content(actor.scope, file_id, wanted, q))


@put("/api/data_files/{file_id:int}/content/{index:int}", **_OPTIONS)
async def replace_row(
    sample_files: Files,
    actor: Caller,
    file_id: FromPath[int],
    index: FromPath[int],
    data: JSONBody[dict[str, Any]],
    version: Version = None,
) -> Envelope[SampleRow]:
    """Replace the row at a position; the body is the row."""
    return ok(await sample_files.edits.replace(actor.scope, file_id, index, data, version=version))


@post("/api/data_files/{file_id:int}/content", status_code=200, **_OPTIONS)
async def append_rows(
    sample_files: Files, actor: Caller, file_id: FromPath[int], data: JSONBody[NewRows]
) -> Envelope[Changed]:
    """Append rows."""
    return ok(await sample_files.edits.append(actor.scope, file_id, data.items))


@delete("/api/data_files/{file_id:int}/content/batch", status_code=200, **_OPTIONS)
async def delete_rows(
    request: AnyRequest,
    sample_files: Files,
    actor: Caller,
    file_id: FromPath[int],
    indices: Annotated[str | None, QueryParameter(description="Positions, by commas, instead of a body.")] = None,
    version: Version = None,
) -> Envelope[Changed]:
    """Delete rows by position, all or none: ``{"indices": [0, 2]}`` or ``?indices=0,2``."""
    wanted = _indices(await request.body(), request.query_params.getall("indices", []) if indices else [])
    return ok(await sample_files.edits.delete(actor.scope, file_id, wanted, version=version))


@delete("/api/data_files/{file_id:int}", status_code=200, **_OPTIONS)
async def delete_file(sample_files: Files, actor: Caller, file_id: FromPath[int]) -> Envelope[None]:
    """Delete a file; 409 while a task that runs reads it."""
    await sample_files.delete(actor, file_id)
    return ok(None)


@post("/api/data_files/batch_delete", status_code=200, **_OPTIONS)
async def batch_delete(
    sample_files: Files, actor: Caller, lang: Language, data: JSONBody[FileIds]
) -> Envelope[BatchOutcome]:
    """Delete several files; each on its own."""
    outcome = BatchOutcome()
    for file_id in dict.fromkeys(data.file_ids):
        try:
            await sample_files.delete(actor, file_id)
            outcome.ok += 1
        except TidemillError as error:
            outcome.failed.append(trouble(error, lang, id=file_id))
    return ok(outcome)


@post("/api/data_files/batch_download", status_code=200, **_OPTIONS)
async def batch_download(sample_files: Files, actor: Caller, data: JSONBody[FileIds]) -> Stream:
    """Download several files as one archive."""
    return _sent(await sample_files.download_all(actor.scope, data.file_ids))


@post("/api/data_files/batch_convert", status_code=200, **_OPTIONS)
async def batch_convert(
    sample_files: Files, actor: Caller, lang: Language, data: JSONBody[ConvertIds]
) -> Envelope[FilesAnswer]:
    """Make new files beside the originals."""
    return ok(await sample_files.convert_all(actor, data.file_ids, target_of(data.target_format), lang))


@post("/api/convert_files", status_code=200, **_UPLOAD)
async def convert_files(
    request: AnyRequest,
    sample_files: Files,
    actor: Caller,
    lang: Language,
    target_format: FromQuery[str | None] = None,
    save: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    encoding: FromQuery[str | None] = None,
) -> Response[Any]:
    """Upload and convert in one call: answers the converted file, or an archive for several.

    With ``save`` the results are kept too; the header ``x-file-ids`` names them.
    """
    async with _form(request, sample_files) as form:
        target = target_of(form.fields.get("target_format") or target_format)
        keep = save or form.fields.get("save", "").strip().lower() in {"true", "1", "yes", "on"}
        chosen = form.fields.get("encoding") or encoding
        downloads: list[Download] = []
        kept: list[int] = []
        refused: list[FileTrouble] = []
        uploads = form.wanted()
        for spooled in uploads:
            try:
                done, file = await sample_files.convert_upload(actor, spooled, target, chosen, lang, save=keep)
            except TidemillError as error:
                if len(uploads) == 1:
                    raise
                refused.append(trouble(error, lang, filename=spooled.filename))
                continue
            downloads.append(done)
            kept += [file.id] if file else []
    if not downloads:
        raise BadInput("; ".join(f"{entry.filename}: {entry.message}" for entry in refused))
    headers = {"x-file-ids": ",".join(map(str, kept))} if kept else {}
    if len(uploads) == 1:
        return _sent(downloads[0], headers)
    entries = [Entry(done.filename, done.parts) for done in downloads]
    if refused:
        entries.append(Entry("errors.json", _whole(msgspec.json.encode(refused))))
    return _sent(Download("converted_files.zip", ZIP_TYPE, archive(entries)), headers)


def _sent(download: Download, headers: Mapping[str, str] | None = None) -> Stream:
    return attachment(download.filename, download.media_type, download.parts, headers)


async def _whole(body: bytes) -> AsyncGenerator[bytes]:
    yield body


def _form(request: AnyRequest, sample_files: SampleFiles) -> AbstractAsyncContextManager[UploadForm]:
    return sample_files.receive(request.stream(), request.headers.get("content-type", ""))


def _indices(body: bytes, query: Sequence[str]) -> list[int]:
    if query:
        try:
            return [int(part) for value in query for part in value.split(",") if part.strip()]
        except ValueError:
            raise BadInput.of("indices", "whole numbers, by commas") from None
    try:
        return msgspec.json.decode(body, type=Indices).indices
    except msgspec.MsgspecError as error:
        raise BadInput.of("indices", f'send {{"indices": [0, 2]}}; {error}') from None


HANDLERS: Sequence[ControllerRouterHandler] = [
    list_files,
    upload,
    show_file,
    download,
    download_csv,
    content,
    replace_row,
    append_rows,
    delete_rows,
    delete_file,
    batch_delete,
    batch_download,
    batch_convert,
    convert_files,
]
