# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# google-genai's own signatures name types that it does not define.
"""The official SDKs, unchanged but for base URL and key, against the relay with each of four providers behind it."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.relay.rig import Rig, relay_rig
from tests.relay.tongues import ALL, PROTOCOL, PROVIDER
from tidemill.platform.db import Database
from tidemill.relay.ports import CallerLimits
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.media import png
from tidemill.simulator.serving import running
from tidemill.wire.canonical_parts import Dialect

# The SDK subclasses aiohttp's session, which aiohttp discourages; the warning is theirs.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODELS = [f"on-{PROTOCOL[dialect]}" for dialect in ALL]
each_provider = pytest.mark.parametrize("model", MODELS)
SAYS = "Reply with exactly: mills turn"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TWO = "Use get_weather for Paris and Rome."
THINKS = "Why is the sky blue?"
PICTURE = base64.b64encode(png("x")).decode()


@pytest.fixture
async def sdk_rig(memory_database: Database) -> AsyncGenerator[Rig]:
    limits = CallerLimits(rpm=1)
    async with (
        AsyncExitStack() as stack,
        relay_rig(memory_database, limits_of=lambda actor: limits if actor.user_id == 3 else CallerLimits()) as rig,
    ):
        for dialect in ALL:
            name = PROTOCOL[dialect]
            served = await stack.enter_async_context(running(SimulatorConfig(protocols=(name,), thinks=False)))
            await rig.channel(served.origin, name, provider=PROVIDER[dialect], models={f"on-{name}": "sim"})
        yield rig


def openai_of(rig: Rig, key: str = "user-1") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=key, max_retries=0)


def anthropic_of(rig: Rig, key: str = "user-1") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=rig.url, api_key=key, max_retries=0)


@asynccontextmanager
async def gemini_of(rig: Rig, key: str = "user-1") -> AsyncGenerator[genai.client.AsyncClient]:
    options = types.HttpOptions(base_url=rig.url, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=key, http_options=options)
    try:
        yield client.aio
    finally:
        await client.aio.aclose()
        client.close()


# ---- OpenAI chat -----------------------------------------------------------------------------------------------------


@each_provider
async def test_openai_chats(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        plain = await sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": SAYS}])
        assert plain.choices[0].message.content == "mills turn"
        assert plain.usage is not None
        assert plain.usage.prompt_tokens > 0
        stream = await sdk.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": SAYS}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "mills turn"
        assert chunks[-1].usage is not None
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


@each_provider
async def test_openai_calls_tools_sees_pictures_and_fits_schemas(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
        messages: list[Any] = [{"role": "user", "content": TWO}]
        called = await sdk.chat.completions.create(model=model, messages=messages, tools=tools)
        assert called.choices[0].finish_reason == "tool_calls"
        message = called.choices[0].message
        calls = [call for call in message.tool_calls or [] if call.type == "function"]
        assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        results = [{"role": "tool", "tool_call_id": call.id, "content": "21 C"} for call in calls]
        messages += [message.model_dump(exclude_none=True), *results]
        told = await sdk.chat.completions.create(model=model, messages=messages, tools=tools)
        assert "21 C" in (told.choices[0].message.content or "")
        content: Any = [
            {"type": "text", "text": "What do you see?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        ]
        seen = await sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
        assert "image/png, 8x8" in (seen.choices[0].message.content or "")
        shape: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
        shaped = await sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Name a city."}], response_format=shape
        )
        assert json.loads(shaped.choices[0].message.content or "").keys() == {"city", "people"}


@each_provider
async def test_openai_shows_reasoning(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        done = await sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": THINKS}], reasoning_effort="medium"
        )
        assert done.usage is not None
        assert done.usage.completion_tokens_details is not None
        assert (done.usage.completion_tokens_details.reasoning_tokens or 0) > 0
        if model != "on-responses":  # they tell reasoning only as a summary, for which OpenAI's chat has no word
            assert "sky blue" in str(getattr(done.choices[0].message, "reasoning_content", ""))


@pytest.mark.parametrize("model", [name for name in MODELS if name != "on-openai"])
async def test_a_chat_that_asks_for_a_summary_is_told_the_reasoning(sdk_rig: Rig, model: str) -> None:
    asked: Any = {"model": model, "messages": [{"role": "user", "content": THINKS}], "reasoning_effort": "medium"}
    async with openai_of(sdk_rig) as sdk:
        done = await sdk.chat.completions.create(**asked, extra_body={"reasoning": {"summary": "auto"}})
        assert "sky blue" in str(getattr(done.choices[0].message, "reasoning_content", ""))
        hidden = await sdk.chat.completions.create(**asked, extra_body={"reasoning": {"exclude": True}})
        assert not getattr(hidden.choices[0].message, "reasoning_content", "")


@pytest.mark.parametrize("model", ["on-openai", "on-gemini"])
async def test_openai_embeds_where_the_provider_can(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        found = await sdk.embeddings.create(model=model, input=["a", "b"])
        assert [len(item.embedding) for item in found.data] == [384, 384]
        floats = await sdk.embeddings.create(model=model, input="a", encoding_format="float")
        assert floats.data[0].embedding == pytest.approx(found.data[0].embedding, abs=1e-6)


async def test_openai_is_told_that_a_provider_embeds_nothing(sdk_rig: Rig) -> None:
    async with openai_of(sdk_rig) as sdk:
        with pytest.raises(openai.NotFoundError) as nobody:
            await sdk.embeddings.create(model="on-anthropic", input="a")
        assert nobody.value.code == "scene_not_served"


@each_provider
async def test_openai_knows_its_errors(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        for fault, kind in (("400", openai.BadRequestError), ("429", openai.RateLimitError)):
            with pytest.raises(kind):
                await sdk.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": f"[simulate {fault}]"}]
                )
        with pytest.raises(openai.InternalServerError):
            await sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "[simulate 500]"}])
        with pytest.raises(openai.APIError):
            stream = await sdk.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "Count to 90. [simulate cut:after=3]"}],
                stream=True,
            )
            [chunk async for chunk in stream]


# ---- OpenAI responses ------------------------------------------------------------------------------------------------


@each_provider
async def test_responses_are_made(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        plain = await sdk.responses.create(model=model, input=SAYS, instructions="Be brief.")
        assert (plain.status, plain.output_text) == ("completed", "mills turn")
        assert plain.usage is not None
        assert plain.usage.input_tokens > 0
        async with sdk.responses.stream(model=model, input=SAYS) as stream:
            numbers = [event.sequence_number async for event in stream]
            last = await stream.get_final_response()
        assert numbers == sorted(set(numbers))
        assert last.output_text == "mills turn"


@each_provider
async def test_responses_call_tools_see_pictures_and_fit_schemas(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        tools: Any = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": False}]
        asked: list[Any] = [{"role": "user", "content": TWO}]
        called = await sdk.responses.create(model=model, input=asked, tools=tools)
        calls = [item for item in called.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        asked += [item.model_dump(exclude_none=True) for item in called.output]
        asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "21 C"} for call in calls]
        told = await sdk.responses.create(model=model, input=asked, tools=tools)
        assert "21 C" in told.output_text
        picture: Any = [
            {"type": "input_text", "text": "What do you see?"},
            {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PICTURE}"},
        ]
        seen = await sdk.responses.create(model=model, input=[{"role": "user", "content": picture}])
        assert "image/png, 8x8" in seen.output_text
        shaped = await sdk.responses.create(
            model=model,
            input="Name a city.",
            text={"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}},
        )
        assert json.loads(shaped.output_text).keys() == {"city", "people"}
        thought = await sdk.responses.create(
            model=model, input=THINKS, reasoning={"effort": "medium", "summary": "auto"}
        )
        assert any(item.type == "reasoning" for item in thought.output)
        assert thought.usage is not None
        assert thought.usage.output_tokens_details.reasoning_tokens > 0


@each_provider
async def test_responses_fail_in_their_own_words(sdk_rig: Rig, model: str) -> None:
    async with openai_of(sdk_rig) as sdk:
        with pytest.raises(openai.BadRequestError):
            await sdk.responses.create(model=model, input="[simulate 400]")
        stream = await sdk.responses.create(model=model, input="Count to 90. [simulate cut:after=3]", stream=True)
        kinds = [event.type async for event in stream]
        assert "response.output_text.delta" in kinds
        assert "response.completed" not in kinds
        assert kinds[-1] in {"error", "response.failed"}


# ---- Anthropic -------------------------------------------------------------------------------------------------------


def said(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@each_provider
async def test_anthropic_messages(sdk_rig: Rig, model: str) -> None:
    async with anthropic_of(sdk_rig) as sdk:
        asked: Any = [{"role": "user", "content": SAYS}]
        plain = await sdk.messages.create(model=model, max_tokens=900, system="Be brief.", messages=asked)
        assert (said(plain), plain.stop_reason) == ("mills turn", "end_turn")
        assert plain.usage.input_tokens > 0
        async with sdk.messages.stream(model=model, max_tokens=900, messages=asked) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            last = await stream.get_final_message()
        assert (text, said(last), last.stop_reason) == ("mills turn", "mills turn", "end_turn")
        assert last.usage.output_tokens == plain.usage.output_tokens
        counted = await sdk.messages.count_tokens(model=model, messages=asked)
        assert counted.input_tokens > 0


@each_provider
async def test_anthropic_calls_tools_sees_pictures_and_thinks(sdk_rig: Rig, model: str) -> None:
    async with anthropic_of(sdk_rig) as sdk:
        tools: Any = [{"name": "get_weather", "input_schema": PARAMETERS}]
        messages: list[Any] = [{"role": "user", "content": TWO}]
        called = await sdk.messages.create(model=model, max_tokens=900, messages=messages, tools=tools)
        calls = [block for block in called.content if block.type == "tool_use"]
        assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        assert called.stop_reason == "tool_use"
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "21 C"} for call in calls]
        messages += [
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in called.content]},
            {"role": "user", "content": results},
        ]
        told = await sdk.messages.create(model=model, max_tokens=900, messages=messages, tools=tools)
        assert "21 C" in said(told)
        async with sdk.messages.stream(model=model, max_tokens=900, messages=messages[:1], tools=tools) as stream:
            streamed = await stream.get_final_message()
        assert [block.input for block in streamed.content if block.type == "tool_use"] == [call.input for call in calls]
        picture: Any = [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
            {"type": "text", "text": "What do you see?"},
        ]
        seen = await sdk.messages.create(model=model, max_tokens=900, messages=[{"role": "user", "content": picture}])
        assert "image/png, 8x8" in said(seen)
        thought = await sdk.messages.create(
            model=model,
            max_tokens=3000,
            messages=[{"role": "user", "content": THINKS}],
            thinking={"type": "enabled", "budget_tokens": 1024},
        )
        kinds = [block.type for block in thought.content]
        assert kinds[-1] == "text"
        if model != "on-responses":
            assert "thinking" in kinds
        shaped = await sdk.messages.create(
            model=model,
            max_tokens=900,
            messages=[{"role": "user", "content": "Name a city."}],
            extra_body={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        )
        assert json.loads(said(shaped)).keys() == {"city", "people"}


@each_provider
async def test_anthropic_knows_its_errors(sdk_rig: Rig, model: str) -> None:
    async with anthropic_of(sdk_rig) as sdk:
        for fault, kind in (
            ("400", anthropic.BadRequestError),
            ("429", anthropic.RateLimitError),
            ("overloaded", anthropic.InternalServerError),
            ("401", anthropic.InternalServerError),
        ):
            with pytest.raises(kind) as raised:
                await sdk.messages.create(
                    model=model, max_tokens=9, messages=[{"role": "user", "content": f"[simulate {fault}]"}]
                )
            assert raised.value.request_id
            assert not isinstance(raised.value, anthropic.AuthenticationError)
        with pytest.raises(anthropic.APIError):
            async with sdk.messages.stream(
                model=model,
                max_tokens=900,
                messages=[{"role": "user", "content": "Count to 90. [simulate cut:after=3]"}],
            ) as stream:
                await stream.get_final_message()


# ---- Gemini ----------------------------------------------------------------------------------------------------------

MANUAL = types.AutomaticFunctionCallingConfig(disable=True)
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="get_weather", description="Weather", parameters_json_schema=PARAMETERS)
    ]
)


@each_provider
async def test_gemini_generates(sdk_rig: Rig, model: str) -> None:
    async with gemini_of(sdk_rig) as sdk:
        config = types.GenerateContentConfig(system_instruction="Be brief.")
        plain = await sdk.models.generate_content(model=model, contents=SAYS, config=config)
        assert plain.text == "mills turn"
        assert plain.usage_metadata is not None
        assert (plain.usage_metadata.prompt_token_count or 0) > 0
        chunks = [chunk async for chunk in await sdk.models.generate_content_stream(model=model, contents=SAYS)]
        assert "".join(chunk.text or "" for chunk in chunks) == "mills turn"
        last = chunks[-1].candidates or []
        assert last[0].finish_reason == types.FinishReason.STOP
        counted = await sdk.models.count_tokens(model=model, contents=SAYS)
        assert (counted.total_tokens or 0) > 0


@each_provider
async def test_gemini_calls_tools_sees_pictures_fits_schemas_and_thinks(sdk_rig: Rig, model: str) -> None:
    async with gemini_of(sdk_rig) as sdk:
        config = types.GenerateContentConfig(tools=[WEATHER], automatic_function_calling=MANUAL)
        called = await sdk.models.generate_content(model=model, contents=TWO, config=config)
        calls = called.function_calls or []
        assert [call.args for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        said_so = (called.candidates or [])[0].content
        assert said_so is not None
        results = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": "21 C"})
            )
            for call in calls
        ]
        talk: Any = [
            types.Content(role="user", parts=[types.Part(text=TWO)]),
            said_so,
            types.Content(role="user", parts=results),
        ]
        told = await sdk.models.generate_content(model=model, contents=talk, config=config)
        assert "21 C" in (told.text or "")
        picture: Any = ["What do you see?", types.Part.from_bytes(data=png("x"), mime_type="image/png")]
        seen = await sdk.models.generate_content(model=model, contents=picture)
        assert "image/png, 8x8" in (seen.text or "")
        shaped = await sdk.models.generate_content(
            model=model,
            contents="Name a city.",
            config=types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA),
        )
        assert json.loads(shaped.text or "").keys() == {"city", "people"}
        thought = await sdk.models.generate_content(
            model=model,
            contents=THINKS,
            config=types.GenerateContentConfig(
                max_output_tokens=4000,
                thinking_config=types.ThinkingConfig(thinking_budget=1024, include_thoughts=True),
            ),
        )
        parts = ((thought.candidates or [])[0].content or types.Content()).parts or []
        assert any(part.thought and "sky blue" in (part.text or "") for part in parts)


@pytest.mark.parametrize("model", ["on-openai", "on-gemini"])
async def test_gemini_embeds_where_the_provider_can(sdk_rig: Rig, model: str) -> None:
    async with gemini_of(sdk_rig) as sdk:
        texts: Any = [types.Content(role="user", parts=[types.Part(text=text)]) for text in ("a", "b")]
        found = await sdk.models.embed_content(model=model, contents=texts)
        assert [len(item.values or []) for item in found.embeddings or []] == [384, 384]


@each_provider
async def test_gemini_knows_its_errors(sdk_rig: Rig, model: str) -> None:
    async with gemini_of(sdk_rig) as sdk:
        for fault, kind, status in (
            ("400", errors.ClientError, "INVALID_ARGUMENT"),
            ("429", errors.ClientError, "RESOURCE_EXHAUSTED"),
            ("500", errors.ServerError, "INTERNAL"),
        ):
            with pytest.raises(kind) as raised:
                await sdk.models.generate_content(model=model, contents=f"[simulate {fault}]")
            assert raised.value.status == status


# ---- what no provider is asked for -----------------------------------------------------------------------------------


async def test_models_are_listed_to_every_sdk(sdk_rig: Rig) -> None:
    async with openai_of(sdk_rig) as one, anthropic_of(sdk_rig) as two, gemini_of(sdk_rig) as three:
        assert [model.id async for model in one.models.list()] == sorted(MODELS)
        assert [model.id async for model in two.models.list()] == sorted(MODELS)
        assert (await two.models.retrieve("on-gemini")).display_name == "on-gemini"
        assert [model.name async for model in await three.models.list()] == [
            f"models/{name}" for name in sorted(MODELS)
        ]
        assert (await three.models.get(model="on-openai")).name == "models/on-openai"


async def test_refusals_of_our_own_are_known_to_every_sdk(sdk_rig: Rig) -> None:
    asked: Any = [{"role": "user", "content": "hi"}]
    async with anthropic_of(sdk_rig, "wrong") as sdk:
        with pytest.raises(anthropic.AuthenticationError):
            await sdk.messages.create(model="on-openai", max_tokens=9, messages=asked)
    async with anthropic_of(sdk_rig, "poor") as sdk:
        with pytest.raises(anthropic.PermissionDeniedError):
            await sdk.messages.create(model="on-openai", max_tokens=9, messages=asked)
    async with anthropic_of(sdk_rig) as sdk:
        with pytest.raises(anthropic.NotFoundError):
            await sdk.messages.create(model="none", max_tokens=9, messages=asked)
    async with anthropic_of(sdk_rig, "user-3") as sdk:
        await sdk.messages.create(model="on-openai", max_tokens=9, messages=asked)
        with pytest.raises(anthropic.RateLimitError) as limited:
            await sdk.messages.create(model="on-openai", max_tokens=9, messages=asked)
        assert int(limited.value.response.headers["retry-after"]) > 0
    async with gemini_of(sdk_rig, "wrong") as google:
        with pytest.raises(errors.ClientError) as unknown:
            await google.models.generate_content(model="on-openai", contents="hi")
        assert (unknown.value.code, unknown.value.status) == (401, "UNAUTHENTICATED")
    async with gemini_of(sdk_rig) as google:
        with pytest.raises(errors.ClientError) as nobody:
            await google.models.generate_content(model="none", contents="hi")
        assert (nobody.value.code, nobody.value.status) == (404, "NOT_FOUND")


def test_every_dialect_has_a_provider_here() -> None:
    assert set(ALL) == set(Dialect)
