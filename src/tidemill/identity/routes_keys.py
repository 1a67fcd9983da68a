"""One's own API keys."""

from collections.abc import Sequence

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler

from tidemill.identity.contracts import CreatedKey, KeyStatus, KeyView
from tidemill.identity.facade import KeyService
from tidemill.identity.repository_keys import KeySearch
from tidemill.identity.routes_shapes import KeyPatch, KeyRequest
from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, PageRequest
from tidemill.platform.web import RestList, rest_list, signed_in
from tidemill.platform.web.inputs import Cursor, PageNumber, PageSize

Keys = NamedDependency[KeyService]
Caller = NamedDependency[Actor]


@get("/api/v1/keys", guards=[signed_in], tags=["keys"], operation_id="listKeys")
async def list_keys(
    actor: Caller,
    keys: Keys,
    q: FromQuery[str | None] = None,
    status: FromQuery[KeyStatus | None] = None,
    page: PageNumber = 1,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> RestList[KeyView]:
    """One's keys, newest first; `q` looks in names and in the shown parts of the key."""
    request = PageRequest.checked(page, page_size, cursor)
    return rest_list(await keys.page(actor.scope, KeySearch(q, status), request))


@post("/api/v1/keys", status_code=201, guards=[signed_in], tags=["keys"], operation_id="createKey")
async def create_key(data: JSONBody[KeyRequest], actor: Caller, keys: Keys) -> CreatedKey:
    """Make a key. Its secret is in this answer and nowhere else."""
    return CreatedKey.of(await keys.create(actor.scope, actor.user_id, data, actor))


@get("/api/v1/keys/{key_id:str}", guards=[signed_in], tags=["keys"], operation_id="getKey")
async def get_key(key_id: FromPath[str], actor: Caller, keys: Keys) -> KeyView:
    """One key, without its secret."""
    return await keys.get(actor.scope, key_id)


@patch("/api/v1/keys/{key_id:str}", guards=[signed_in], tags=["keys"], operation_id="patchKey")
async def patch_key(key_id: FromPath[str], data: JSONBody[KeyPatch], actor: Caller, keys: Keys) -> KeyView:
    """Change name, scopes or limits of a key that is not revoked."""
    return await keys.change(actor.scope, key_id, data, actor)


@delete("/api/v1/keys/{key_id:str}", status_code=204, guards=[signed_in], tags=["keys"], operation_id="deleteKey")
async def delete_key(key_id: FromPath[str], actor: Caller, keys: Keys) -> None:
    """Delete a key; it stops working at once."""
    await keys.delete(actor.scope, key_id, actor)


@post("/api/v1/keys/{key_id:str}/revoke", status_code=200, guards=[signed_in], tags=["keys"], operation_id="revokeKey")
async def revoke_key(key_id: FromPath[str], actor: Caller, keys: Keys) -> KeyView:
    """Make a key worthless for good, and keep it in the list."""
    return await keys.revoke(actor.scope, key_id, actor)


HANDLERS: Sequence[ControllerRouterHandler] = (list_keys, create_key, get_key, patch_key, delete_key, revoke_key)
