import base64
import math
import struct
from collections.abc import Awaitable, Callable

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.serving import Served

Start = Callable[[SimulatorConfig], Awaitable[Served]]


def _client(url: str, key: str = "sk-test") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}", api_key=key, max_retries=0)


async def test_the_openai_sdk_chats_plain_and_streamed(start: Start) -> None:
    running = await start(SimulatorConfig())
    async with _client(running.base_url) as client:
        answer = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Hello there"}]
        )
        assert answer.choices[0].message.content is not None
        assert "Hello there" in answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0

        stream = await client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "Hello there"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == answer.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_a_stream_carries_no_usage_unless_asked(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig())
    async with http.post(
        f"{running.base_url}/chat/completions",
        json={"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]},
    ) as answer:
        body = await answer.text()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert body.endswith("data: [DONE]\n\n")
    assert "usage" not in body


async def test_embeddings_are_unit_vectors_and_alike_in_both_encodings(
    start: Start, http: aiohttp.ClientSession
) -> None:
    running = await start(SimulatorConfig(dimensions=64))
    async with _client(running.base_url) as client:
        texts = ["信用卡年费怎么减免", "credit card annual fee", "the annual fee of a credit card", "garden tools"]
        plain = await client.embeddings.create(model="e", input=texts, encoding_format="float")
        packed = await client.embeddings.create(model="e", input=texts)
        short = await client.embeddings.create(model="e", input="x", dimensions=8)
    raw = await http.post(
        f"{running.base_url}/embeddings", json={"model": "e", "input": texts[0], "encoding_format": "base64"}
    )
    data = (await raw.json())["data"][0]["embedding"]
    assert struct.unpack("<64f", base64.b64decode(data)) == pytest.approx(plain.data[0].embedding, abs=1e-6)
    for one, other in zip(plain.data, packed.data, strict=True):
        assert math.isclose(sum(v * v for v in one.embedding), 1.0, rel_tol=1e-9)
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert len(short.data[0].embedding) == 8

    def closeness(a: int, b: int) -> float:
        return sum(x * y for x, y in zip(plain.data[a].embedding, plain.data[b].embedding, strict=True))

    assert closeness(1, 2) > 0.5 > closeness(1, 3)


async def test_error_classes_are_those_the_sdk_expects(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig(api_key="right", models=("a", "b")))
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "x"}]
    async with _client(running.base_url, "wrong") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.chat.completions.create(model="a", messages=messages)
        assert refused.value.code == "invalid_api_key"
    async with _client(running.base_url, "right") as client:
        assert [model.id async for model in client.models.list()] == ["a", "b"]
        assert (await client.models.retrieve("b")).id == "b"
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="c", messages=messages)
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as bad:
            await client.chat.completions.create(model="a", messages=[])
        assert bad.value.param == "messages"
        await http.post(f"{running.origin}/_simulator/faults", json={"script": ["429", "503", "500"]})
        with pytest.raises(openai.RateLimitError) as limited:
            await client.chat.completions.create(model="a", messages=messages)
        assert limited.value.response.headers["retry-after"] == "1"
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="a", messages=messages)


async def test_a_demanded_tool_call_carries_arguments_that_fit(start: Start) -> None:
    running = await start(SimulatorConfig())
    tools: list[ChatCompletionToolParam] = [
        {
            "type": "function",
            "function": {
                "name": "find",
                "parameters": {
                    "type": "object",
                    "properties": {"unit": {"enum": ["km"]}, "count": {"type": "integer", "minimum": 3, "maximum": 3}},
                    "required": ["unit", "count"],
                },
            },
        }
    ]
    async with _client(running.base_url) as client:
        answer = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "go"}], tools=tools, tool_choice="required"
        )
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "go"}], tools=tools, tool_choice="required", stream=True
        )
        pieces = [chunk async for chunk in stream]
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "find"
    assert calls[0].function.arguments == '{"unit":"km","count":3}'
    assert answer.choices[0].finish_reason == "tool_calls"
    streamed = "".join(
        call.function.arguments or ""
        for chunk in pieces
        for call in chunk.choices[0].delta.tool_calls or []
        if call.function
    )
    assert streamed == calls[0].function.arguments


async def test_max_tokens_stops_the_answer_and_says_so(start: Start) -> None:
    running = await start(SimulatorConfig())
    async with _client(running.base_url) as client:
        answer = await client.chat.completions.create(
            model="m", max_tokens=5, messages=[{"role": "user", "content": "Tell me everything"}]
        )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 5
