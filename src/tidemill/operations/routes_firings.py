"""When a schedule would fire, asked before there is one: a form shows it while one types."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.operations.contracts_schedules import Firings
from tidemill.operations.schedule_service import ScheduleService
from tidemill.platform.web import needs

Schedules = NamedDependency[ScheduleService]


@get("/api/v1/schedule-firings", operation_id="listFirings", guards=[needs("datagen")], tags=["schedules"])
async def list_firings(
    schedules: Schedules,
    cron: Annotated[str | None, QueryParameter(max_length=1000, description="Five fields, in `timezone`.")] = None,
    run_at: Annotated[datetime | None, QueryParameter(description="Once, at this moment; with a zone.")] = None,
    timezone: Annotated[str, QueryParameter(max_length=1000, description="An IANA name.")] = "UTC",
) -> Firings:
    """Tell the next five firings that a schedule of this timing would have; refused as the schedule would be."""
    return Firings(await schedules.coming(cron, run_at, timezone))


HANDLERS: Sequence[ControllerRouterHandler] = (list_firings,)
