"""Channels for administrators (``/api/v1/admin/channels``)."""

from collections.abc import Sequence

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from tidemill.kernel.actor import Actor
from tidemill.platform.web import RestList, administrator
from tidemill.relay.contracts import ChannelChange, ChannelTest, ChannelView, ChannelWish
from tidemill.relay.service import ChannelService

Channels = NamedDependency[ChannelService]
Caller = NamedDependency[Actor]

_PATH = "/api/v1/admin/channels"
_ONE = _PATH + "/{channel_id:int}"
_KEY = _ONE + "/keys/{key_id:str}"


class ChannelTestRequest(Struct, forbid_unknown_fields=True):
    """Which of the channel's models to call; absent: its first."""

    model: str | None = None


@get(_PATH, guards=[administrator], tags=["channels"], operation_id="listChannels")
async def list_channels(actor: Caller, channels: Channels, q: FromQuery[str | None] = None) -> RestList[ChannelView]:
    """Every channel with its live figures, local models (read-only) last; `q` looks in names, models and tags."""
    found = await channels.all(actor.admin_scope, q=q)
    return RestList(found, None, len(found))


@post(_PATH, status_code=201, guards=[administrator], tags=["channels"], operation_id="createChannel")
async def create_channel(data: JSONBody[ChannelWish], actor: Caller, channels: Channels) -> ChannelView:
    """Make a channel. Keys are sealed and never answered again."""
    return await channels.create(actor.admin_scope, data, actor)


@get(_ONE, guards=[administrator], tags=["channels"], operation_id="getChannel")
async def get_channel(channel_id: FromPath[int], actor: Caller, channels: Channels) -> ChannelView:
    """One channel."""
    return await channels.get(actor.admin_scope, channel_id)


@patch(_ONE, guards=[administrator], tags=["channels"], operation_id="patchChannel")
async def patch_channel(
    channel_id: FromPath[int], data: JSONBody[ChannelChange], actor: Caller, channels: Channels
) -> ChannelView:
    """Change what is sent; `keys` replaces all keys."""
    return await channels.change(actor.admin_scope, channel_id, data, actor)


@delete(_ONE, status_code=204, guards=[administrator], tags=["channels"], operation_id="deleteChannel")
async def delete_channel(channel_id: FromPath[int], actor: Caller, channels: Channels) -> None:
    """Delete a channel; its calls under way end first."""
    await channels.delete(actor.admin_scope, channel_id, actor)


@post(_ONE + "/test", status_code=200, guards=[administrator], tags=["channels"], operation_id="testChannel")
async def try_channel(
    channel_id: FromPath[int], actor: Caller, channels: Channels, data: JSONBody[ChannelTestRequest | None] = None
) -> ChannelTest:
    """Call the channel once, past its limits and breaker."""
    return await channels.test(actor.admin_scope, channel_id, data.model if data else None, actor.user_id)


@post(_ONE + "/enable", status_code=200, guards=[administrator], tags=["channels"], operation_id="enableChannel")
async def enable_channel(channel_id: FromPath[int], actor: Caller, channels: Channels) -> ChannelView:
    """Let the channel take calls."""
    return await channels.set_status(actor.admin_scope, channel_id, "enabled", actor)


@post(_ONE + "/disable", status_code=200, guards=[administrator], tags=["channels"], operation_id="disableChannel")
async def disable_channel(channel_id: FromPath[int], actor: Caller, channels: Channels) -> ChannelView:
    """Let the channel take no calls."""
    return await channels.set_status(actor.admin_scope, channel_id, "disabled", actor)


@post(_ONE + "/drain", status_code=200, guards=[administrator], tags=["channels"], operation_id="drainChannel")
async def drain_channel(channel_id: FromPath[int], actor: Caller, channels: Channels) -> ChannelView:
    """Let the channel end its calls and take no new ones."""
    return await channels.set_status(actor.admin_scope, channel_id, "draining", actor)


@post(_KEY + "/enable", status_code=200, guards=[administrator], tags=["channels"], operation_id="enableChannelKey")
async def enable_key(
    channel_id: FromPath[int], key_id: FromPath[str], actor: Caller, channels: Channels
) -> ChannelView:
    """Let a key be used again, whatever it was disabled for."""
    return await channels.set_key_status(actor.admin_scope, channel_id, key_id, "active", actor)


@post(_KEY + "/disable", status_code=200, guards=[administrator], tags=["channels"], operation_id="disableChannelKey")
async def disable_key(
    channel_id: FromPath[int], key_id: FromPath[str], actor: Caller, channels: Channels
) -> ChannelView:
    """Let a key be used no longer; the channel's other keys carry its calls."""
    return await channels.set_key_status(actor.admin_scope, channel_id, key_id, "disabled", actor)


HANDLERS: Sequence[ControllerRouterHandler] = (
    list_channels,
    create_channel,
    get_channel,
    patch_channel,
    delete_channel,
    try_channel,
    enable_channel,
    disable_channel,
    drain_channel,
    enable_key,
    disable_key,
)
