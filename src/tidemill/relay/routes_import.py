"""Channels as a file that leaves and enters over HTTP (``/api/v1/admin/channels/export|import``)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.platform.web import administrator
from tidemill.relay.contracts_admin import ImportReport
from tidemill.relay.imports import ChannelImports

Imports = NamedDependency[ChannelImports]
Caller = NamedDependency[Actor]
Format = Annotated[Literal["yaml", "json"], QueryParameter(description="yaml or json.")]
DryRun = Annotated[bool, QueryParameter(description="Tell what would change; change nothing.")]

_PATH = "/api/v1/admin/channels"


@get(
    _PATH + "/export",
    guards=[administrator],
    tags=["channels"],
    operation_id="exportChannels",
    media_type="text/yaml",
)
async def export_channels(actor: Caller, imports: Imports, format: Format = "yaml") -> Response[bytes]:  # noqa: A002 - the name in the query
    """Every channel as YAML or JSON, without keys; what model configurations and local models make is left out."""
    if format == "json":
        tree = {"channels": await imports.export(actor.admin_scope)}
        content, media_type = msgspec.json.encode(tree), "application/json"
    else:
        content, media_type = (await imports.export_yaml(actor.admin_scope)).encode(), "text/yaml"
    disposition = {"content-disposition": f'attachment; filename="channels.{format}"'}
    return Response(content, media_type=media_type, headers=disposition)


@post(_PATH + "/import", status_code=200, guards=[administrator], tags=["channels"], operation_id="importChannels")
async def import_channels(
    request: Request[Any, Any, Any],
    actor: Caller,
    imports: Imports,
    dry_run: DryRun = False,  # noqa: FBT002 - a query parameter
) -> ImportReport:
    """Make or change the channels of a YAML or JSON body (``channels: [...]``) by name; all of them or none.

    What an entry leaves out stays; ``keys`` in an entry replaces that channel's keys. The answer names each changed
    channel's fields, before and after.
    """
    return await imports.take(actor.admin_scope, await request.body(), actor, dry_run=dry_run)


HANDLERS: Sequence[ControllerRouterHandler] = (export_channels, import_channels)
