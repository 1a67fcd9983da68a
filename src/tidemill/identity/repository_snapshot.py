"""Read the whole of what authentication needs, in one read transaction."""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_network

from msgspec import Struct
from sqlalchemy import select

from tidemill.identity.contracts import KeyLimits
from tidemill.identity.rules import shown_budget
from tidemill.identity.snapshot import KnownKey, KnownUser, Snapshot
from tidemill.identity.tables import api_keys, revoked_sessions, users
from tidemill.kernel.actor import Actor, SystemScope
from tidemill.platform.db import Reader, Row

_u, _k, _s = users.c, api_keys.c, revoked_sessions.c


class SnapshotRows(Struct, frozen=True):
    """What the database said, not yet made into a snapshot."""

    users: Sequence[Row]
    keys: Sequence[Row]
    revoked: Sequence[Row]

    def __len__(self) -> int:
        """How many rows there are in all."""
        return len(self.users) + len(self.keys) + len(self.revoked)


async def read(r: Reader, scope: SystemScope, now: datetime) -> SnapshotRows:
    """Return users, live keys and sessions taken back. Three statements, however many there are."""
    del scope  # says that no user's request reads this
    return SnapshotRows(
        users=await r.all(select(_u.id, _u.username, _u.is_active, _u.is_admin, _u.group, _u.token_epoch)),
        keys=await r.all(
            select(
                _k.id, _k.user_id, _k.key_hash, _k.scopes, _k.models, _k.networks, _k.budget_nano, _k.rpm, _k.tpm,
                _k.concurrency, _k.expires_at,
            ).where(_k.status == "active", _k.expires_at.is_(None) | (_k.expires_at > now))
        ),
        revoked=await r.all(select(_s.jti).where(_s.expires_at > now)),
    )  # fmt: skip


def build(rows: SnapshotRows) -> Snapshot:
    """Make the snapshot. Pure; about 2 µs a row, so the caller leaves the loop when there are many."""
    known = {
        row["id"]: KnownUser(
            row["id"], row["username"], row["is_active"], row["is_admin"], row["group"], row["token_epoch"]
        )
        for row in rows.users
    }
    keys = {row["key_hash"]: _key(row, known[row["user_id"]]) for row in rows.keys if row["user_id"] in known}
    return Snapshot(
        users=known,
        keys=keys,
        revoked=frozenset(row["jti"] for row in rows.revoked),
        keys_by_id={key.actor.key_id: key for key in keys.values() if key.actor.key_id is not None},
    )


async def knows_key(r: Reader, scope: SystemScope, digests: Sequence[str]) -> bool:
    """Tell whether there is a live key with one of these hashes (uses index uq_api_keys_key_hash)."""
    del scope  # as above
    stmt = select(_k.id).where(_k.key_hash.in_(digests), _k.status == "active").limit(1)
    return await r.scalar(stmt) is not None


async def epoch_of(r: Reader, scope: SystemScope, user_id: int) -> int | None:
    """Return a user's count of revocations, None when there is no such user."""
    del scope  # as above
    return await r.scalar(select(_u.token_epoch).where(_u.id == user_id))


def _key(row: Row, owner: KnownUser) -> KnownKey:
    networks: list[str] | None = row["networks"]
    models: list[str] | None = row["models"]
    expires_at: datetime | None = row["expires_at"]
    return KnownKey(
        actor=Actor(
            user_id=owner.user_id,
            username=owner.username,
            is_admin=owner.is_admin,
            via="key",
            scopes=frozenset(row["scopes"]),
            group=owner.group,
            key_id=row["id"],
            models=None if models is None else frozenset(models),
            expires_at_s=None if expires_at is None else expires_at.timestamp(),
        ),
        limits=KeyLimits(row["rpm"], row["tpm"], row["concurrency"], shown_budget(row["budget_nano"])),
        expires_at_s=None if expires_at is None else expires_at.timestamp(),
        networks=None if networks is None else tuple(ip_network(text) for text in networks),
    )
