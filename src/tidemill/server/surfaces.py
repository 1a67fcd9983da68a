"""Which routes there are, which services they name, and what answers below which path."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from litestar.types import ControllerRouterHandler

from tidemill.localmodels.routes import HANDLERS as LOCAL_MODELS
from tidemill.server.edge import App
from tidemill.server.health import HANDLERS as HEALTH

if TYPE_CHECKING:
    from tidemill.server.wiring import Runtime

_API_PATHS: tuple[str, ...] = ("/api", "/health", "/readyz", "/startupz", "/metrics", "/openapi.json")
_EVENT_STREAMS = ("/api/progress/",)


def handlers() -> Sequence[ControllerRouterHandler]:
    """Return the routes of every context."""
    return [*HEALTH, *LOCAL_MODELS]


def services(runtime: "Runtime") -> Mapping[str, Any]:
    """Return what routes may ask for, by parameter name."""
    return {
        "settings": runtime.settings,
        "checks": runtime.checks,
        "local_models": runtime.local_models,
    }


def mounts(runtime: "Runtime") -> Mapping[str, App]:
    """Return the applications by path prefix, in the order in which they are tried."""
    api = cast("App", runtime.api)
    return dict.fromkeys(_API_PATHS, api)


def is_event_stream(path: str) -> bool:
    """Tell whether ``?access_token=`` counts here: a browser's EventSource cannot send headers."""
    return path.startswith(_EVENT_STREAMS)
