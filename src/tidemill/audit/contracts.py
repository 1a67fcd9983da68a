"""The words of the audit log."""

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

ActorKind = Literal["user", "key", "system", "anonymous"]
Result = Literal["ok", "refused"]


class Origin(Struct, frozen=True):
    """Where a request came from."""

    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


# The request being served. The server sets it once a request; entries written meanwhile carry it.
current_origin: ContextVar[Origin] = ContextVar("tidemill_origin", default=Origin())  # noqa: B039 - Origin is frozen


class AuditEntry(Struct, frozen=True):
    """One entry as administrators read it. ``count`` is above 1 where refusals of one minute were folded."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: int | None
    actor_name: str
    key_id: str | None
    action: str
    object_type: str
    object_id: str
    result: str
    reason: str | None
    count: int
    details: Mapping[str, Any]
    address: str | None
    user_agent: str | None
    request_id: str | None
    erased: bool


class AuditFilter(Struct, frozen=True):
    """What an administrator looks for; absent fields match all. ``since`` is inclusive, ``until`` exclusive."""

    actor_id: int | None = None
    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    result: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None
