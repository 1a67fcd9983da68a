"""The application API: Litestar, with the handlers of every context and the services they name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Scope
from litestar.utils.scope.state import ScopeState

from tidemill import __version__
from tidemill.platform.settings import Settings
from tidemill.platform.web import faults
from tidemill.platform.web.inputs import provide_actor, provide_lang, provide_page

IGNORED_HEADER = b"x-ignored-fields"


def build_api(
    handlers: Sequence[ControllerRouterHandler], services: Mapping[str, Callable[[], Any]], settings: Settings
) -> Litestar:
    """Join handlers and services; a handler names a service by parameter name."""
    given = {name: Provide(_giver(give), sync_to_thread=False) for name, give in services.items()}
    return Litestar(
        list(handlers),
        dependencies={
            **given,
            "actor": Provide(provide_actor, sync_to_thread=False),
            "lang": Provide(provide_lang, sync_to_thread=False),
            "page_request": Provide(provide_page, sync_to_thread=False),
        },
        exception_handlers={Exception: faults.handle},
        before_send=[name_ignored_fields],
        openapi_config=OpenAPIConfig(
            title="tidemill",
            version=__version__,
            description="Sign in at `/api/v1/auth/login` or send an API key as a Bearer token.",
            path="/",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            use_handler_docstrings=True,
            security=[{"bearer": []}],
            components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
        ),
        request_max_body_size=settings.limits.max_body_bytes,
        logging_config=None,
    )


def _giver(give: Callable[[], Any]) -> Any:
    # A plain function of its own: Litestar reads the annotations of what provides.
    def provide() -> Any:
        return give()

    return provide


async def name_ignored_fields(message: Message, scope: Scope) -> None:
    """On ``/api``, tell in a header which fields of the body nobody reads: earlier front ends may send more."""
    if message["type"] != "http.response.start" or not faults.is_envelope(scope["path"]):
        return
    body = ScopeState.from_scope(scope).body
    handler = cast("Mapping[str, Any]", scope).get("route_handler")
    field = getattr(handler, "parsed_data_field", None)
    if not isinstance(body, bytes) or not body or field is None or not _is_struct(field.annotation):
        return
    known = {entry.encode_name for entry in msgspec.structs.fields(field.annotation)}
    ignored = sorted(set(_keys(body)) - known)
    if ignored:
        names = ", ".join(name for name in ignored if name.isascii() and name.isprintable())
        message["headers"] = [*message["headers"], (IGNORED_HEADER, names.encode("ascii"))]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _keys(body: bytes) -> list[str]:
    try:
        return list(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except msgspec.MsgspecError:
        return []
