"""People, and an application that serves the data factory's routes to them, over both databases."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide
from sqlalchemy import insert

from tidemill.datagen.tables import generated_data, tasks
from tidemill.identity.tables import users
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database
from tidemill.platform.web.faults import handle
from tidemill.platform.web.guards import ACTOR
from tidemill.platform.web.inputs import provide_actor, provide_lang

Person = Callable[..., Actor]
Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


async def add_user(db: Database, name: str, *, is_admin: bool = False) -> Actor:
    """Insert a user and return them as the caller of a session."""
    now = clock.now()
    values = {
        "username": name,
        "username_key": name,
        "password_hash": "x",
        "is_admin": is_admin,
        "created_at": now,
        "updated_at": now,
    }
    async with db.write() as w:
        user_id = await w.scalar(insert(users).values(**values).returning(users.c.id))
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


async def add_task(db: Database, owner: Actor, task_id: str, **values: Any) -> None:
    """Insert a finished task."""
    row = {
        "task_id": task_id,
        "user_id": owner.user_id,
        "status": "finished",
        "started_at": clock.now(),
        "task_type": "qa_pairs",
        **values,
    }
    async with db.write() as w:
        await w.run(insert(tasks).values(**row))


async def add_rows(db: Database, owner: Actor, task_id: str, rows: list[dict[str, Any]]) -> list[int]:
    """Insert rows, filling in what a test does not care about; returns their ids in order."""
    now = clock.now()
    ids: list[int] = []
    async with db.write() as w:
        for number, given in enumerate(rows):
            content = given.get(
                "content", {"question": f"q{number}?", "answer": f"a{number}", "evidence": f"a{number}"}
            )
            values = {
                "task_id": task_id,
                "user_id": owner.user_id,
                "data_content": json.dumps(content, ensure_ascii=False),
                "created_at": now + timedelta(seconds=number),
                "updated_at": now,
                "task_type": "qa_pairs",
                "item_no": number,
                "status": "accepted",
                "final_score": 9.0,
                "model_score": 9.0,
                "rule_score": 9,
                "rule_score_exact": 9.0,
                "generation_model": "m",
                "lineage": json.dumps({"attempts": [{"attempt": 0, "reasons": []}]}),
                **{key: value for key, value in given.items() if key != "content"},
            }
            ids.append(await w.scalar(insert(generated_data).values(**values).returning(generated_data.c.id)))
    return ids


async def in_parts(body: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield a body in parts of ``size`` bytes."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
