"""``/api/generated_data``."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tidemill.datagen.review.contracts import (
    BatchConfirm,
    BatchDone,
    BatchReview,
    BatchUpdate,
    GeneratedRow,
    RowFilter,
    RowState,
    UpdateDone,
)
from tidemill.datagen.review.export import ExportOptions, format_of
from tidemill.datagen.review.service import ReviewService
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web import Envelope, ListData, list_data, needs, ok
from tidemill.platform.web.attachment import attachment

Review = NamedDependency[ReviewService]
Caller = NamedDependency[Actor]
Score = Annotated[float | None, QueryParameter(description="Bound of the final score, itself included; 0 to 10.")]
Status = Annotated[str | None, QueryParameter(description="accepted, below_threshold, needs_review or rejected.")]
Sort = Annotated[str, QueryParameter(description="created_at, final_score or id; - in front: highest first.")]

_OPTIONS: dict[str, Any] = {"guards": [needs("datagen")], "tags": ["generated data"]}
_ANY = "all"
_STATES: tuple[RowState, ...] = ("accepted", "below_threshold", "needs_review", "rejected")


def provide_filter(
    task_id: FromQuery[str | None] = None,
    task_type: FromQuery[str | None] = None,
    is_confirmed: FromQuery[bool | None] = None,
    status: Status = None,
    min_score: Score = None,
    max_score: Score = None,
    q: FromQuery[str | None] = None,
) -> RowFilter:
    """Read the filters that a list and an export share; ``status=all`` narrows nothing."""
    return RowFilter(
        task_id=task_id,
        task_type=task_type,
        is_confirmed=is_confirmed,
        status=_status(status),
        min_score=min_score,
        max_score=max_score,
        q=q,
    )


_FILTERED: dict[str, Any] = {**_OPTIONS, "dependencies": {"wanted": Provide(provide_filter, sync_to_thread=False)}}


@get("/api/generated_data", **_FILTERED)
async def list_rows(
    review: Review,
    actor: Caller,
    wanted: NamedDependency[RowFilter],
    sort: Sort = "-id",
    page: FromQuery[int] = 1,
    page_size: FromQuery[int] = DEFAULT_PAGE_SIZE,
    cursor: FromQuery[str | None] = None,
) -> Envelope[ListData[GeneratedRow]]:
    """List one's own rows."""
    return list_data(await review.page(actor.scope, wanted, sort, PageRequest.checked(page, page_size, cursor)))


@post("/api/generated_data/batch_update", status_code=200, **_OPTIONS)
async def batch_update(review: Review, actor: Caller, data: JSONBody[BatchUpdate]) -> Envelope[UpdateDone]:
    """Give rows new contents, each checked against its task type; all or none."""
    return ok(await review.update(actor, data))


@post("/api/generated_data/batch_confirm", status_code=200, **_OPTIONS)
async def batch_confirm(review: Review, actor: Caller, data: JSONBody[BatchConfirm]) -> Envelope[BatchDone]:
    """Confirm rows by id or by filter, or take that back; all or none."""
    return ok(await review.confirm(actor, data))


@post("/api/generated_data/batch_review", status_code=200, **_OPTIONS)
async def batch_review(review: Review, actor: Caller, data: JSONBody[BatchReview]) -> Envelope[BatchDone]:
    """Accept or reject rows by id or by filter, with a note; all or none. The other word takes it back."""
    return ok(await review.review(actor, data))


def provide_options(
    format: Annotated[  # noqa: A002 - the query's own word
        str, QueryParameter(description="jsonl, csv, json, alpaca, sharegpt or openai.")
    ] = "jsonl",
    meta: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    raw: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    encoding: FromQuery[str | None] = None,
) -> ExportOptions:
    """Read how an export is to be written."""
    if encoding not in {None, "utf-8", "utf-8-sig"}:
        raise BadInput.of("encoding", "utf-8 or utf-8-sig")
    return ExportOptions(format=format_of(format), meta=meta, raw=raw, mark=encoding == "utf-8-sig")


@get(
    "/api/generated_data/export",
    **_OPTIONS,
    dependencies={
        "wanted": Provide(provide_filter, sync_to_thread=False),
        "options": Provide(provide_options, sync_to_thread=False),
    },
)
async def export(
    request: Request[Any, Any, Any],
    review: Review,
    actor: Caller,
    wanted: NamedDependency[RowFilter],
    options: NamedDependency[ExportOptions],
    confirmed: FromQuery[bool | None] = None,
) -> Stream:
    """Download rows as a file: accepted ones unless another status (or ``all``) is named.

    ``confirmed=true`` narrows to confirmed rows; ``meta=1`` adds ``_meta`` to each JSON row; ``raw=1`` leaves CSV
    cells that look like formulas as they are; ``encoding=utf-8-sig`` suits Excel.
    """
    if not request.query_params.get("status"):
        wanted = msgspec.structs.replace(wanted, status="accepted")
    if wanted.is_confirmed is None:
        wanted = msgspec.structs.replace(wanted, is_confirmed=confirmed)
    done = await review.exporter.export(actor.scope, wanted, options)
    return attachment(done.filename, done.media_type, done.parts)


def _status(text: str | None) -> RowState | None:
    if not text or text == _ANY:
        return None
    for state in _STATES:
        if text == state:
            return state
    raise BadInput.of("status", f"one of {', '.join(_STATES)}, or {_ANY}")


HANDLERS: Sequence[ControllerRouterHandler] = [list_rows, batch_update, batch_confirm, batch_review, export]
