"""What channels did, for administrators (``/api/v1/admin/channels/stats``)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.metering.channel_figures import ChannelUsage
from tidemill.metering.contracts_calls import ChannelReport, ChannelsFigures
from tidemill.platform.web import administrator

Usage = NamedDependency[ChannelUsage]
Caller = NamedDependency[Actor]
_Since = Annotated[
    datetime | None, QueryParameter(name="from", description="Begin, RFC 3339; absent: 24 hours before.")
]
_Until = Annotated[datetime | None, QueryParameter(name="to", description="End, RFC 3339; absent: now.")]
_Series = Annotated[bool, QueryParameter(description="Each channel's hours too; for two days at most.")]

_PATH = "/api/v1/admin/channels"


@get(_PATH + "/stats", guards=[administrator], tags=["channels"], operation_id="getChannelsStats")
async def get_stats(
    actor: Caller, channel_usage: Usage, since: _Since = None, until: _Until = None, *, series: _Series = False
) -> ChannelsFigures:
    """Tell requests, errors, tokens, latency and cost of every channel that was called, and today's cost (UTC)."""
    return await channel_usage.all(actor.admin_scope, since=since, until=until, series=series)


@get(_PATH + "/{channel_id:int}/stats", guards=[administrator], tags=["channels"], operation_id="getChannelStats")
async def get_channel_stats(
    channel_id: FromPath[int], actor: Caller, channel_usage: Usage, since: _Since = None, until: _Until = None
) -> ChannelReport:
    """One channel by the hour, by model, and by how its calls ended."""
    return await channel_usage.one(actor.admin_scope, channel_id, since=since, until=until)


HANDLERS: Sequence[ControllerRouterHandler] = (get_stats, get_channel_stats)
