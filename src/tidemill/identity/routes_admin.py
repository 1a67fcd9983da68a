"""Users as administrators see them."""

from collections.abc import Sequence

from litestar import delete, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET

from tidemill.identity.admin_service import UserChange
from tidemill.identity.contracts import Role
from tidemill.identity.facade import UserAdministration
from tidemill.identity.repository import UserSearch
from tidemill.identity.routes_shapes import User, UserPatch, user_body
from tidemill.kernel.actor import Actor
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import DEFAULT_PAGE_SIZE, Page, PageRequest
from tidemill.platform.web import Envelope, ListData, administrator, list_data
from tidemill.platform.web.inputs import Cursor, PageNumber, PageSize

Users = NamedDependency[UserAdministration]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]


@get("/api/admin/users", guards=[administrator], tags=["administration"], operation_id="listUsers")
async def list_users(
    actor: Caller,
    user_administration: Users,
    q: FromQuery[str | None] = None,
    role: FromQuery[Role | None] = None,
    is_active: FromQuery[bool | None] = None,
    page: PageNumber = 1,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Envelope[ListData[User]]:
    """All users by id; `q` looks in names and addresses."""
    search = UserSearch(q, None if role is None else role == "admin", is_active)
    found = await user_administration.page(actor.admin_scope, search, PageRequest.checked(page, page_size, cursor))
    return list_data(
        Page([user_body(user) for user in found.items], found.total, found.page, found.page_size, found.next)
    )


@delete(
    "/api/admin/users/{user_id:int}",
    status_code=200,
    guards=[administrator],
    tags=["administration"],
    operation_id="deleteUser",
)
async def delete_user(
    user_id: FromPath[int], actor: Caller, user_administration: Users, lang: Language
) -> Envelope[None]:
    """Delete a user and everything it owns. 1002 when there is none; 409 for the last administrator."""
    await user_administration.delete(actor.admin_scope, user_id, actor)
    return Envelope[None](None, "用户已删除" if lang == "zh" else "User deleted.")


@patch("/api/v1/admin/users/{user_id:int}", guards=[administrator], tags=["administration"], operation_id="patchUser")
async def patch_user(
    user_id: FromPath[int], data: JSONBody[UserPatch], actor: Caller, user_administration: Users
) -> User:
    """Change state, role or group; disabling a user ends its sessions and stops its keys."""
    wanted = UserChange(
        is_active=UNSET if data.is_active is None else data.is_active,
        role=UNSET if data.role is None else data.role,
        group=UNSET if data.group is None else data.group,
    )
    return user_body(await user_administration.change(actor.admin_scope, user_id, wanted, actor))


HANDLERS: Sequence[ControllerRouterHandler] = (list_users, delete_user, patch_user)
