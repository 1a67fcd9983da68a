"""Which routes there are, which services they name, and what answers below which path."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar.types import ControllerRouterHandler

from tidemill.audit.routes import HANDLERS as AUDIT
from tidemill.datagen.reports.routes import HANDLERS as REPORTS
from tidemill.datagen.review.routes import HANDLERS as REVIEW
from tidemill.datagen.routes import HANDLERS as TASKS
from tidemill.datagen.samples.routes import HANDLERS as SAMPLES
from tidemill.identity.routes import HANDLERS as IDENTITY
from tidemill.localmodels.routes import HANDLERS as LOCAL_MODELS
from tidemill.metering.routes import HANDLERS as USAGE
from tidemill.operations.alerts.routes import HANDLERS as ALERTS
from tidemill.operations.routes import HANDLERS as OPERATIONS
from tidemill.relay.health.routes import HANDLERS as CHANNEL_HEALTH
from tidemill.relay.routes import HANDLERS as RELAY
from tidemill.server.docs import docs
from tidemill.server.entry import App
from tidemill.server.health import HANDLERS as HEALTH
from tidemill.server.live.routes import HANDLERS as LIVE
from tidemill.server.parts import Parts

_API_PATHS: tuple[str, ...] = ("/api", "/health", "/readyz", "/startupz", "/metrics", "/openapi.json", "/docs")
_EVENT_STREAMS = ("/api/progress/", "/api/v1/events")


def handlers() -> Sequence[ControllerRouterHandler]:
    """Return the routes of every context."""
    return [
        *HEALTH,
        docs,
        *IDENTITY,
        *AUDIT,
        *RELAY,
        *CHANNEL_HEALTH,
        *USAGE,
        *OPERATIONS,
        *ALERTS,
        *LOCAL_MODELS,
        *SAMPLES,
        *TASKS,
        *REVIEW,
        *REPORTS,
        *LIVE,
    ]


def services(parts: Parts) -> Mapping[str, Callable[[], Any]]:
    """Return what gives each thing that routes may ask for, by parameter name; built when it is first asked for."""
    return {
        "settings": lambda: parts.settings,
        "checks": lambda: parts.checks,
        "identity": lambda: parts.identity.users,
        "user_administration": lambda: parts.identity.administration,
        "keys": lambda: parts.identity.keys,
        "audit": lambda: parts.identity.audit,
        "local_models": lambda: parts.local_models,
        "sample_files": lambda: parts.sample_files,
        "tasks": lambda: parts.tasks,
        "review": lambda: parts.review,
        "reports": lambda: parts.reports,
        "relay": lambda: parts.relay_context.relay,
        "channels": lambda: parts.relay_context.channels,
        "model_configs": lambda: parts.relay_context.model_configs,
        "rules": lambda: parts.relay_context.rules,
        "imports": lambda: parts.relay_context.imports,
        "usage": lambda: parts.usage,
        "calls": lambda: parts.calls,
        "channel_usage": lambda: parts.channel_usage,
        "balances": lambda: parts.balances,
        "desk": lambda: parts.job_service,
        "queues": lambda: parts.queues,
        "schedules": lambda: parts.schedules,
        "statuses": lambda: parts.statuses,
        "alerts": lambda: parts.alerts,
        "channel_health": lambda: parts.channel_health.service,
        "alert_sender": lambda: parts.alert_sender,
        "live": lambda: parts.live,
    }


def mounts(api: App, relay: App) -> Mapping[str, App]:
    """Return the applications by path prefix, in the order in which they are tried."""
    return {**dict.fromkeys(_API_PATHS, api), "/v1": relay, "/v1beta": relay}


def sockets(parts: Parts) -> Mapping[str, App]:
    """Return the applications that serve WebSockets, by path."""
    return {"/api/v1/ws": parts.live.sockets}


def is_event_stream(path: str) -> bool:
    """Tell whether ``?access_token=`` counts here: a browser's EventSource cannot send headers."""
    return path.startswith(_EVENT_STREAMS)
