"""All SQL about API keys. The scope comes first and is part of every WHERE."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, select, true, update

from tidemill.identity.contracts import KeyStatus, KeyView
from tidemill.identity.rules import shown_budget, storable
from tidemill.identity.tables import api_keys, users
from tidemill.kernel.actor import Scope, owner_filter
from tidemill.kernel.pages import Page, PageRequest, decode_cursor, encode_cursor
from tidemill.platform.db import Reader, Row, Writer

_k = api_keys.c


class KeySearch(Struct, frozen=True):
    """What to look for: ``text`` in the name, or the shown parts of the key; status; owner."""

    text: str | None = None
    status: KeyStatus | None = None
    user_id: int | None = None


class KeyUse(Struct, frozen=True):
    """How often a key was used since the last count, and the last time."""

    key_id: str
    count: int
    at: datetime
    address: str | None


def _own(scope: Scope) -> ColumnElement[bool]:
    owner = owner_filter(scope)
    return true() if owner is None else _k.user_id == owner


async def add(w: Writer, scope: Scope, values: Mapping[str, Any]) -> None:
    """Add a key; the owner in ``values`` must be the scope's own user unless the scope sees all."""
    owner = owner_filter(scope)
    if owner is not None and values["user_id"] != owner:
        raise PermissionError(f"user {owner} cannot own a key for user {values['user_id']}")
    await w.run(insert(api_keys).values(**values))


async def by_id(r: Reader, scope: Scope, key_id: str, now: datetime) -> KeyView | None:
    """Return one key, None when there is none in ``scope``."""
    row = await r.first(select(api_keys).where(_own(scope), _k.id == key_id))
    return None if row is None else _view(row, now)


async def page(r: Reader, scope: Scope, search: KeySearch, request: PageRequest, now: datetime) -> Page[KeyView]:
    """Return keys, newest first (uses index ix_api_keys_user_id_id), with the count of all that match."""
    matching = _matching(scope, search, now)
    total = await r.scalar(select(func.count()).select_from(api_keys).where(*matching))
    stmt: Select[Any] = select(api_keys).where(*matching).order_by(_k.id.desc()).limit(request.page_size + 1)
    if request.cursor is not None:
        (before,) = decode_cursor(request.cursor, 1)
        stmt = stmt.where(_k.id < storable(str(before)))
    else:
        stmt = stmt.offset(request.offset)
    rows = await r.all(stmt)
    items = [_view(row, now) for row in rows[: request.page_size]]
    more = len(rows) > request.page_size
    return Page(items, total, request.page, request.page_size, encode_cursor(items[-1].id) if more else None)


def _matching(scope: Scope, search: KeySearch, now: datetime) -> list[ColumnElement[bool]]:
    found = [_own(scope)]
    if search.user_id is not None:
        found.append(_k.user_id == search.user_id)
    if search.text:
        text = search.text
        found.append(
            func.lower(_k.name).contains(text.lower(), autoescape=True) | (_k.prefix == text) | (_k.last4 == text)
        )
    match search.status:
        case None:
            return found
        case "active":
            return [*found, _k.status == "active", _k.expires_at.is_(None) | (_k.expires_at > now)]
        case "expired":
            return [*found, _k.status == "active", _k.expires_at <= now]
        case stored:
            return [*found, _k.status == stored]


async def change(w: Writer, scope: Scope, key_id: str, values: Mapping[str, Any]) -> bool:
    """Set columns of one key that is not revoked."""
    return (
        await w.run(update(api_keys).where(_own(scope), _k.id == key_id, _k.status == "active").values(**values)) == 1
    )


async def remove(w: Writer, scope: Scope, key_id: str) -> bool:
    """Delete one key."""
    return await w.run(delete(api_keys).where(_own(scope), _k.id == key_id)) == 1


async def count_uses(w: Writer, scope: Scope, uses: Sequence[KeyUse]) -> None:
    """Add to the counts of use; keys deleted meanwhile are passed over."""
    del scope  # the program's own bookkeeping
    await w.run(
        update(api_keys)
        .where(_k.id == bindparam("the_key"))
        .values(
            use_count=_k.use_count + bindparam("more"),
            last_used_at=bindparam("at"),
            last_used_address=bindparam("address"),
        ),
        [{"the_key": use.key_id, "more": use.count, "at": use.at, "address": use.address} for use in uses],
    )


async def owner_name(r: Reader, scope: Scope, user_id: int) -> str | None:
    """Return the name of a key's owner, None when it is outside ``scope``."""
    owner = owner_filter(scope)
    if owner is not None and owner != user_id:
        return None
    return await r.scalar(select(users.c.username).where(users.c.id == user_id))


def _view(row: Row, now: datetime) -> KeyView:
    expired = row["status"] == "active" and row["expires_at"] is not None and row["expires_at"] <= now
    return KeyView(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        type=row["type"],
        prefix=row["prefix"],
        last4=row["last4"],
        scopes=row["scopes"],
        models=row["models"],
        networks=row["networks"],
        budget=shown_budget(row["budget_nano"]),
        rpm=row["rpm"],
        tpm=row["tpm"],
        concurrency=row["concurrency"],
        tags=row["tags"],
        status="expired" if expired else row["status"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        use_count=row["use_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
