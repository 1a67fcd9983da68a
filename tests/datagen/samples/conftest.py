"""A service of sample files over memory objects, and people to own them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.datagen.conftest import Serve, in_parts
from tidemill.datagen.samples.contracts import SampleFile
from tidemill.datagen.samples.repository_use import TaskTable
from tidemill.datagen.samples.routes import HANDLERS
from tidemill.datagen.samples.service import SampleFiles
from tidemill.kernel.actor import Actor
from tidemill.platform.blobs.memory import MemoryBlobs
from tidemill.platform.db import Database

LIMIT = 4 * 1024 * 1024
As = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def form(name: str, data: bytes, field: str = "file", boundary: str = "frontier") -> tuple[bytes, str]:
    """Return a multipart body with one file and its content type."""
    return forms([(field, name, data)], boundary=boundary)


def forms(
    files: list[tuple[str, str, bytes]], fields: dict[str, str] | None = None, boundary: str = "frontier"
) -> tuple[bytes, str]:
    """Return a multipart body of several files and plain fields."""
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for field, name, data in files
    ]
    parts += [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in (fields or {}).items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def sample_files(database: Database, blobs: MemoryBlobs, tmp_path: Path) -> SampleFiles:
    return SampleFiles(database, blobs, TaskTable(), upload_folder=tmp_path / "tmp", max_upload_bytes=LIMIT)


@pytest.fixture
def client_for(serve: Serve, sample_files: SampleFiles) -> As:
    def as_person(actor: Actor | None, language: str = "en") -> Any:
        return serve(actor, list(HANDLERS), {"sample_files": sample_files}, language)

    return as_person


@pytest.fixture
async def client(client_for: As, ann: Actor) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(ann) as opened:
        yield opened


async def put_file(service: SampleFiles, actor: Actor, name: str, data: bytes, part_bytes: int = 1 << 16) -> SampleFile:
    """Upload one file through the service."""
    body, content_type = form(name, data)
    async with service.receive(in_parts(body, part_bytes), content_type) as received:
        return await service.add(actor, received.wanted()[0], received.fields.get("encoding"), "en")


async def rows_of(service: SampleFiles, actor: Actor, file_id: int, version: int | None = None) -> list[dict[str, Any]]:
    """Read a whole file at a version (the present one by default)."""
    if version is None:
        version = (await service.get(actor.scope, file_id, "en")).version
    return await service.reader.rows(actor.scope, file_id, version, 0, 1 << 30)
