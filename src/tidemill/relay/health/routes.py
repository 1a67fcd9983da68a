"""The health of channels over HTTP, for administrators."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import PageRequest
from tidemill.platform.web import RestList, administrator, rest_list
from tidemill.platform.web.inputs import Cursor, PageSize
from tidemill.relay.health.contracts import ChannelEvent, ChannelHealth, ChannelStrip
from tidemill.relay.health.service import MOST_PROBES, HealthService

Health = NamedDependency[HealthService]
Caller = NamedDependency[Actor]

_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["channels"]}
_ONE = "/api/v1/admin/channels/{channel_id:int}"
From = Annotated[
    datetime | None, QueryParameter(name="from", description="Probes from this moment on; absent: a day before `to`.")
]
To = Annotated[datetime | None, QueryParameter(name="to", description="Probes before this moment; absent: now.")]
Probes = Annotated[int, QueryParameter(ge=1, le=MOST_PROBES, description="How many probes of each channel.")]


@get(_ONE + "/health", operation_id="getChannelHealth", **_ADMIN)
async def get_channel_health(
    actor: Caller, channel_health: Health, channel_id: FromPath[int], since: From = None, until: To = None
) -> ChannelHealth:
    """Chart a channel's probes: at most 500 intervals, each with its median latency and its failures."""
    return await channel_health.chart(actor.admin_scope, channel_id, _in_utc(since), _in_utc(until))


@get(_ONE + "/events", operation_id="listChannelEvents", **_ADMIN)
async def list_channel_events(
    actor: Caller, channel_health: Health, channel_id: FromPath[int], page_size: PageSize = 50, cursor: Cursor = None
) -> RestList[ChannelEvent]:
    """List what befell a channel, newest first: its breakers, its keys, its balance; pages by `cursor`."""
    request = PageRequest.checked(1, page_size, cursor)
    return rest_list(await channel_health.events(actor.admin_scope, channel_id, request))


@get("/api/v1/admin/health", operation_id="listChannelHealth", **_ADMIN)
async def list_channel_health(actor: Caller, channel_health: Health, probes: Probes = 30) -> RestList[ChannelStrip]:
    """Every channel with its last probes and whether it is up."""
    found = await channel_health.strips(actor.admin_scope, probes)
    return RestList(found, None, len(found))


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


HANDLERS: Sequence[ControllerRouterHandler] = (get_channel_health, list_channel_events, list_channel_health)
