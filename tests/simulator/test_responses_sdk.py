import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.responses import FunctionToolParam, ResponseInputParam

from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.media import png
from tidemill.simulator.serving import Served

Start = Callable[[SimulatorConfig], Awaitable[Served]]

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def simulated(start: Start) -> Served:
    return await start(SimulatorConfig(protocols=("responses",)))


def _client(served: Served) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=served.base_url, api_key="sk-test", max_retries=0)


async def test_a_response_plain_and_streamed_is_the_same(simulated: Served) -> None:
    async with _client(simulated) as client:
        plain = await client.responses.create(model="m", input="Hello there", instructions="Be brief")
        stream = await client.responses.create(model="m", input="Hello there", instructions="Be brief", stream=True)
        events = [event async for event in stream]
    assert "Hello there" in plain.output_text
    assert plain.status == "completed"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == plain.output_text
    assert events[-1].response.usage == plain.usage
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_events_come_in_the_exact_order(simulated: Served) -> None:
    async with _client(simulated) as client:
        stream = await client.responses.create(
            model="m",
            input="Say first what you do, then use get_weather for Oslo",
            tools=[WEATHER],
            reasoning={"effort": "low", "summary": "auto"},
            stream=True,
        )
        kinds: list[str] = []
        async for event in stream:
            if not kinds or kinds[-1] != event.type:
                kinds.append(event.type)
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_the_sdks_own_accumulator_agrees(simulated: Served) -> None:
    async with (
        _client(simulated) as client,
        client.responses.stream(model="m", input="Weather in Paris and Tokyo?", tools=[WEATHER]) as stream,
    ):
        final = await stream.get_final_response()
    arguments = [item.arguments for item in final.output if item.type == "function_call"]
    assert arguments == ['{"city":"Paris"}', '{"city":"Tokyo"}']


async def test_calls_are_answered_by_item_or_by_previous_response(simulated: Served) -> None:
    asked = "What is the weather in Paris?"
    async with _client(simulated) as client:
        first = await client.responses.create(model="m", input=asked, tools=[WEATHER])
        call = first.output[0]
        assert call.type == "function_call"
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
        later = await client.responses.create(model="m", input=[output], previous_response_id=first.id, tools=[WEATHER])
        items: Any = [{"role": "user", "content": asked}, call.model_dump(exclude_none=True), output]
        whole = await client.responses.create(model="m", input=items, tools=[WEATHER])
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
            await client.responses.create(model="m", input="and now?", previous_response_id=first.id)
        with pytest.raises(openai.BadRequestError, match="No tool call found"):
            await client.responses.create(model="m", input=[output])
    assert later.output_text == whole.output_text == "get_weather answered: sun"


async def test_stored_responses_are_kept_within_a_bound(start: Start) -> None:
    served = await start(SimulatorConfig(protocols=("responses",), keep_responses=2))
    async with _client(served) as client:
        one = await client.responses.create(model="m", input="My name is Ada")
        two = await client.responses.create(model="m", input="What is my name?", previous_response_id=one.id)
        assert two.output_text == "Your name is Ada."
        assert (await client.responses.retrieve(two.id)).output_text == two.output_text
        listed = await client.responses.input_items.list(two.id)
        assert [item.type for item in listed.data] == ["message"]
        unkept = await client.responses.create(model="m", input="three", store=False)
        three = await client.responses.create(model="m", input="three")
        for gone in (one.id, f"{unkept.id}x"):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model="m", input="and?", previous_response_id=gone)
            assert refused.value.code == "previous_response_not_found"
        await client.responses.delete(three.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(three.id)


async def test_a_compaction_stands_for_what_it_seals(simulated: Served) -> None:
    asked = "What is the weather in Paris?"
    async with _client(simulated) as client:
        first = await client.responses.create(model="m", input=asked, tools=[WEATHER])
        call = first.output[0]
        assert call.type == "function_call"
        talk: Any = [
            {"role": "developer", "content": "My name is Ada."},
            {"role": "user", "content": asked},
            call.model_dump(exclude_none=True),
            {"type": "function_call_output", "call_id": call.call_id, "output": "sun"},
        ]
        compact = await client.responses.compact(model="m", input=talk)
        kept: list[Any] = [item.model_dump(exclude_none=True, warnings=False) for item in compact.output]
        more: Any = [*kept, {"role": "user", "content": "What is my name?"}]
        later = await client.responses.create(model="m", input=more)
        counted = await client.responses.input_tokens.count(model="m", input=more)
        told = await client.responses.create(model="m", input=kept, tools=[WEATHER])
        for seal in ("AAAA", "no seal", base64.b64encode(b"simulated compaction:x").decode()):
            foreign: Any = [{"type": "compaction", "encrypted_content": seal}]
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model="m", input=foreign)
            assert refused.value.code == "invalid_encrypted_content"
        with pytest.raises(openai.BadRequestError):
            await client.responses.compact(model="m", input="x", extra_body={"tools": []})
        with pytest.raises(openai.BadRequestError):
            await client.responses.compact(model="m")
    assert (compact.object, compact.id[:5]) == ("response.compaction", "resp_")
    assert [item["type"] for item in kept] == ["message", "message", "compaction"]
    assert compact.usage.total_tokens > 0
    assert later.output_text == "Your name is Ada."
    assert later.usage is not None
    assert later.usage.input_tokens == counted.input_tokens
    assert told.output_text == "get_weather answered: sun"


async def test_a_response_shows_every_setting(simulated: Served, http: aiohttp.ClientSession) -> None:
    body = {"model": "m", "input": "hi", "tools": [{"type": "function", "name": "f"}]}
    async with http.post(f"{simulated.base_url}/responses", json=body) as answer:
        shown = await answer.json()
    assert (shown["frequency_penalty"], shown["presence_penalty"]) == (0.0, 0.0)
    assert shown["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": True}
    ]


async def test_a_response_can_end_incomplete(simulated: Served) -> None:
    async with _client(simulated) as client:
        cut = await client.responses.create(model="m", input="Write 100 words", max_output_tokens=16)
        stream = await client.responses.create(model="m", input="Write 100 words", max_output_tokens=16, stream=True)
        last = [event async for event in stream][-1]
        filtered = await client.responses.create(model="m", input="[simulate blocked]")
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    assert last.type == "response.incomplete"
    assert filtered.incomplete_details is not None
    assert filtered.incomplete_details.reason == "content_filter"


async def test_reasoning_is_an_item_and_is_counted(simulated: Served) -> None:
    async with _client(simulated) as client:
        answer = await client.responses.create(
            model="o3",
            input="Reply with exactly: yes",
            reasoning={"summary": "auto"},
            include=["reasoning.encrypted_content"],
        )
        again: Any = [item.model_dump(exclude_none=True) for item in answer.output]
        await client.responses.create(model="o3", input=[*again, {"role": "user", "content": "and?"}])
    thought = answer.output[0]
    assert thought.type == "reasoning"
    assert thought.encrypted_content
    assert thought.summary[0].text
    assert answer.output_text == "yes"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 1 + answer.usage.output_tokens_details.reasoning_tokens


async def test_schemas_images_and_token_counts(simulated: Served) -> None:
    picture = png("green", 4)
    content: ResponseInputParam = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {
                    "type": "input_image",
                    "detail": "auto",
                    "image_url": f"data:image/png;base64,{base64.b64encode(picture).decode()}",
                },
            ],
        }
    ]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    async with _client(simulated) as client:
        seen = await client.responses.create(model="m", input=content)
        fitted = await client.responses.create(
            model="m",
            input="A number",
            text={"format": {"type": "json_schema", "name": "number", "schema": schema, "strict": True}},
        )
        counted = await client.responses.input_tokens.count(model="m", input=content)
        del schema["additionalProperties"]
        with pytest.raises(openai.BadRequestError, match="'additionalProperties' is required"):
            await client.responses.create(
                model="m",
                input="A number",
                text={"format": {"type": "json_schema", "name": "number", "schema": schema, "strict": True}},
            )
    assert f"image (image/png, 4x4, {len(picture)} bytes" in seen.output_text
    assert isinstance(json.loads(fitted.output_text)["n"], int)
    assert seen.usage is not None
    assert counted.input_tokens == seen.usage.input_tokens


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"foo": 1}, "Unknown parameter: 'foo'."),
        ({"max_output_tokens": 5}, "Invalid 'max_output_tokens'"),
        ({"input": [{"type": "foo"}]}, "Invalid 'input[0].type'"),
        ({"input": [{"role": "tool", "content": "x"}]}, "Invalid 'input[0].role'"),
        ({"messages": []}, "Unknown parameter: 'messages'."),
        ({"background": True}, "'background' is not simulated."),
        ({"tool_choice": {"type": "function", "name": "x"}}, "Tool choice 'x' not found"),
    ],
)
async def test_wrong_requests_are_refused(
    simulated: Served, http: aiohttp.ClientSession, change: dict[str, Any], sentence: str
) -> None:
    async with http.post(f"{simulated.base_url}/responses", json={"model": "m", "input": "x", **change}) as answer:
        value = await answer.json()
    assert answer.status == 400
    assert sentence in value["error"]["message"]


async def test_a_failure_in_mid_stream_is_an_error_event_and_a_failed_response(
    simulated: Served, http: aiohttp.ClientSession
) -> None:
    body = {"model": "m", "input": "Count to 9", "stream": True}
    headers = {"x-simulate": "error:after=1,as=429"}
    async with http.post(f"{simulated.base_url}/responses", json=body, headers=headers) as answer:
        events = [json.loads(part.partition("data: ")[2]) for part in (await answer.text()).strip().split("\n\n")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == "rate_limit_exceeded"
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
    async with _client(simulated) as client:
        stream = await client.responses.create(model="m", input="Count to 9", stream=True, extra_headers=headers)
        kinds = [event.type async for event in stream]
    assert kinds[-2:] == ["error", "response.failed"]
