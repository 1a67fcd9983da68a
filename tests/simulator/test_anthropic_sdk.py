import base64
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.media import png
from tidemill.simulator.serving import Served

Start = Callable[[SimulatorConfig], Awaitable[Served]]

WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
    },
}
ASKS_TWO: list[MessageParam] = [{"role": "user", "content": "What is the weather in Paris and Tokyo, in celsius?"}]


@pytest.fixture
async def simulated(start: Start) -> Served:
    return await start(SimulatorConfig(protocols=("anthropic",)))


def _client(served: Served, key: str = "sk-ant-test") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=served.origin, api_key=key, max_retries=0)


def _said(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


async def test_a_message_plain_and_streamed_is_the_same(simulated: Served) -> None:
    async with _client(simulated) as client:
        asked: list[MessageParam] = [{"role": "user", "content": "Hello there"}]
        plain = await client.messages.create(model="m", max_tokens=200, messages=asked)
        async with client.messages.stream(model="m", max_tokens=200, messages=asked) as stream:
            kinds = [event.type async for event in stream]
            streamed = await stream.get_final_message()
    assert "Hello there" in _said(plain)
    assert _said(streamed) == _said(plain)
    assert streamed.stop_reason == plain.stop_reason == "end_turn"
    assert streamed.usage.model_dump(exclude_none=True) == plain.usage.model_dump(exclude_none=True)
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"


async def test_raw_events_come_in_the_providers_order(simulated: Served) -> None:
    async with _client(simulated) as client:
        stream = await client.messages.create(
            model="m",
            max_tokens=4000,
            messages=[{"role": "user", "content": "Reply with exactly: fine day"}],
            thinking={"type": "enabled", "budget_tokens": 1024},
            stream=True,
        )
        events = [event async for event in stream]
    kinds: list[str] = []
    for event in events:
        name = event.delta.type if event.type == "content_block_delta" else event.type
        if not kinds or kinds[-1] != name:
            kinds.append(name)
    assert kinds == [
        "message_start",
        "content_block_start",
        "thinking_delta",
        "signature_delta",
        "content_block_stop",
        "content_block_start",
        "text_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert [event.index for event in events if event.type == "content_block_start"] == [0, 1]


async def test_the_wire_has_pings_and_named_events(simulated: Served, http: aiohttp.ClientSession) -> None:
    body = {"model": "m", "max_tokens": 20, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with http.post(f"{simulated.origin}/v1/messages", json=body, headers=headers) as answer:
        text = await answer.text()
    assert 'event: ping\ndata: {"type":"ping"}\n\n' in text
    assert text.startswith("event: message_start\ndata: ")
    assert text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["anthropic-ratelimit-requests-limit"] == "4000"
    assert answer.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


async def test_parallel_tools_are_called_answered_and_summed_up(simulated: Served) -> None:
    async with _client(simulated) as client:
        plain = await client.messages.create(model="m", max_tokens=500, messages=ASKS_TWO, tools=[WEATHER])
        async with client.messages.stream(model="m", max_tokens=500, messages=ASKS_TWO, tools=[WEATHER]) as stream:
            streamed = await stream.get_final_message()
        calls = [block for block in plain.content if block.type == "tool_use"]
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"sunny in {call.input['city']}"}
            for call in calls
        ]
        results[1]["is_error"] = True
        done = await client.messages.create(
            model="m",
            max_tokens=500,
            tools=[WEATHER],
            messages=[*ASKS_TWO, plain.to_param(), {"role": "user", "content": results}],
        )
        one = await client.messages.create(
            model="m",
            max_tokens=500,
            messages=ASKS_TWO,
            tools=[WEATHER],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        )
    assert plain.stop_reason == "tool_use"
    assert [call.input for call in calls] == [
        {"city": "Paris", "unit": "celsius"},
        {"city": "Tokyo", "unit": "celsius"},
    ]
    assert [block.model_dump() for block in streamed.content] == [block.model_dump() for block in plain.content]
    assert _said(done) == "get_weather answered: sunny in Paris; get_weather failed with: sunny in Tokyo"
    assert [block.type for block in one.content] == ["tool_use"]


async def test_a_tool_without_arguments_streams_an_empty_object(simulated: Served) -> None:
    tool: ToolParam = {"name": "now", "input_schema": {"type": "object", "properties": {}}}
    async with (
        _client(simulated) as client,
        client.messages.stream(
            model="m",
            max_tokens=500,
            messages=[{"role": "user", "content": "go"}],
            tools=[tool],
            tool_choice={"type": "any"},
        ) as stream,
    ):
        message = await stream.get_final_message()
    assert [block.input for block in message.content if block.type == "tool_use"] == [{}]


async def test_thinking_comes_signed_and_must_come_back_as_it_was(simulated: Served) -> None:
    thinking: anthropic.types.ThinkingConfigParam = {"type": "enabled", "budget_tokens": 1024}
    asked: list[MessageParam] = [{"role": "user", "content": "Use get_weather for Oslo"}]
    async with _client(simulated) as client:
        first = await client.messages.create(
            model="m", max_tokens=2000, messages=asked, tools=[WEATHER], thinking=thinking
        )
        thought, call = first.content
        assert thought.type == "thinking"
        assert call.type == "tool_use"
        result: MessageParam = {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}],
        }
        done = await client.messages.create(
            model="m",
            max_tokens=2000,
            messages=[*asked, first.to_param(), result],
            tools=[WEATHER],
            thinking=thinking,
        )
        assert "rain" in _said(done)
        thought.signature = "forged"
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
            await client.messages.create(
                model="m",
                max_tokens=2000,
                messages=[*asked, first.to_param(), result],
                tools=[WEATHER],
                thinking=thinking,
            )
        with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
            await client.messages.create(
                model="m",
                max_tokens=2000,
                messages=[*asked, {"role": "assistant", "content": [call]}, result],
                tools=[WEATHER],
                thinking=thinking,
            )


async def test_images_and_documents_arrive_whole(simulated: Served) -> None:
    picture = png("red", 5)
    content: list[Any] = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture).decode()},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "The tide is high."}},
        {"type": "text", "text": "What do you see?"},
    ]
    async with _client(simulated) as client:
        answer = await client.messages.create(
            model="m", max_tokens=500, messages=[{"role": "user", "content": content}]
        )
    assert f"image (image/png, 5x5, {len(picture)} bytes" in _said(answer)
    assert "The tide is high." in _said(answer)


async def test_stop_sequences_and_limits_end_a_message(simulated: Served) -> None:
    asked: list[MessageParam] = [{"role": "user", "content": "Count to 20"}]
    async with _client(simulated) as client:
        stopped = await client.messages.create(model="m", max_tokens=90, messages=asked, stop_sequences=["5"])
        cut = await client.messages.create(model="m", max_tokens=3, messages=asked)
    assert _said(stopped) == "1, 2, 3, 4, "
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "5")
    assert cut.stop_reason == "max_tokens"
    assert cut.usage.output_tokens <= 3


async def test_a_schema_is_met_and_must_be_one_that_the_provider_takes(simulated: Served) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    asked: list[MessageParam] = [{"role": "user", "content": "Make up a person"}]
    async with _client(simulated) as client:
        answer = await client.messages.create(
            model="m",
            max_tokens=500,
            messages=asked,
            output_config={"format": {"type": "json_schema", "schema": schema}},
        )
        del schema["additionalProperties"]
        with pytest.raises(anthropic.BadRequestError, match="additionalProperties"):
            await client.messages.create(
                model="m",
                max_tokens=500,
                messages=asked,
                output_config={"format": {"type": "json_schema", "schema": schema}},
            )
    assert '"name":' in _said(answer)
    assert '"age":' in _said(answer)


async def test_a_marked_prefix_is_written_once_and_then_read(simulated: Served) -> None:
    system: list[Any] = [
        {"type": "text", "text": "Rules. " * 1000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    async with _client(simulated) as client:
        usages = [
            (
                await client.messages.create(
                    model="m", max_tokens=9, system=system, messages=[{"role": "user", "content": said}]
                )
            ).usage
            for said in ("one", "another")
        ]
    first, second = usages
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens == 1750
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_1h_input_tokens == 1750
    assert first.cache_read_input_tokens == second.cache_creation_input_tokens == 0
    assert first.input_tokens < 10


async def test_tokens_are_counted_as_a_message_would_be_charged(simulated: Served) -> None:
    async with _client(simulated) as client:
        counted = await client.messages.count_tokens(model="m", messages=ASKS_TWO, tools=[WEATHER])
        message = await client.messages.create(model="m", max_tokens=50, messages=ASKS_TWO, tools=[WEATHER])
    assert counted.input_tokens == message.usage.input_tokens


async def test_models_are_listed(start: Start) -> None:
    served = await start(SimulatorConfig(protocols=("anthropic",), models=("a", "b")))
    async with _client(served) as client:
        assert [model.id async for model in client.models.list()] == ["a", "b"]
        assert (await client.models.retrieve("b")).id == "b"
        with pytest.raises(anthropic.NotFoundError, match="model: c"):
            await client.messages.create(model="c", max_tokens=9, messages=ASKS_TWO)


USER: dict[str, Any] = {"role": "user", "content": "x"}
USE: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    ({"foo": 1}, "foo: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"messages": []}, "at least one message is required"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, 'first message must use the "user" role'),
    ({"messages": [{"role": "user", "content": ""}]}, "text content blocks must be non-empty"),
    ({"messages": [{"role": "user", "content": []}]}, "must have non-empty content"),
    ({"messages": [USER, {"role": "assistant", "content": "x "}]}, "trailing whitespace"),
    ({"messages": [{"role": "user", "content": [{"type": "foo"}]}]}, "messages.0.content.0.type: Input should be"),
    ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id` found"),
    ({"messages": [USER, {"role": "assistant", "content": [USE]}]}, "without `tool_result` blocks"),
    (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": [{"type": "text", "text": "first"}, RESULT]},
            ]
        },
        "without `tool_result` blocks",
    ),
    ({"messages": [{"role": "user", "content": [USE]}]}, "can only be in `assistant` messages"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1000}}, "greater than or equal to 1024"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "`max_tokens` must be greater"),
    ({"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
    ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.name"),
    ({"tools": [{"name": "a", "input_schema": {"type": "string"}}]}, "Input should be 'object'"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG)
async def test_wrong_requests_are_refused_in_the_providers_words(
    simulated: Served, http: aiohttp.ClientSession, change: dict[str, Any], sentence: str
) -> None:
    body = {"model": "m", "max_tokens": 100, "messages": [USER], **change}
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    async with http.post(f"{simulated.origin}/v1/messages", json=body, headers=headers) as answer:
        value = await answer.json()
    assert answer.status == 400
    assert value["type"] == "error"
    assert value["error"]["type"] == "invalid_request_error"
    assert sentence in value["error"]["message"]


async def test_the_newest_version_knows_no_sampling_parameters(simulated: Served, http: aiohttp.ClientSession) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [USER], "temperature": 1.0}
    for version, status in (("2023-06-01", 200), ("2026-10-21", 400)):
        headers = {"x-api-key": "k", "anthropic-version": version}
        async with http.post(f"{simulated.origin}/v1/messages", json=body, headers=headers) as answer:
            assert answer.status == status
            assert ("temperature: Extra inputs are not permitted" in await answer.text()) is (status == 400)


async def test_key_and_version_are_demanded(start: Start, http: aiohttp.ClientSession) -> None:
    served = await start(SimulatorConfig(protocols=("anthropic",), api_key="right"))
    body = {"model": "m", "max_tokens": 9, "messages": [USER]}
    for headers, status, sentence in (
        ({}, 401, "x-api-key header is required"),
        ({"x-api-key": "right"}, 400, "anthropic-version: header is required"),
        ({"x-api-key": "right", "anthropic-version": "1999"}, 400, "is not a valid version"),
        ({"x-api-key": "wrong", "anthropic-version": "2023-06-01"}, 401, "invalid x-api-key"),
        ({"authorization": "Bearer right", "anthropic-version": "2023-06-01"}, 200, ""),
    ):
        async with http.post(f"{served.origin}/v1/messages", json=body, headers=headers) as answer:
            assert answer.status == status
            assert sentence in await answer.text()


async def test_ordered_errors_reach_the_sdk_as_its_classes(simulated: Served) -> None:
    classes: dict[str, type[anthropic.APIStatusError]] = {
        "429": anthropic.RateLimitError,
        "529": anthropic.InternalServerError,
        "500": anthropic.InternalServerError,
        "auth": anthropic.AuthenticationError,
        "forbidden": anthropic.PermissionDeniedError,
        "balance": anthropic.APIStatusError,
        "413": anthropic.APIStatusError,
    }
    async with _client(simulated) as client:
        for word, kind in classes.items():
            with pytest.raises(kind) as refused:
                await client.messages.create(
                    model="m", max_tokens=9, messages=ASKS_TWO, extra_headers={"x-simulate": f"{word}"}
                )
            assert refused.value.body is not None
        with pytest.raises(anthropic.RateLimitError) as limited:
            await client.messages.create(
                model="m", max_tokens=9, messages=ASKS_TWO, extra_headers={"x-simulate": "429:retry=7"}
            )
        assert limited.value.response.headers["retry-after"] == "7"
        assert limited.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"


async def test_an_error_inside_a_stream_is_raised_by_the_sdk(simulated: Served) -> None:
    async with _client(simulated) as client:
        stream = await client.messages.create(
            model="m",
            max_tokens=90,
            messages=[{"role": "user", "content": "Count to 20 [simulate error:after=2,as=overloaded]"}],
            stream=True,
        )
        said: list[str] = []
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            async for event in stream:
                said += (
                    [event.delta.text]
                    if event.type == "content_block_delta" and event.delta.type == "text_delta"
                    else []
                )
    assert "".join(said) == "1, 2, 3, 4, 5, 6"[: len("".join(said))]
    assert len(said) == 2


async def test_the_providers_own_trigger_words_refuse_and_redact(simulated: Served) -> None:
    async with _client(simulated) as client:
        refused = await client.messages.create(
            model="m",
            max_tokens=90,
            messages=[{"role": "user", "content": "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1"}],
        )
        hidden = await client.messages.create(
            model="m",
            max_tokens=2000,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=[{"role": "user", "content": "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_1"}],
        )
    assert refused.stop_reason == "refusal"
    assert hidden.content[0].type == "redacted_thinking"
