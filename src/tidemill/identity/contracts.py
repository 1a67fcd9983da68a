"""What identity tells others: users and keys as they may be shown, and the words of scopes and roles."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

Role = Literal["user", "admin"]
KeyType = Literal["inference", "management", "service"]
KeyStatus = Literal["active", "expired", "revoked", "rotated"]

# What a key may be allowed. A session has all rights of its user.
KEY_SCOPES = ("relay", "datagen", "models", "knowledge", "tools", "admin")
DEFAULT_KEY_SCOPES = ("relay",)


class UserView(Struct, frozen=True):
    """A user as it may be shown to itself and to administrators."""

    id: int
    username: str
    email: str | None
    is_active: bool
    is_admin: bool
    group: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    @property
    def role(self) -> Role:
        """The role as one word."""
        return "admin" if self.is_admin else "user"


class Session(Struct, frozen=True):
    """A fresh sign-in. ``token`` is a secret."""

    token: str
    expires_at: datetime
    user: UserView


class KeyView(Struct, frozen=True):
    """A key as it may be shown; its secret is not kept. ``budget`` is in credits, as decimal text."""

    id: str
    user_id: int
    name: str
    type: KeyType
    prefix: str
    last4: str
    scopes: list[str]
    models: list[str] | None
    networks: list[str] | None
    budget: str | None
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    tags: list[str]
    status: KeyStatus
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    use_count: int
    created_at: datetime
    updated_at: datetime


class NewKey(Struct, frozen=True):
    """A key just made, with its secret, which is shown only this once."""

    secret: str
    view: KeyView


class CreatedKey(Struct, frozen=True):
    """A new key; ``key`` is shown in this answer and never again."""

    id: str
    name: str
    key: str
    prefix: str
    last4: str
    scopes: list[str]
    models: list[str] | None
    networks: list[str] | None
    budget: str | None
    status: KeyStatus
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, new: NewKey) -> "CreatedKey":
        """Show a key that was just made."""
        view = new.view
        return cls(
            id=view.id,
            name=view.name,
            key=new.secret,
            prefix=view.prefix,
            last4=view.last4,
            scopes=view.scopes,
            models=view.models,
            networks=view.networks,
            budget=view.budget,
            status=view.status,
            expires_at=view.expires_at,
            created_at=view.created_at,
        )


class KeyLimits(Struct, frozen=True):
    """What the relay holds a key to; None is no limit."""

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    budget: str | None = None
