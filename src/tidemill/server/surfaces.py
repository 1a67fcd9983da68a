"""Which routes there are, which services they name, and what answers below which path."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from litestar.types import ControllerRouterHandler

from tidemill.audit.routes import HANDLERS as AUDIT
from tidemill.datagen.reports.routes import HANDLERS as REPORTS
from tidemill.datagen.review.routes import HANDLERS as REVIEW
from tidemill.datagen.routes import HANDLERS as TASKS
from tidemill.datagen.samples.routes import HANDLERS as SAMPLES
from tidemill.identity.routes import HANDLERS as IDENTITY
from tidemill.localmodels.routes import HANDLERS as LOCAL_MODELS
from tidemill.metering.routes import HANDLERS as USAGE
from tidemill.relay.routes import HANDLERS as RELAY
from tidemill.server.edge import App
from tidemill.server.health import HANDLERS as HEALTH

if TYPE_CHECKING:
    from tidemill.server.wiring import Runtime

_API_PATHS: tuple[str, ...] = ("/api", "/health", "/readyz", "/startupz", "/metrics", "/openapi.json")
_EVENT_STREAMS = ("/api/progress/",)


def handlers() -> Sequence[ControllerRouterHandler]:
    """Return the routes of every context."""
    return [*HEALTH, *IDENTITY, *AUDIT, *RELAY, *USAGE, *LOCAL_MODELS, *SAMPLES, *TASKS, *REVIEW, *REPORTS]


def services(runtime: "Runtime") -> Mapping[str, Callable[[], Any]]:
    """Return what gives each thing that routes may ask for, by parameter name; built when it is first asked for."""
    return {
        "settings": lambda: runtime.settings,
        "checks": lambda: runtime.checks,
        "identity": lambda: runtime.identity.users,
        "user_administration": lambda: runtime.identity.administration,
        "keys": lambda: runtime.identity.keys,
        "audit": lambda: runtime.identity.audit,
        "local_models": lambda: runtime.local_models,
        "sample_files": lambda: runtime.sample_files,
        "tasks": lambda: runtime.tasks,
        "review": lambda: runtime.review,
        "reports": lambda: runtime.reports,
        "relay": lambda: runtime.relay_context.relay,
        "channels": lambda: runtime.relay_context.channels,
        "model_configs": lambda: runtime.relay_context.model_configs,
        "usage": lambda: runtime.usage,
        "balances": lambda: runtime.balances,
    }


def mounts(runtime: "Runtime") -> Mapping[str, App]:
    """Return the applications by path prefix, in the order in which they are tried."""
    api = cast("App", runtime.api)
    return {**dict.fromkeys(_API_PATHS, api), "/v1": runtime.relay_app}


def is_event_stream(path: str) -> bool:
    """Tell whether ``?access_token=`` counts here: a browser's EventSource cannot send headers."""
    return path.startswith(_EVENT_STREAMS)
