"""People, and an application that serves the data factory's routes to them, over both databases."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide
from sqlalchemy import text

from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database
from tidemill.platform.web.faults import handle
from tidemill.platform.web.guards import ACTOR
from tidemill.platform.web.inputs import provide_actor, provide_lang

Person = Callable[..., Actor]
Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


async def add_user(db: Database, name: str, *, is_admin: bool = False) -> Actor:
    """Insert a user and return them as the caller of a session."""
    async with db.write() as w:
        user_id = await w.scalar(
            text(
                "INSERT INTO users (username, password_hash, is_admin, created_at, updated_at, username_key)"
                " VALUES (:name, 'x', :admin, :now, :now, :name) RETURNING id"
            ).bindparams(name=name, admin=is_admin, now=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))
            if db.dialect == "sqlite"
            else text(
                "INSERT INTO users (username, password_hash, is_admin, created_at, updated_at, username_key)"
                " VALUES (:name, 'x', :admin, now(), now(), :name) RETURNING id"
            ).bindparams(name=name, admin=is_admin)
        )
    return Actor(user_id=user_id, username=name, is_admin=is_admin, via="session")


@pytest.fixture
async def ann(database: Database) -> Actor:
    return await add_user(database, "ann")


@pytest.fixture
async def bob(database: Database) -> Actor:
    return await add_user(database, "bob")


@pytest.fixture
def serve() -> Serve:
    """Give a client to routes, acting as one person; services are found by parameter name."""

    @asynccontextmanager
    async def served(
        actor: Actor | None, handlers: list[Any], services: Mapping[str, Any], language: str = "en"
    ) -> AsyncGenerator[httpx.AsyncClient]:
        def provide(value: Any) -> Provide:
            return Provide(lambda: value, sync_to_thread=False)

        app = Litestar(
            handlers,
            dependencies={
                "actor": Provide(provide_actor, sync_to_thread=False),
                "lang": Provide(provide_lang, sync_to_thread=False),
                **{name: provide(service) for name, service in services.items()},
            },
            exception_handlers={Exception: handle},
            openapi_config=None,
        )

        async def acting(scope: Any, receive: Any, send: Any) -> None:
            if actor is not None:
                scope.setdefault("state", {})[ACTOR] = actor
            await app(scope, receive, send)

        transport = httpx.ASGITransport(app=acting)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://tidemill.test", headers={"accept-language": language}
        ) as client:
            yield client

    return served


async def in_parts(body: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield a body in parts of ``size`` bytes."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
