"""All SQL about users and the sessions taken back. The scope comes first and is part of every WHERE."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, delete, func, insert, or_, select, true, update

from tidemill.identity.contracts import UserView
from tidemill.identity.tables import revoked_sessions, users
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.kernel.pages import Page, PageRequest, decode_id_cursor, encode_cursor
from tidemill.platform.db import Reader, Row, Writer, insert_or_nothing

_u = users.c


class UserRow(Struct, frozen=True):
    """A user with what never leaves identity."""

    view: UserView
    password_hash: str
    epoch: int
    password_is_initial: bool


class UserSearch(Struct, frozen=True):
    """What to look for: ``text`` in name or address, role, state."""

    text: str | None = None
    is_admin: bool | None = None
    is_active: bool | None = None


def _own(scope: Scope) -> ColumnElement[bool]:
    owner = owner_filter(scope)
    return true() if owner is None else _u.id == owner


async def by_id(r: Reader, scope: Scope, user_id: int) -> UserRow | None:
    """Return one user, None when there is none in ``scope``."""
    return _row(await r.first(select(users).where(_own(scope), _u.id == user_id)))


async def by_username_key(r: Reader, scope: Scope, key: str) -> UserRow | None:
    """Return the user of that name (uses index uq_users_username_key)."""
    return _row(await r.first(select(users).where(_own(scope), _u.username_key == key)))


async def by_email(r: Reader, scope: Scope, email: str) -> UserRow | None:
    """Return the user of that address (uses index uq_users_email)."""
    return _row(await r.first(select(users).where(_own(scope), _u.email == email)))


async def page(r: Reader, scope: Scope, search: UserSearch, request: PageRequest) -> Page[UserView]:
    """Return users by id, by number or by cursor, with the count of all that match."""
    matching = _matching(scope, search)
    total = await r.scalar(select(func.count()).select_from(users).where(*matching))
    stmt: Select[Any] = select(users).where(*matching).order_by(_u.id).limit(request.page_size + 1)
    if request.cursor is not None:
        stmt = stmt.where(_u.id > decode_id_cursor(request.cursor))
    else:
        stmt = stmt.offset(request.offset)
    rows = await r.all(stmt)
    items = [_view(row) for row in rows[: request.page_size]]
    more = len(rows) > request.page_size
    return Page(items, total, request.page, request.page_size, encode_cursor(items[-1].id) if more else None)


def _matching(scope: Scope, search: UserSearch) -> list[ColumnElement[bool]]:
    found = [_own(scope)]
    if search.text:
        found.append(
            or_(
                _u.username_key.contains(search.text.casefold(), autoescape=True),
                _u.email.contains(search.text.lower(), autoescape=True),
            )
        )
    if search.is_admin is not None:
        found.append(_u.is_admin == search.is_admin)
    if search.is_active is not None:
        found.append(_u.is_active == search.is_active)
    return found


async def add(w: Writer, scope: Scope, values: Mapping[str, Any]) -> int:
    """Add a user and return its id; raises IntegrityError when the name or address is taken."""
    del scope  # nobody owns a user that is not there yet
    return await w.scalar(insert(users).values(**values).returning(_u.id))


async def change(
    w: Writer, scope: Scope, user_id: int, values: Mapping[str, Any], *, only_if_hash: str | None = None
) -> bool:
    """Set columns of one user; with ``only_if_hash`` only while its password is still that one."""
    stmt = update(users).where(_own(scope), _u.id == user_id).values(**values)
    if only_if_hash is not None:
        stmt = stmt.where(_u.password_hash == only_if_hash)
    return await w.run(stmt) == 1


async def revoke_all_sessions(w: Writer, scope: Scope, user_id: int, now: datetime) -> None:
    """Make every token of a user worthless by counting its epoch up."""
    await w.run(
        update(users).where(_own(scope), _u.id == user_id).values(token_epoch=_u.token_epoch + 1, updated_at=now)
    )


async def remove(w: Writer, scope: Scope, user_id: int) -> bool:
    """Delete a user; keys and revoked sessions go with it by foreign key."""
    return await w.run(delete(users).where(_own(scope), _u.id == user_id)) == 1


async def lock_active_administrators(w: Writer, scope: Scope) -> list[int]:
    """Return the ids of active administrators, locked so that two requests cannot both remove the last but one."""
    stmt = select(_u.id).where(_own(scope), _u.is_admin, _u.is_active).order_by(_u.id).with_for_update()
    return [row["id"] for row in await w.all(stmt)]


async def administrator_exists(r: Reader, scope: Scope) -> bool:
    """Tell whether there is an administrator, active or not."""
    return await r.scalar(select(_u.id).where(_own(scope), _u.is_admin).limit(1)) is not None


async def revoke_session(w: Writer, scope: Scope, user_id: int, jti: str, now: datetime, until: datetime) -> None:
    """Take one session back until its last token would have expired, and forget those that have."""
    del scope  # the session is the caller's own; user_id comes from its token
    values = {"jti": jti, "user_id": user_id, "revoked_at": now, "expires_at": until}
    await w.run(insert_or_nothing(revoked_sessions, ["jti"]).values(**values))
    await w.run(delete(revoked_sessions).where(revoked_sessions.c.expires_at <= now))


def _row(row: Row | None) -> UserRow | None:
    if row is None:
        return None
    return UserRow(_view(row), row["password_hash"], row["token_epoch"], row["password_is_initial"])


def _view(row: Row) -> UserView:
    return UserView(
        id=row["id"],
        username=row["username"],
        email=row["email"],
        is_active=row["is_active"],
        is_admin=row["is_admin"],
        group=row["group"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_login_at=row["last_login_at"],
    )
