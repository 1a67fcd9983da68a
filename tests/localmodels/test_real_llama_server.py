"""A real llama-server with a real model: load, chat, embed, stream, stop."""

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.localmodels import gguf_files
from tests.localmodels.conftest import is_alive, until
from tidemill.kernel import clock
from tidemill.localmodels.contracts import LocalService
from tidemill.localmodels.errors import LocalModelFailed
from tidemill.localmodels.facade import LocalModels
from tidemill.platform.settings import Settings
from tidemill.platform.settings.groups.local_models import LocalModels as Options
from tidemill.platform.settings.groups.server import ServerSettings

NAME = "smollm2-135m-instruct"


@pytest.fixture
async def models(demo_model: Path, tmp_path: Path) -> AsyncIterator[LocalModels]:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / demo_model.name).symlink_to(demo_model)
    options = Options(port_min=0, context=1024, slots=2, stop_grace_s=0.5)
    opened = LocalModels(Settings(server=ServerSettings(data_dir=tmp_path), local_models=options))
    await opened.start_up()
    yield opened
    await opened.shut_down()


def session(service: LocalService) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {service.api_key}"})


def asking(**more: object) -> dict[str, object]:
    return {"model": NAME, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8} | more


async def test_the_header_says_what_the_file_is(models: LocalModels) -> None:
    shown = models.get(NAME)
    assert (shown.architecture, shown.quantization, shown.size) == ("llama", "Q4_1", "98 MB")
    assert (shown.context_trained, shown.chat_template, shown.parameters) == (8192, True, 134_515_008)


async def test_it_loads_on_demand_chats_and_embeds(models: LocalModels) -> None:
    async with models.lease(NAME) as service, session(service) as http:
        async with http.post(f"{service.base_url}/chat/completions", json=asking()) as answer:
            body = await answer.json()
            assert body["choices"][0]["message"]["content"]
            assert body["model"] == NAME
        async with http.post(f"{service.base_url}/embeddings", json={"model": NAME, "input": "sea"}) as answer:
            assert len((await answer.json())["data"][0]["embedding"]) == 576
        async with (
            aiohttp.ClientSession() as stranger,
            stranger.post(f"{service.base_url}/chat/completions", json=asking()) as refused,
        ):
            assert refused.status == 401
    metrics = await models.metrics(NAME)
    assert metrics.instances[0].values["tokens_predicted_total"] > 0
    memory = models.get(NAME).rss_bytes
    assert memory is not None
    assert memory < models.get(NAME).memory_estimate_bytes


async def test_a_stop_while_streaming_ends_within_the_ladder(models: LocalModels) -> None:
    async with models.lease(NAME) as service, session(service) as http:
        body = asking(stream=True, max_tokens=900, ignore_eos=True)
        async with http.post(f"{service.base_url}/chat/completions", json=body) as answer:
            assert (await answer.content.readline()).startswith(b"data: ")
            began = clock.monotonic()
            await models.stop(NAME, wait=True)
            took_s = clock.monotonic() - began
    assert not is_alive(service.pid)
    assert took_s < 0.5 + 3 + 1 + 5


async def test_a_file_that_is_no_model_inside_is_refused_with_its_log(models: LocalModels, tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "models" / "empty.gguf")
    await models.rescan()
    with pytest.raises(LocalModelFailed, match="failed to load model") as failure:
        await models.start("empty", wait=True)
    assert "exit code 1" in failure.value.message("en")


async def test_a_killed_server_comes_back(models: LocalModels) -> None:
    first = (await models.start(NAME, wait=True)).pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: models.get(NAME).status == "running" and models.get(NAME).pid != first)
    async with (
        models.lease(NAME) as service,
        session(service) as http,
        http.post(f"{service.base_url}/chat/completions", json=asking()) as answer,
    ):
        assert json.loads(await answer.text())["usage"]["completion_tokens"] > 0
