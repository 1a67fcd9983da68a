"""API keys: make, show, change, revoke, delete."""

from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

from tidemill.audit.facade import record
from tidemill.identity import key_format, repository_keys, rules
from tidemill.identity.contracts import DEFAULT_KEY_SCOPES, KeyType, KeyView, NewKey
from tidemill.identity.errors import KeyNotActive, KeyNotFound, SessionNeeded, UserNotFound
from tidemill.identity.house import TOPIC, House
from tidemill.identity.repository import by_id as user_by_id
from tidemill.identity.repository_keys import KeySearch
from tidemill.kernel import clock, ids
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.errors import BadInput
from tidemill.kernel.pages import Page, PageRequest
from tidemill.platform.db import Reader
from tidemill.platform.secrets import SecretBox

MAX_ID = 36


class KeyWish(Struct, frozen=True, kw_only=True):
    """A key to be made. ``models`` and ``networks`` None are all; ``budget`` is in credits."""

    name: str
    scopes: list[str] | None = None
    type: KeyType = "inference"
    models: list[str] | None = None
    networks: list[str] | None = None
    expires_at: datetime | None = None
    budget: float | str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    tags: list[str] | None = None


class KeyChange(Struct, frozen=True, kw_only=True):
    """What to change about a key; what is absent stays, None takes a limit away."""

    name: str | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET
    models: list[str] | UnsetType | None = UNSET
    networks: list[str] | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    budget: float | str | UnsetType | None = UNSET
    rpm: int | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET
    concurrency: int | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET


class KeyService:
    """Every method takes the scope first; ``actor`` is who the audit log names (None: the command line)."""

    def __init__(self, house: House, box: SecretBox) -> None:
        self._house = house
        self._box = box

    async def create(self, scope: Scope, owner_id: int, wish: KeyWish, actor: Actor | None) -> NewKey:
        """Make a key for ``owner_id``; its secret is in the answer and nowhere else.

        Raises BadInput naming what is wrong, UserNotFound, and SessionNeeded when a limited key asks.
        """
        _may_manage(actor)
        now = clock.now()
        secret = key_format.new_key()
        key_id = ids.uuid7()
        async with self._house.db.write() as w:
            owner = await user_by_id(w, scope, owner_id)
            if owner is None:
                raise UserNotFound
            wanted = structs.asdict(wish) | {
                "scopes": list(DEFAULT_KEY_SCOPES) if wish.scopes is None else wish.scopes,
                "tags": wish.tags or [],
            }
            values = _columns(wanted, owner_is_admin=owner.view.is_admin, now=now) | {
                "id": key_id,
                "user_id": owner_id,
                "type": wish.type,
                "prefix": key_format.shown_prefix(secret),
                "last4": secret[-4:],
                "key_hash": self._box.hmac_hash(secret),
                "status": "active",
                "created_at": now,
                "updated_at": now,
            }
            await repository_keys.add(w, scope, values)
            view = await _must(w, scope, key_id, now)
            await record(
                w,
                actor=actor,
                action="key.create",
                object_type="key",
                object_id=key_id,
                details=_told(view) | {"owner": owner_id},
            )
            w.changed(TOPIC)
        await self._house.snapshots.refresh()
        return NewKey(secret, view)

    async def page(self, scope: Scope, search: KeySearch, request: PageRequest) -> Page[KeyView]:
        """Return keys, newest first."""
        clean = structs.replace(search, text=rules.storable(search.text) if search.text else None)
        async with self._house.db.read() as r:
            return await repository_keys.page(r, scope, clean, request, clock.now())

    async def get(self, scope: Scope, key_id: str) -> KeyView:
        """Return one key; raises KeyNotFound."""
        async with self._house.db.read() as r:
            return await _must(r, scope, key_id, clock.now())

    async def change(self, scope: Scope, key_id: str, wanted: KeyChange, actor: Actor | None) -> KeyView:
        """Change a key; raises KeyNotFound, KeyNotActive, BadInput, SessionNeeded."""
        _may_manage(actor)
        now = clock.now()
        given = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
        async with self._house.db.write() as w:
            before = await _must(w, scope, key_id, now)
            owner = await user_by_id(w, scope, before.user_id)
            values = _columns(given, owner_is_admin=owner is not None and owner.view.is_admin, now=now)
            if not await repository_keys.change(w, scope, key_id, {**values, "updated_at": now}):
                raise KeyNotActive
            after = await _must(w, scope, key_id, now)
            await record(
                w,
                actor=actor,
                action="key.change",
                object_type="key",
                object_id=key_id,
                details={"before": _told(before), "after": _told(after)},
            )
            w.changed(TOPIC)
        await self._house.snapshots.refresh()
        return after

    async def revoke(self, scope: Scope, key_id: str, actor: Actor | None) -> KeyView:
        """Make a key worthless for good; revoking it again changes nothing. Raises KeyNotFound, SessionNeeded."""
        _may_manage(actor)
        now = clock.now()
        async with self._house.db.write() as w:
            await _must(w, scope, key_id, now)
            values = {"status": "revoked", "revoked_at": now, "updated_at": now}
            if await repository_keys.change(w, scope, key_id, values):
                await record(w, actor=actor, action="key.revoke", object_type="key", object_id=key_id)
                w.changed(TOPIC)
            view = await _must(w, scope, key_id, now)
        await self._house.snapshots.refresh()
        return view

    async def delete(self, scope: Scope, key_id: str, actor: Actor | None) -> None:
        """Delete a key; the audit log keeps that it was there. Raises KeyNotFound, SessionNeeded."""
        _may_manage(actor)
        async with self._house.db.write() as w:
            view = await _must(w, scope, key_id, clock.now())
            await repository_keys.remove(w, scope, key_id)
            await record(w, actor=actor, action="key.delete", object_type="key", object_id=key_id, details=_told(view))
            w.changed(TOPIC)
        await self._house.snapshots.refresh()


def _may_manage(actor: Actor | None) -> None:
    """Let sessions and unlimited administrator's keys through: a key must not make one that can do more than itself."""
    if actor is not None and actor.via == "key" and (not actor.may_administer or actor.models is not None):
        raise SessionNeeded


async def _must(r: Reader, scope: Scope, key_id: str, now: datetime) -> KeyView:
    plausible = len(key_id) <= MAX_ID and key_id.isascii() and key_id.isprintable()
    view = await repository_keys.by_id(r, scope, key_id, now) if plausible else None
    if view is None:
        raise KeyNotFound
    return view


def _columns(given: dict[str, Any], *, owner_is_admin: bool, now: datetime) -> dict[str, Any]:
    """Check what was given and return it as columns."""
    values: dict[str, Any] = {}
    if "name" in given:
        values["name"] = rules.checked_key_name(given["name"])
    if "scopes" in given:
        values["scopes"] = rules.checked_scopes(given["scopes"], owner_is_admin=owner_is_admin)
    if "models" in given:
        values["models"] = rules.checked_names("models", given["models"])
    if "networks" in given:
        values["networks"] = rules.checked_networks(given["networks"])
    if "tags" in given:
        values["tags"] = rules.checked_names("tags", given["tags"]) or []
    if "budget" in given:
        values["budget_nano"] = rules.checked_budget(given["budget"])
    if "expires_at" in given:
        values["expires_at"] = _checked_expiry(given["expires_at"], now)
    return values | {
        name: rules.checked_limit(name, given[name]) for name in ("rpm", "tpm", "concurrency") if name in given
    }


def _checked_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """Return the moment in UTC (a time without a zone is UTC); raises BadInput unless it is to come."""
    if expires_at is None:
        return None
    try:
        moment = expires_at.replace(tzinfo=UTC) if expires_at.tzinfo is None else expires_at.astimezone(UTC)
    except OverflowError:
        raise BadInput.of("expires_at", "is out of range") from None
    if moment <= now:
        raise BadInput.of("expires_at", "must be in the future")
    return moment


def _told(view: KeyView) -> dict[str, Any]:
    """Return of a key what the audit log tells."""
    return {
        "name": view.name,
        "prefix": view.prefix,
        "last4": view.last4,
        "scopes": view.scopes,
        "models": view.models,
        "networks": view.networks,
        "budget": view.budget,
        "expires_at": view.expires_at,
    }
