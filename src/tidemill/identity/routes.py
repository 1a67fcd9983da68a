"""All of identity over HTTP."""

from collections.abc import Sequence

from litestar.types import ControllerRouterHandler

from tidemill.identity import routes_account, routes_admin, routes_keys

HANDLERS: Sequence[ControllerRouterHandler] = (
    *routes_account.HANDLERS,
    *routes_admin.HANDLERS,
    *routes_keys.HANDLERS,
)
