"""What administrators (and the command line) do with users: list, make, change, delete, set a password."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

from tidemill.audit.facade import erase_person, record
from tidemill.identity import repository, rules
from tidemill.identity.accounts import NewUser, add_user, set_password
from tidemill.identity.contracts import Role, UserView
from tidemill.identity.errors import LastAdministrator, UserNotFound
from tidemill.identity.house import TOPIC, House
from tidemill.identity.repository import UserRow, UserSearch
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, AdminScope, SystemScope
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import Page, PageRequest
from tidemill.platform.db import Reader

AllScope = AdminScope | SystemScope
MAX_GROUP = 50
MAX_USER_ID = 2**31 - 1


class UserChange(Struct, frozen=True):
    """What to change about a user; what is absent stays."""

    is_active: bool | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    group: str | UnsetType = UNSET


class UserAdministration:
    """Every method takes a scope that sees all; ``actor`` is who the audit log names (None: the command line)."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def page(self, scope: AllScope, search: UserSearch, request: PageRequest) -> Page[UserView]:
        """Return users by id."""
        clean = structs.replace(search, text=rules.storable(search.text) if search.text else None)
        async with self._house.db.read() as r:
            return await repository.page(r, scope, clean, request)

    async def get(self, scope: AllScope, user_id: int) -> UserView:
        """Return one user; raises UserNotFound."""
        async with self._house.db.read() as r:
            return (await _must(r, scope, user_id)).view

    async def named(self, scope: AllScope, username: str) -> UserView:
        """Return the user of that name; raises UserNotFound."""
        async with self._house.db.read() as r:
            user = await repository.by_username_key(r, scope, rules.username_key(username))
        if user is None:
            raise UserNotFound
        return user.view

    async def create(self, scope: AllScope, new: NewUser, actor: Actor | None) -> UserView:
        """Make an account, also where registration is closed."""
        return await add_user(self._house, scope, new, actor)

    async def change(self, scope: AllScope, user_id: int, wanted: UserChange, actor: Actor | None) -> UserView:
        """Change state, role or group.

        Disabling a user ends its sessions. Raises UserNotFound, LastAdministrator, BadInput for an empty group.
        """
        async with self._house.db.write() as w:
            administrators = await repository.lock_active_administrators(w, scope)
            user = (await _must(w, scope, user_id)).view
            values = _changes(user, wanted)
            loses_office = values.get("is_active") is False or values.get("is_admin") is False
            if loses_office and administrators == [user_id]:
                raise LastAdministrator
            if values:
                await repository.change(w, scope, user_id, {**values, "updated_at": clock.now()})
                if values.get("is_active") is False:
                    await repository.revoke_all_sessions(w, scope, user_id, clock.now())
                before = {name: getattr(user, name) for name in values}
                await record(
                    w,
                    actor=actor,
                    action="user.change",
                    object_type="user",
                    object_id=user_id,
                    details={"before": before, "after": values},
                )
                w.changed(TOPIC)
            changed = (await _must(w, scope, user_id)).view
        await self._house.snapshots.refresh()
        return changed

    async def set_password(self, scope: AllScope, user_id: int, password: str, actor: Actor | None) -> None:
        """Give a user a new password and end its sessions; raises UserNotFound, BadInput."""
        rules.refuse(rules.password_problem(password))
        new_hash = await self._house.passwords.hash(password)
        async with self._house.db.write() as w:
            user = await _must(w, scope, user_id)
            await set_password(w, scope, self._house, user, new_hash)
            await record(w, actor=actor, action="user.password", object_type="user", object_id=user_id)
        await self._house.snapshots.refresh()

    async def reset_token(self, scope: AllScope, user_id: int, actor: Actor | None) -> str:
        """Return a token with which the user sets a new password within 30 minutes, once; raises UserNotFound."""
        async with self._house.db.write() as w:
            user = await _must(w, scope, user_id)
            await record(w, actor=actor, action="user.reset_token", object_type="user", object_id=user_id)
        return self._house.tokens.issue_reset(user_id, user.epoch)

    async def delete(self, scope: AllScope, user_id: int, actor: Actor | None) -> None:
        """Delete a user with everything it owns; audit entries and bills stay, without its name.

        All in one transaction. Raises UserNotFound, LastAdministrator.
        """
        async with self._house.db.write() as w:
            administrators = await repository.lock_active_administrators(w, scope)
            user = await _must(w, scope, user_id)
            if administrators == [user_id]:
                raise LastAdministrator
            for eraser in self._house.erasers:
                await eraser.erase(w, scope, user_id)
            await repository.remove(w, scope, user_id)
            await record(w, actor=actor, action="user.delete", object_type="user", object_id=user_id)
            await erase_person(w, scope, user_id)
            self._house.forget_initial_password(w, user)
            w.changed(TOPIC)
        await self._house.snapshots.refresh()


async def _must(r: Reader, scope: AllScope, user_id: int) -> UserRow:
    user = await repository.by_id(r, scope, user_id) if 0 < user_id <= MAX_USER_ID else None
    if user is None:
        raise UserNotFound
    return user


def _changes(user: UserView, wanted: UserChange) -> dict[str, Any]:
    """Return the columns that would really change."""
    values: dict[str, Any] = {}
    if wanted.is_active is not UNSET:
        values["is_active"] = wanted.is_active
    if wanted.role is not UNSET:
        values["is_admin"] = wanted.role == "admin"
    if wanted.group is not UNSET:
        group = wanted.group.strip()
        if not 1 <= len(group) <= MAX_GROUP or "\x00" in group:
            raise BadInput.of("group", f"must have 1 to {MAX_GROUP} characters")
        values["group"] = group
    return {name: value for name, value in values.items() if getattr(user, name) != value}
