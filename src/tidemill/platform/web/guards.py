"""Who may call a route. The actor was found by the server before the router ran."""

from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import AdministratorRequired, Forbidden, TidemillError, Unauthenticated

_Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[_Connection, BaseRouteHandler], None]

ACTOR = "tidemill_actor"
REFUSAL = "tidemill_refusal"
LANG = "tidemill_lang"


def actor_of(connection: _Connection) -> Actor:
    """Return the caller; raises Unauthenticated (or what made the credential fail) when there is none."""
    actor = connection.scope["state"].get(ACTOR)
    if isinstance(actor, Actor):
        return actor
    refusal = connection.scope["state"].get(REFUSAL)
    raise refusal if isinstance(refusal, TidemillError) else Unauthenticated()


def signed_in(connection: _Connection, _: BaseRouteHandler) -> None:
    """Let any session or key through."""
    actor_of(connection)


def needs(*scopes: str) -> Guard:
    """Let sessions through, and keys that hold one of ``scopes``."""

    def guard(connection: _Connection, _: BaseRouteHandler) -> None:
        actor = actor_of(connection)
        if not any(actor.may(scope) for scope in scopes):
            raise Forbidden(f"this key lacks the scope {' or '.join(scopes)}")

    return guard


def administrator(connection: _Connection, _: BaseRouteHandler) -> None:
    """Let administrators through (by key: one that holds the scope ``admin``)."""
    if not actor_of(connection).may_administer:
        raise AdministratorRequired
