"""The log of calls over HTTP (``/api/v1/calls``)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.pages import PageRequest
from tidemill.metering.call_log import CallLog
from tidemill.metering.contracts_calls import CallDetail, CallFilter, CallPage, StatusFilter
from tidemill.platform.web import signed_in
from tidemill.platform.web.attachment import attachment
from tidemill.platform.web.inputs import PageSize

Calls = NamedDependency[CallLog]
Caller = NamedDependency[Actor]
_NO_NUL = r"^[^\x00]*$"
Short = Annotated[str | None, QueryParameter(max_length=128, pattern=_NO_NUL)]
Long = Annotated[str | None, QueryParameter(max_length=500, pattern=_NO_NUL)]
UserId = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="Whose (for administrators).")]
ChannelId = Annotated[int | None, QueryParameter(ge=-(2**31), le=2**31 - 1, description="Local models: negative.")]
Since = Annotated[datetime | None, QueryParameter(name="from", description="Begin; without a zone: UTC.")]
Until = Annotated[datetime | None, QueryParameter(name="to", description="End, not included; without a zone: UTC.")]
Status = Annotated[StatusFilter | None, QueryParameter(description="How they ended; failed: whatever is not ok.")]
Latency = Annotated[float | None, QueryParameter(ge=0, description="At least this long, milliseconds.")]
Search = Annotated[
    str | None,
    QueryParameter(max_length=200, pattern=_NO_NUL, description="In model, channel, request id, error code."),
]
Way = Annotated[str | None, QueryParameter(description="`next` or `previous` of another page.")]
Mine = Annotated[bool, QueryParameter(description="One's own alone, also for an administrator.")]


def provide_call_filter(  # noqa: PLR0913, PLR0917 - one parameter a filter
    since: Since = None,
    until: Until = None,
    user_id: UserId = None,
    key_id: Short = None,
    model: Long = None,
    channel_id: ChannelId = None,
    provider: Short = None,
    status: Status = None,
    error_code: Short = None,
    surface: Short = None,
    stream: FromQuery[bool | None] = None,
    cached: FromQuery[bool | None] = None,
    min_latency_ms: Latency = None,
    request_id: Short = None,
    q: Search = None,
) -> CallFilter:
    """Read the filters that the list and the file share."""
    return CallFilter(
        since=_in_utc(since),
        until=_in_utc(until),
        user_id=user_id,
        key_id=key_id or None,
        model=model or None,
        channel_id=channel_id,
        provider=provider or None,
        status=status,
        error_code=error_code or None,
        surface=surface or None,
        stream=stream,
        cached=cached,
        min_latency_ms=min_latency_ms,
        request_id=request_id or None,
        q=q or None,
    )


_FILTERED: dict[str, Any] = {
    "guards": [signed_in],
    "tags": ["calls"],
    "dependencies": {"wanted": Provide(provide_call_filter, sync_to_thread=False)},
}


@get("/api/v1/calls", operation_id="listCalls", **_FILTERED)
async def list_calls(
    actor: Caller,
    calls: Calls,
    wanted: NamedDependency[CallFilter],
    page_size: PageSize = 50,
    cursor: Way = None,
    *,
    mine: Mine = False,
) -> CallPage:
    """List calls, newest first: one's own, everybody's for an administrator. Pages by key; there is no total."""
    checked = PageRequest.checked(1, page_size, cursor)
    return await calls.page(_scope(actor, mine=mine), wanted, page_size=checked.page_size, cursor=checked.cursor)


@get("/api/v1/calls/export", operation_id="exportCalls", **_FILTERED)
async def export_calls(
    actor: Caller,
    calls: Calls,
    wanted: NamedDependency[CallFilter],
    *,
    mine: Mine = False,
    excel: Annotated[bool, QueryParameter(description="Begin with the mark that Excel needs for UTF-8.")] = False,
) -> Stream:
    """Stream the same calls as a CSV file; texts that look like formulas get an apostrophe in front."""
    return attachment("calls.csv", "text/csv", calls.csv(_scope(actor, mine=mine), wanted, mark=excel))


@get("/api/v1/calls/{call_id:str}", guards=[signed_in], tags=["calls"], operation_id="getCall")
async def get_call(call_id: FromPath[str], actor: Caller, calls: Calls) -> CallDetail:
    """One call with all that is known of it."""
    return await calls.get(_scope(actor, mine=False), call_id)


def _scope(actor: Actor, *, mine: bool) -> Scope:
    return actor.admin_scope if actor.may_administer and not mine else actor.scope


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


HANDLERS: Sequence[ControllerRouterHandler] = (list_calls, export_calls, get_call)
