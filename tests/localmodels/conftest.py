"""A supervisor over fake llama-servers, in a folder and on ports of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.fixtures.ports import free_range
from tests.localmodels import gguf_files
from tidemill.localmodels.contracts import LocalModelView
from tidemill.localmodels.facade import LocalModels
from tidemill.localmodels.memory import MemoryFacts
from tidemill.platform.db import Database
from tidemill.platform.settings import Settings
from tidemill.platform.settings.groups.local_models import LocalModels as Options
from tidemill.platform.settings.groups.server import ServerSettings

DEADLINE_S = 20.0
PLENTY = MemoryFacts(total=64 << 30, available=48 << 30)


def make_fake_binary(folder: Path) -> Path:
    """Make the fake server a program: the script with this interpreter in its first line."""
    source = Path(__file__).with_name("fake_llama_server.py").read_text()
    binary = folder / "llama-server"
    binary.write_text(f"#!{sys.executable} -IS\n{source}")
    binary.chmod(0o755)
    return binary


class Mill:
    """One data directory with models, and the supervisors opened on it."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.models = self.data_dir / "models"
        self.models.mkdir(parents=True)
        self.binary = make_fake_binary(folder)
        self.memory = PLENTY
        self._opened: list[LocalModels] = []

    def model(self, name: str, **orders: Any) -> Path:
        """Put a model into the folder, with orders for its fake server."""
        path = gguf_files.write(self.models / f"{name}.gguf")
        path.with_name(path.name + ".json").write_text(json.dumps(orders))
        return path

    def settings(self, **options: Any) -> Settings:
        first, last = free_range(options.pop("ports", 3))
        options = {"health_interval_s": 0.1, "scan_interval_s": 0.05, "eviction_patience_s": 0.3} | options
        return Settings(
            server=ServerSettings(data_dir=self.data_dir),
            local_models=Options(server_binary=str(self.binary), port_min=first, port_max=last, **options),
        )

    async def open(
        self,
        *,
        db: Database | None = None,
        borrow: bool = False,
        settings: Settings | None = None,
        **options: Any,
    ) -> LocalModels:
        """Start a supervisor; it is stopped when the test ends."""
        made = settings or self.settings(**options)
        opened = LocalModels(made, db=db, borrow=borrow, memory=lambda: self.memory)
        self._opened.append(opened)
        await opened.start_up()
        return opened

    def starts(self, name: str) -> list[dict[str, list[str]]]:
        """Return the command line and environment of every start of a model."""
        path = self.models / f"{name}.gguf.starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def close(self) -> None:
        for one in self._opened:
            await one.shut_down()


@pytest.fixture
async def mill(tmp_path: Path) -> AsyncIterator[Mill]:
    made = Mill(tmp_path)
    yield made
    await made.close()


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Wait for something that a process does; fails after 20 s."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true in {DEADLINE_S:.0f} s") from None


async def until_status(models: LocalModels, name: str, status: str) -> LocalModelView:
    await until(lambda: models.get(name).status == status, f"{name} {status}")
    return models.get(name)


async def chat(models: LocalModels, name: str) -> dict[str, Any]:
    """Send one request through a lease."""
    async with models.lease(name) as service, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {service.api_key}"}
        async with session.post(f"{service.base_url}/chat/completions", json={}, headers=headers) as answer:
            assert answer.status == 200
            return dict(await answer.json())


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
