"""Generated rows to review, written as the engine writes them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest

from tests.datagen.conftest import Serve
from tidemill.datagen.review.routes import HANDLERS
from tidemill.datagen.review.service import ReviewService
from tidemill.datagen.task_types import load_types
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database

As = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def review(database: Database) -> ReviewService:
    return ReviewService(database, load_types())


@pytest.fixture
def client_for(serve: Serve, review: ReviewService) -> As:
    def as_person(actor: Actor | None, language: str = "en") -> Any:
        return serve(actor, list(HANDLERS), {"review": review}, language)

    return as_person


@pytest.fixture
async def client(client_for: As, ann: Actor) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(ann) as opened:
        yield opened
