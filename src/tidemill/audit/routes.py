"""The audit log over HTTP: administrators read it; nothing changes it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.audit.contracts import AuditEntry, AuditFilter, Result
from tidemill.audit.facade import AuditLog
from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import PageRequest
from tidemill.platform.web import RestList, administrator, rest_list
from tidemill.platform.web.inputs import Cursor, PageSize

Log = NamedDependency[AuditLog]
Caller = NamedDependency[Actor]
ActorId = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="Who acted, by user id.")]
Name = Annotated[str | None, QueryParameter(max_length=100, pattern=r"^[^\x00]*$")]
Since = Annotated[datetime | None, QueryParameter(description="Entries from this moment on; without a zone: UTC.")]
Until = Annotated[datetime | None, QueryParameter(description="Entries before this moment; without a zone: UTC.")]


@get("/api/v1/admin/audit", guards=[administrator], tags=["audit"], operation_id="listAudit")
async def list_audit(  # noqa: PLR0913, PLR0917 - one parameter a filter
    actor: Caller,
    audit: Log,
    actor_id: ActorId = None,
    actor_name: Name = None,
    action: Name = None,
    object_type: Name = None,
    object_id: Name = None,
    result: FromQuery[Result | None] = None,
    address: Name = None,
    since: Since = None,
    until: Until = None,
    page_size: PageSize = 50,
    cursor: Cursor = None,
) -> RestList[AuditEntry]:
    """Who did what, newest first; pages by `cursor`."""
    wanted = AuditFilter(
        actor_id=actor_id,
        actor=actor_name,
        action=action,
        object_type=object_type,
        object_id=object_id,
        result=result,
        address=address,
        since=_in_utc(since),
        until=_in_utc(until),
    )
    return rest_list(await audit.page(actor.admin_scope, wanted, PageRequest.checked(1, page_size, cursor)))


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


HANDLERS: Sequence[ControllerRouterHandler] = (list_audit,)
