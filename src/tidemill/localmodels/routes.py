"""``/api/v1/models/``: list, start, stop, logs and metrics. Chat with a local model belongs to the relay."""

from typing import Annotated, Any

from litestar import get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from tidemill.kernel.errors import Forbidden
from tidemill.kernel.lang import Lang
from tidemill.localmodels.contracts import LocalModelView, LogPage, ModelMetrics
from tidemill.localmodels.facade import LocalModels
from tidemill.platform.web import signed_in
from tidemill.platform.web.guards import actor_of

Models = NamedDependency[LocalModels]
Language = NamedDependency[Lang]


class LocalModelList(Struct, frozen=True):
    """Every local model, by name."""

    models: list[LocalModelView]


def may_run_models(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let administrators through, and keys with the scope ``models``."""
    actor = actor_of(connection)
    if not (actor.may_administer or (actor.via == "key" and actor.may("models"))):
        raise Forbidden("local models are run by administrators and by keys with the scope models")


@get("/api/v1/models", guards=[signed_in], tags=["local models"])
async def list_models(local_models: Models, lang: Language) -> LocalModelList:
    """List the models of the folder and the settings, with what each is doing."""
    return LocalModelList(local_models.list(lang))


@get("/api/v1/models/{name:str}", guards=[signed_in], tags=["local models"])
async def get_model(local_models: Models, name: FromPath[str], lang: Language) -> LocalModelView:
    """Show one model."""
    return local_models.get(name, lang)


@post("/api/v1/models/{name:str}/start", guards=[may_run_models], status_code=200, tags=["local models"])
async def start_model(
    local_models: Models,
    name: FromPath[str],
    lang: Language,
    wait: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
) -> LocalModelView:
    """Start a model and keep it running until it is stopped.

    Answers at once with the state so far; with ``wait=true`` when the model is ready or has failed.
    """
    return await local_models.start(name, wait=wait, lang=lang)


@post("/api/v1/models/{name:str}/stop", guards=[may_run_models], status_code=200, tags=["local models"])
async def stop_model(
    local_models: Models,
    name: FromPath[str],
    lang: Language,
    wait: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
) -> LocalModelView:
    """Stop a model after its requests in flight; with ``wait=true`` answer when it has ended."""
    return await local_models.stop(name, wait=wait, lang=lang)


@get("/api/v1/models/{name:str}/logs", guards=[may_run_models], tags=["local models"])
async def model_logs(
    local_models: Models,
    name: FromPath[str],
    lines: Annotated[int, QueryParameter(ge=1, le=2000, description="How many of the last lines.")] = 200,
    after: Annotated[int, QueryParameter(ge=0, description="Only lines after this: `next` of the last answer.")] = 0,
) -> LogPage:
    """Show the end of a model's log."""
    return local_models.logs(name, lines, after)


@get("/api/v1/models/{name:str}/metrics", guards=[signed_in], tags=["local models"])
async def model_metrics(local_models: Models, name: FromPath[str]) -> ModelMetrics:
    """Show what a model's processes count."""
    return await local_models.metrics(name)


HANDLERS: list[ControllerRouterHandler] = [list_models, get_model, start_model, stop_model, model_logs, model_metrics]
