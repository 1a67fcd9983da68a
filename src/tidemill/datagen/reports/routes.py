"""``/api/reports``, and an administrator's view of a user's reports."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tidemill.datagen.reports.contracts import REPORT_FORMATS, Report, ReportItem
from tidemill.datagen.reports.documents import as_csv, as_json, as_markdown
from tidemill.datagen.reports.service import ReportService
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.errors import BadInput
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web import Envelope, ListData, administrator, list_data, needs, ok
from tidemill.platform.web.attachment import attachment

Reports = NamedDependency[ReportService]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]
Format = Annotated[str, QueryParameter(description="json, csv, md (a document) or rows (the task's data as JSONL).")]

_OPTIONS: dict[str, Any] = {"guards": [needs("datagen")], "tags": ["reports"]}
_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["administration"]}


@get("/api/reports", **_OPTIONS)
async def list_reports(
    reports: Reports,
    actor: Caller,
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
) -> Envelope[ListData[ReportItem]]:
    """List the reports of one's own tasks, newest first."""
    return list_data(await reports.page(actor.scope, PageRequest.checked(page, page_size, cursor)))


@get("/api/reports/{task_id:str}", **_OPTIONS)
async def show_report(reports: Reports, actor: Caller, task_id: FromPath[str]) -> Envelope[Report]:
    """Show the report of one task."""
    return ok(await reports.get(actor.scope, task_id))


@get("/api/reports/{task_id:str}/download", **_OPTIONS)
async def download_report(
    reports: Reports,
    actor: Caller,
    lang: Language,
    task_id: FromPath[str],
    format: Format = "json",  # noqa: A002 - the query's own word
) -> Stream:
    """Download a report as a file, or the rows that the task made."""
    return await _download(reports, actor.scope, task_id, format, lang)


@get("/api/admin/users/{user_id:int}/reports", **_ADMIN)
async def list_user_reports(
    reports: Reports,
    actor: Caller,
    user_id: FromPath[int],
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
) -> Envelope[ListData[ReportItem]]:
    """List the reports of a user's tasks."""
    scope = await reports.scope_of(actor.admin_scope, user_id)
    return list_data(await reports.page(scope, PageRequest.checked(page, page_size, cursor)))


@get("/api/admin/users/{user_id:int}/reports/{task_id:str}/download", **_ADMIN)
async def download_user_report(
    reports: Reports,
    actor: Caller,
    lang: Language,
    user_id: FromPath[int],
    task_id: FromPath[str],
    format: Format = "json",  # noqa: A002 - the query's own word
) -> Stream:
    """Download a report of a user's task."""
    scope = await reports.scope_of(actor.admin_scope, user_id)
    return await _download(reports, scope, task_id, format, lang)


async def _download(reports: ReportService, scope: Scope, task_id: str, format_name: str, lang: Lang) -> Stream:
    if format_name not in REPORT_FORMATS:
        raise BadInput.of("format", f"one of {', '.join(REPORT_FORMATS)}")
    if format_name == "rows":
        rows = await reports.rows(scope, task_id)
        return attachment(rows.filename, rows.media_type, rows.parts)
    report = await reports.get(scope, task_id)
    if format_name == "json":
        return attachment(f"{task_id}.report.json", "application/json", _whole(as_json(report)))
    if format_name == "csv":
        return attachment(f"{task_id}.report.csv", "text/csv", _whole(as_csv(report)))
    return attachment(f"{task_id}.report.md", "text/markdown", _whole(as_markdown(report, lang)))


async def _whole(body: bytes) -> AsyncGenerator[bytes]:
    yield body


HANDLERS: Sequence[ControllerRouterHandler] = [
    list_reports,
    show_report,
    download_report,
    list_user_reports,
    download_user_report,
]
