"""OpenAI's own Python SDK, unchanged but for base URL and key, against the relay with the simulator behind it."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.relay.rig import Rig, relay_rig
from tidemill.platform.db import Database
from tidemill.relay.ports import CallerLimits
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.serving import running

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "你好, tidemill"}]


@pytest.fixture
async def sdk_rig(memory_database: Database) -> AsyncIterator[Rig]:
    async with running(SimulatorConfig(models=("sim",))) as simulator:
        limits = CallerLimits(rpm=3)
        async with relay_rig(
            memory_database, limits_of=lambda actor: limits if actor.user_id == 3 else CallerLimits()
        ) as rig:
            await rig.channel(simulator.base_url, models={"m": "sim"})
            yield rig


def client(rig: Rig, key: str = "user-1") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=key, max_retries=0)


async def test_a_plain_chat(sdk_rig: Rig) -> None:
    async with client(sdk_rig) as sdk:
        done = await sdk.chat.completions.create(model="m", messages=MESSAGES)
    assert done.choices[0].message.content
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0


async def test_a_streamed_chat_says_what_the_plain_one_says(sdk_rig: Rig) -> None:
    async with client(sdk_rig) as sdk:
        plain = await sdk.chat.completions.create(model="m", messages=MESSAGES, seed=1)
        stream = await sdk.chat.completions.create(model="m", messages=MESSAGES, seed=1, stream=True)
        pieces = [item async for item in stream]
    assert "".join(item.choices[0].delta.content or "" for item in pieces) == plain.choices[0].message.content
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert all(item.usage is None for item in pieces)


async def test_a_stream_with_usage(sdk_rig: Rig) -> None:
    async with client(sdk_rig) as sdk:
        stream = await sdk.chat.completions.create(
            model="m",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces = [item async for item in stream]
    assert pieces[-1].usage is not None
    assert pieces[-1].choices == []


async def test_embeddings(sdk_rig: Rig) -> None:
    async with client(sdk_rig) as sdk:
        found = await sdk.embeddings.create(model="m", input=["a", "b"])
    assert [item.index for item in found.data] == [0, 1]
    assert len(found.data[0].embedding) == 384


async def test_models(sdk_rig: Rig) -> None:
    async with client(sdk_rig) as sdk:
        assert [model.id async for model in sdk.models.list()] == ["m"]
        assert (await sdk.models.retrieve("m")).id == "m"
        with pytest.raises(openai.NotFoundError):
            await sdk.models.retrieve("none")


async def test_the_error_classes_that_the_sdk_knows(sdk_rig: Rig) -> None:
    async with client(sdk_rig, "wrong") as sdk:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await sdk.chat.completions.create(model="m", messages=MESSAGES)
        assert unknown.value.code == "invalid_api_key"
    async with client(sdk_rig, "poor") as sdk:
        with pytest.raises(openai.PermissionDeniedError):
            await sdk.chat.completions.create(model="m", messages=MESSAGES)
    async with client(sdk_rig) as sdk:
        with pytest.raises(openai.NotFoundError) as nobody:
            await sdk.chat.completions.create(model="gpt-none", messages=MESSAGES)
        assert nobody.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError):
            await sdk.chat.completions.create(model="", messages=MESSAGES)
    async with client(sdk_rig, "user-3") as sdk:
        for _ in range(3):
            await sdk.chat.completions.create(model="m", messages=MESSAGES)
        with pytest.raises(openai.RateLimitError) as limited:
            await sdk.chat.completions.create(model="m", messages=MESSAGES)
        assert limited.value.code == "rate_limit_exceeded"
        assert int(limited.value.response.headers["retry-after"]) > 0
        assert limited.value.request_id


async def test_the_sdk_raises_when_a_stream_breaks(memory_database: Database) -> None:
    async with running(SimulatorConfig(faults={"cut": 1.0})) as simulator, relay_rig(memory_database) as rig:
        await rig.channel(simulator.base_url)
        async with client(rig) as sdk:
            stream = await sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            with pytest.raises(openai.APIError):
                [item async for item in stream]
