"""Who is acting, and how far a repository may look for them."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct


class SystemReason(StrEnum):
    """Why the program itself, and no user, touches data."""

    ALERTS = "alerts"
    BOOT = "boot"
    CHANNEL_HEALTH = "channel_health"
    COMMAND_LINE = "command_line"
    GENERATION = "generation"
    JOBS = "jobs"
    LIVE_EVENTS = "live_events"
    LOCAL_MODELS = "local_models"
    RELAY_SYNC = "relay_sync"
    SIGN_IN = "sign_in"
    SNAPSHOT = "snapshot"
    USAGE_JOURNAL = "usage_journal"


class UserScope(Struct, frozen=True, tag="user"):
    """Sees what this user owns."""

    user_id: int


class AdminScope(Struct, frozen=True, tag="admin"):
    """Sees everything; used only behind the administration routes."""

    user_id: int


class SystemScope(Struct, frozen=True, tag="system"):
    """Sees everything, for a named reason that ends up in logs."""

    reason: SystemReason


Scope = UserScope | AdminScope | SystemScope


class Actor(Struct, frozen=True, kw_only=True):
    """The authenticated caller of one request.

    ``scopes`` and ``models`` limit an API key; a session carries all rights of its user (``models`` None = all).
    ``expires_at_s`` is when the credential lapses, in seconds since 1970 (None: never).
    """

    user_id: int
    username: str
    is_admin: bool
    via: Literal["session", "key"]
    scopes: frozenset[str] = frozenset()
    group: str = "default"
    key_id: str | None = None
    session_id: str | None = None
    models: frozenset[str] | None = None
    expires_at_s: float | None = None

    def may(self, scope: str) -> bool:
        """Tell whether this caller may use the part of the product named ``scope``."""
        return self.via == "session" or scope in self.scopes

    @property
    def may_administer(self) -> bool:
        """Tell whether this caller may use the administration routes."""
        return self.is_admin and self.may("admin")

    @property
    def scope(self) -> UserScope:
        """The caller's own things."""
        return UserScope(self.user_id)

    @property
    def admin_scope(self) -> AdminScope:
        """Everybody's things; only behind a guard that checked ``may_administer``."""
        return AdminScope(self.user_id)


def owner_filter(scope: Scope) -> int | None:
    """Return the user id that a query must filter by, or None when the scope sees all."""
    return scope.user_id if isinstance(scope, UserScope) else None
