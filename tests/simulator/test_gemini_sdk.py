# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# The SDK's own signatures name types that it does not define.
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from google import genai
from google.genai import errors, types

from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.media import png
from tidemill.simulator.serving import Served

Start = Callable[[SimulatorConfig], Awaitable[Served]]

# The SDK subclasses aiohttp's session, which aiohttp discourages; the warning is theirs.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Weather of a city",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"]
            ),
        )
    ]
)
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


@pytest.fixture
async def simulated(start: Start) -> Served:
    return await start(SimulatorConfig(protocols=("gemini",)))


@asynccontextmanager
async def _client(served: Served, key: str = "AIza-test") -> AsyncGenerator[genai.client.AsyncClient]:
    options = types.HttpOptions(base_url=served.origin, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=key, http_options=options)
    try:
        yield client.aio
    finally:
        await client.aio.aclose()
        client.close()


async def test_content_plain_and_streamed_is_the_same(simulated: Served) -> None:
    async with _client(simulated) as client:
        plain = await client.models.generate_content(model="m", contents="Hello there")
        stream = await client.models.generate_content_stream(model="m", contents="Hello there")
        chunks = [chunk async for chunk in stream]
    assert plain.text is not None
    assert "Hello there" in plain.text
    assert "".join(chunk.text or "" for chunk in chunks) == plain.text
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    assert reasons[-1] == types.FinishReason.STOP
    assert set(reasons[:-1]) == {None}
    assert all(chunk.usage_metadata is not None for chunk in chunks)
    assert chunks[-1].usage_metadata == plain.usage_metadata


async def test_parallel_calls_are_made_answered_and_summed_up(simulated: Served) -> None:
    asked = types.Content(role="user", parts=[types.Part(text="What is the weather in Paris and Tokyo?")])
    config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=MANUAL)
    async with _client(simulated) as client:
        first = await client.models.generate_content(model="m", contents=[asked], config=config)
        calls = first.function_calls
        assert calls is not None
        assert [call.args for call in calls] == [{"city": "Paris"}, {"city": "Tokyo"}]
        assert first.candidates is not None
        assert first.candidates[0].finish_reason == types.FinishReason.STOP
        assert first.candidates[0].content is not None
        results = [
            types.Part.from_function_response(name="get_weather", response={"result": said}) for said in ("sun", "rain")
        ]
        done = await client.models.generate_content(
            model="m",
            contents=[asked, first.candidates[0].content, types.Content(role="user", parts=results)],
            config=config,
        )
        with pytest.raises(errors.ClientError, match="number of function response parts"):
            await client.models.generate_content(
                model="m",
                contents=[asked, first.candidates[0].content, types.Content(role="user", parts=results[:1])],
                config=config,
            )
        stream = await client.models.generate_content_stream(model="m", contents=[asked], config=config)
        streamed = [call.args async for chunk in stream for call in chunk.function_calls or []]
    assert done.text == "get_weather answered: sun; get_weather answered: rain"
    assert streamed == [{"city": "Paris"}, {"city": "Tokyo"}]


@pytest.mark.parametrize(("model", "has_ids"), [("gemini-2.5-flash", False), ("gemini-3-pro", True)])
async def test_calls_have_ids_since_gemini_3(simulated: Served, model: str, has_ids: bool) -> None:  # noqa: FBT001 - a case
    config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=MANUAL)
    asked = "What is the weather in Paris and Tokyo?"
    async with _client(simulated) as client:
        plain = await client.models.generate_content(model=model, contents=asked, config=config)
        stream = await client.models.generate_content_stream(model=model, contents=asked, config=config)
        streamed = [call.id async for chunk in stream for call in chunk.function_calls or []]
    told = [call.id for call in plain.function_calls or []]
    assert told == streamed
    assert len(set(told)) == (2 if has_ids else 1)
    assert all(told) is has_ids


async def test_a_call_can_be_demanded_by_name(simulated: Served) -> None:
    calling = types.FunctionCallingConfig(
        mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["get_weather"]
    )
    config = types.GenerateContentConfig(
        tools=[WEATHER],
        tool_config=types.ToolConfig(function_calling_config=calling),
        automatic_function_calling=MANUAL,
    )
    async with _client(simulated) as client:
        answer = await client.models.generate_content(model="m", contents="go", config=config)
    assert answer.function_calls is not None
    assert answer.function_calls[0].name == "get_weather"


async def test_gemini_3_demands_its_thought_signature_back(simulated: Served) -> None:
    asked = types.Content(role="user", parts=[types.Part(text="Use get_weather for Oslo")])
    config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=MANUAL)
    result = types.Content(
        role="user", parts=[types.Part.from_function_response(name="get_weather", response={"result": "rain"})]
    )
    async with _client(simulated) as client:
        first = await client.models.generate_content(model="gemini-3-pro", contents=[asked], config=config)
        assert first.candidates is not None
        said = first.candidates[0].content
        assert said is not None
        assert said.parts is not None
        assert said.parts[0].thought_signature is not None
        done = await client.models.generate_content(model="gemini-3-pro", contents=[asked, said, result], config=config)
        assert "rain" in (done.text or "")
        said.parts[0].thought_signature = base64.urlsafe_b64decode("skip_thought_signature_validator")
        await client.models.generate_content(model="gemini-3-pro", contents=[asked, said, result], config=config)
        for seal, sentence in ((b"forged", "not valid"), (None, "missing a thought_signature")):
            said.parts[0].thought_signature = seal
            with pytest.raises(errors.ClientError, match=sentence):
                await client.models.generate_content(
                    model="gemini-3-pro", contents=[asked, said, result], config=config
                )


async def test_thoughts_are_shown_and_counted_apart(simulated: Served) -> None:
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    )
    async with _client(simulated) as client:
        answer = await client.models.generate_content(model="m", contents="Reply with exactly: yes", config=config)
    assert answer.candidates is not None
    content = answer.candidates[0].content
    assert content is not None
    assert content.parts is not None
    assert content.parts[0].thought is True
    assert answer.text == "yes"
    used = answer.usage_metadata
    assert used is not None
    assert used.thoughts_token_count is not None
    assert used.candidates_token_count == 1
    assert used.total_token_count == (used.prompt_token_count or 0) + 1 + used.thoughts_token_count


async def test_schemas_of_both_kinds_are_met(simulated: Served) -> None:
    schema = types.Schema(
        type=types.Type.OBJECT,
        properties={
            "name": types.Schema(type=types.Type.STRING),
            "tags": types.Schema(type=types.Type.ARRAY, items=types.Schema(type=types.Type.STRING)),
        },
        required=["name", "tags"],
    )
    plain = {"type": "object", "properties": {"n": {"const": 7}}, "required": ["n"], "additionalProperties": False}
    async with _client(simulated) as client:
        one = await client.models.generate_content(
            model="m",
            contents="Make up a thing",
            config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema),
        )
        other = await client.models.generate_content(
            model="m",
            contents="Make up a thing",
            config=types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=plain),
        )
    assert set(one.parsed or {}) == {"name", "tags"}  # type: ignore[arg-type] - a dictionary where no class is given
    assert other.text == '{"n":7}'


async def test_images_arrive_whole(simulated: Served) -> None:
    picture = png("blue", 3)
    async with _client(simulated) as client:
        answer = await client.models.generate_content(
            model="m", contents=[types.Part.from_bytes(data=picture, mime_type="image/png"), "What is this?"]
        )
    assert answer.text is not None
    assert f"image (image/png, 3x3, {len(picture)} bytes" in answer.text


async def test_tokens_embeddings_and_models(start: Start) -> None:
    served = await start(SimulatorConfig(protocols=("gemini",), models=("m", "e"), dimensions=64))
    async with _client(served) as client:
        counted = await client.models.count_tokens(model="m", contents="Hello there, how are you?")
        answer = await client.models.generate_content(model="m", contents="Hello there, how are you?")
        embedded = await client.models.embed_content(
            model="e", contents=["one", "two"], config=types.EmbedContentConfig(output_dimensionality=16)
        )
        names = [model.name async for model in await client.models.list()]
        one = await client.models.get(model="e")
        with pytest.raises(errors.ClientError, match="models/x is not found") as missing:
            await client.models.generate_content(model="x", contents="hi")
    assert answer.usage_metadata is not None
    assert counted.total_tokens == answer.usage_metadata.prompt_token_count
    assert embedded.embeddings is not None
    assert [len(item.values or []) for item in embedded.embeddings] == [16, 16]
    assert names == ["models/m", "models/e"]
    assert one.input_token_limit == 1_048_576
    assert missing.value.status == "NOT_FOUND"


async def test_stops_limits_and_filters(simulated: Served) -> None:
    async with _client(simulated) as client:
        stopped = await client.models.generate_content(
            model="m", contents="Count to 20", config=types.GenerateContentConfig(stop_sequences=["4"])
        )
        cut = await client.models.generate_content(
            model="m", contents="Count to 20", config=types.GenerateContentConfig(max_output_tokens=2)
        )
        answer = await client.models.generate_content(model="m", contents="[simulate blocked]")
        prompt = await client.models.generate_content(model="m", contents="[simulate blocked:at=prompt]")
    assert stopped.text == "1, 2, 3, "
    assert cut.candidates is not None
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.SAFETY
    assert not prompt.candidates
    assert prompt.prompt_feedback is not None
    assert prompt.prompt_feedback.block_reason == types.BlockedReason.SAFETY


async def test_ordered_errors_reach_the_sdk_as_its_classes(simulated: Served) -> None:
    async with _client(simulated) as client:
        for order, kind, status in (
            ("429:retry=3", errors.ClientError, "RESOURCE_EXHAUSTED"),
            ("503", errors.ServerError, "UNAVAILABLE"),
            ("500", errors.ServerError, "INTERNAL"),
            ("auth", errors.ClientError, "INVALID_ARGUMENT"),
            ("balance", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ):
            with pytest.raises(kind) as refused:
                await client.models.generate_content(
                    model="m",
                    contents="hi",
                    config=types.GenerateContentConfig(http_options=types.HttpOptions(headers={"x-simulate": order})),
                )
            assert refused.value.status == status
            if order.startswith("429"):
                assert "'retryDelay': '3s'" in str(refused.value.details)
            if order == "auth":
                assert "API_KEY_INVALID" in str(refused.value.details)


async def _post(http: aiohttp.ClientSession, served: Served, body: Any, query: str = "?key=k") -> tuple[int, Any]:
    async with http.post(f"{served.origin}/v1beta/models/m:generateContent{query}", json=body) as answer:
        return answer.status, await answer.json()


async def test_both_spellings_are_read_and_a_lone_value_is_a_list(
    simulated: Served, http: aiohttp.ClientSession
) -> None:
    said = {"parts": {"text": "Reply with exactly: ok"}}
    for body in (
        {"contents": said, "generation_config": {"max_output_tokens": "50", "stopSequences": None}},
        {
            "contents": [said],
            "generationConfig": {"maxOutputTokens": 50.0},
            "system_instruction": {"parts": {"text": "x"}},
        },
    ):
        status, value = await _post(http, simulated, body)
        assert status == 200
        assert value["candidates"][0]["content"]["parts"] == [{"text": "ok"}]


CONTENTS = [{"role": "user", "parts": [{"text": "x"}]}]
OBJECT: dict[str, Any] = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}


def _tool(**parameters: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {**OBJECT, **parameters}}]}]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"foo": 1}, 'Unknown name "foo": Cannot find field.'),
        ({"generationConfig": {"foo": 1}}, "Unknown name \"foo\" at 'generation_config': Cannot find field."),
        ({"generationConfig": {"temperature": "hot"}}, "Invalid value at 'generation_config.temperature'"),
        ({"generationConfig": {"temperature": 3}}, "temperature: must be in the range [0, 2]"),
        ({"generationConfig": {"responseSchema": OBJECT}}, "'text/plain' is unsupported"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}}, "only one of"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
        ({"contents": [{"parts": []}]}, "contents.parts must not be empty."),
        ({"contents": [{"parts": [{}]}]}, "must have one initialized field"),
        ({"contents": [{"parts": [{"text": "x", "inlineData": {"data": ""}}]}]}, "oneof field 'data' is already set"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "?"}}]}]}, "Base64 decoding failed"),
        (_tool(additionalProperties=False), 'Unknown name "additionalProperties"'),
        (_tool(type=["STRING", "NULL"]), "Proto field is not repeating, cannot start list."),
        (_tool(properties={}), "should be non-empty for OBJECT type"),
        (_tool(required=["b"]), "property is not defined"),
        ({"tools": [{"functionDeclarations": [{"name": "1f"}]}]}, "Invalid function name."),
    ],
)
async def test_wrong_requests_are_refused_in_the_providers_words(
    simulated: Served, http: aiohttp.ClientSession, change: dict[str, Any], sentence: str
) -> None:
    status, value = await _post(http, simulated, {"contents": CONTENTS, **change})
    assert status == 400
    assert value["error"]["status"] == "INVALID_ARGUMENT"
    assert sentence in value["error"]["message"]


async def test_keys_are_checked(start: Start, http: aiohttp.ClientSession) -> None:
    served = await start(SimulatorConfig(protocols=("gemini",), api_key="right"))
    assert (await _post(http, served, {"contents": CONTENTS}, "?key=right"))[0] == 200
    status, value = await _post(http, served, {"contents": CONTENTS}, "?key=wrong")
    assert (status, value["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    status, value = await _post(http, served, {"contents": CONTENTS}, "")
    assert (status, value["error"]["status"]) == (403, "PERMISSION_DENIED")


async def test_a_stream_is_an_array_unless_events_are_asked_for(simulated: Served, http: aiohttp.ClientSession) -> None:
    url = f"{simulated.origin}/v1beta/models/m:streamGenerateContent?key=k"
    async with http.post(url, json={"contents": CONTENTS}) as answer:
        chunks = await answer.json()
        assert answer.content_type == "application/json"
    async with http.post(f"{url}&alt=sse", json={"contents": CONTENTS}) as answer:
        events = (await answer.text()).split("\r\n\r\n")
        assert answer.content_type == "text/event-stream"
    assert len(chunks) == len(events) - 1 > 1
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_an_error_inside_a_stream_keeps_the_form_of_the_stream(
    simulated: Served, http: aiohttp.ClientSession
) -> None:
    url = f"{simulated.origin}/v1beta/models/m:streamGenerateContent?key=k"
    headers = {"x-simulate": "error:after=1,as=503"}
    async with http.post(url, json={"contents": CONTENTS}, headers=headers) as answer:
        chunks = await answer.json()
    assert [next(iter(chunk)) for chunk in chunks] == ["candidates", "error"]
    async with http.post(f"{url}&alt=sse", json={"contents": CONTENTS}, headers=headers) as answer:
        events = (await answer.text()).split("\r\n\r\n")
    assert '"status":"UNAVAILABLE"' in events[1]
