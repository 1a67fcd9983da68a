"""Model configurations for administrators (``/api/admin/models``, in the envelope)."""

from collections.abc import Sequence

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web import Envelope, ListData, administrator, list_data, ok
from tidemill.platform.web.inputs import PageNumber, PageSize
from tidemill.relay.config_rows import ModelConfigChange, ModelConfigView, ModelConfigWish
from tidemill.relay.config_service import ModelConfigService

Configs = NamedDependency[ModelConfigService]
Caller = NamedDependency[Actor]

_PATH = "/api/admin/models"
_ONE = _PATH + "/{config_id:int}"


@get(_PATH, guards=[administrator], tags=["models"], operation_id="listModelConfigs")
async def list_configs(
    actor: Caller,
    model_configs: Configs,
    q: FromQuery[str | None] = None,
    page: PageNumber = 1,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
) -> Envelope[ListData[ModelConfigView]]:
    """Every configuration, keys masked."""
    request = PageRequest.checked(page, page_size)
    return list_data(await model_configs.page(actor.admin_scope, request, q))


@post(_PATH, status_code=200, guards=[administrator], tags=["models"], operation_id="createModelConfig")
async def create_config(
    data: JSONBody[ModelConfigWish], actor: Caller, model_configs: Configs
) -> Envelope[ModelConfigView]:
    """Make a configuration; a port range in `api_url` makes one channel each."""
    return ok(await model_configs.create(actor.admin_scope, data, actor))


@get(_ONE, guards=[administrator], tags=["models"], operation_id="getModelConfig")
async def get_config(config_id: FromPath[int], actor: Caller, model_configs: Configs) -> Envelope[ModelConfigView]:
    """One configuration."""
    return ok(await model_configs.get(actor.admin_scope, config_id))


@put(_ONE, guards=[administrator], tags=["models"], operation_id="putModelConfig")
async def put_config(
    config_id: FromPath[int], data: JSONBody[ModelConfigChange], actor: Caller, model_configs: Configs
) -> Envelope[ModelConfigView]:
    """Change what is sent; the mask sent back as `api_key` keeps the stored one."""
    return ok(await model_configs.change(actor.admin_scope, config_id, data, actor))


@delete(_ONE, status_code=200, guards=[administrator], tags=["models"], operation_id="deleteModelConfig")
async def delete_config(config_id: FromPath[int], actor: Caller, model_configs: Configs) -> Envelope[None]:
    """Delete a configuration and its channels."""
    await model_configs.delete(actor.admin_scope, config_id, actor)
    return ok(None)


HANDLERS: Sequence[ControllerRouterHandler] = (list_configs, create_config, get_config, put_config, delete_config)
