"""Usage over HTTP: one's own, or everybody's for an administrator."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.metering.contracts import UsageSummary
from tidemill.metering.facade import UsageService
from tidemill.metering.routes_calls import HANDLERS as CALLS
from tidemill.metering.routes_channels import HANDLERS as CHANNELS
from tidemill.platform.web import signed_in

Usage = NamedDependency[UsageService]
Caller = NamedDependency[Actor]
_Since = Annotated[
    datetime | None, QueryParameter(name="from", description="Begin, RFC 3339; absent: 24 hours before.")
]
_Until = Annotated[datetime | None, QueryParameter(name="to", description="End, RFC 3339; absent: now.")]
_GroupBy = Annotated[str, QueryParameter(description="model, channel, surface, key or user.")]
_Mine = Annotated[bool, QueryParameter(description="One's own alone, also for an administrator.")]


@get("/api/v1/usage", guards=[signed_in], tags=["usage"], operation_id="getUsage")
async def get_usage(
    actor: Caller,
    usage: Usage,
    since: _Since = None,
    until: _Until = None,
    group_by: _GroupBy = "model",
    *,
    mine: _Mine = False,
) -> UsageSummary:
    """Totals, hours and groups of the calls between two moments: one's own, all of them for an administrator."""
    scope = actor.admin_scope if actor.may_administer and not mine else actor.scope
    return await usage.summary(scope, since=since, until=until, group_by=group_by)


HANDLERS: Sequence[ControllerRouterHandler] = (get_usage, *CALLS, *CHANNELS)
