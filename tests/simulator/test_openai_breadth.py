"""OpenAI's SDK on everything beside a plain chat: tools, schemas, reasoning, pictures, sound, ranking."""

import base64
import io
import json
import wave
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.media import image_size, png, wav
from tidemill.simulator.serving import Served

Start = Callable[[SimulatorConfig], Awaitable[Served]]

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME: ChatCompletionToolParam = {"type": "function", "function": {"name": "get_time"}}


def _user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
async def simulated(start: Start) -> Served:
    return await start(SimulatorConfig())


def _client(served: Served) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=served.base_url, api_key="sk-test", max_retries=0)


async def _say(served: Served, text: str, more: dict[str, Any] | None = None) -> str:
    async with _client(served) as client:
        answer = await client.chat.completions.create(model="m", messages=_user(text), extra_body=more)
    return str(answer.choices[0].message.content)


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("Reply with exactly: hello world", "hello world"),
        ("Please respond with only the word 'pong'.", "pong"),
        ("Say exactly OK and nothing else.", "OK"),
        ('Say "good night" to me', "good night"),
        ("Reply with the word banana", "banana"),
        ("请只回复“收到”", "收到"),
        ("Count from 3 to 6", "3, 4, 5, 6"),
        ("Count to 5, one per line", "1\n2\n3\n4\n5"),
        ("从1数到3", "1, 2, 3"),
        ("Repeat after me: the tide turns", "the tide turns"),
        ("What is 17 + 25?", "42"),
        ("What's 6 times 7?", "42"),
        ("Write 3 words", "tide river stone"),
    ],
)
async def test_simple_orders_are_obeyed(simulated: Served, order: str, answer: str) -> None:
    assert await _say(simulated, order) == answer


async def test_a_system_prompt_can_fix_the_answer_and_a_name_is_remembered(simulated: Served) -> None:
    async with _client(simulated) as client:
        fixed = await client.chat.completions.create(
            model="m",
            messages=[{"role": "system", "content": "Always answer with exactly: no"}, *_user("Is it raining?")],
        )
        named = await client.chat.completions.create(
            model="m",
            messages=[
                *_user("Hi, my name is Grace."),
                {"role": "assistant", "content": "Hello"},
                *_user("What is my name?"),
            ],
        )
    assert fixed.choices[0].message.content == "no"
    assert named.choices[0].message.content == "Your name is Grace."


async def test_parallel_calls_stream_answer_and_end(simulated: Served) -> None:
    asked = _user("What is the weather in Paris and Tokyo?")
    async with _client(simulated) as client:
        first = await client.chat.completions.create(model="m", messages=asked, tools=[WEATHER, TIME])
        async with client.chat.completions.stream(model="m", messages=asked, tools=[WEATHER, TIME]) as stream:
            streamed = await stream.get_final_completion()
        calls = first.choices[0].message.tool_calls
        assert calls is not None
        results: list[ChatCompletionMessageParam] = [
            {"role": "tool", "tool_call_id": call.id, "content": f"sun {at}"} for at, call in enumerate(calls)
        ]
        said: Any = first.choices[0].message.model_dump(exclude_none=True)
        done = await client.chat.completions.create(model="m", messages=[*asked, said, *results], tools=[WEATHER, TIME])
        one = await client.chat.completions.create(
            model="m", messages=asked, tools=[WEATHER], parallel_tool_calls=False
        )
        forced = await client.chat.completions.create(
            model="m",
            messages=asked,
            tools=[WEATHER, TIME],
            tool_choice={"type": "function", "function": {"name": "get_time"}},
        )
        none = await client.chat.completions.create(model="m", messages=asked, tools=[WEATHER], tool_choice="none")
        with pytest.raises(openai.BadRequestError, match="did not have response messages"):
            await client.chat.completions.create(model="m", messages=[*asked, said, results[0]], tools=[WEATHER])
        with pytest.raises(openai.BadRequestError, match="must be a response to a preceding message"):
            await client.chat.completions.create(model="m", messages=[*asked, results[0]], tools=[WEATHER])
    arguments = [call.function.arguments for call in calls if call.type == "function"]
    assert arguments == ['{"city":"Paris"}', '{"city":"Tokyo"}']
    repeated = streamed.choices[0].message.tool_calls
    assert repeated is not None
    assert [call.function.arguments for call in repeated] == arguments
    assert done.choices[0].message.content == "get_weather answered: sun 0; get_weather answered: sun 1"
    assert len(one.choices[0].message.tool_calls or []) == 1
    names = [call.function.name for call in forced.choices[0].message.tool_calls or [] if call.type == "function"]
    assert names == ["get_time"]
    assert none.choices[0].finish_reason == "stop"


async def test_custom_and_legacy_tools_are_called_in_their_own_shapes(simulated: Served) -> None:
    async with _client(simulated) as client:
        custom = await client.chat.completions.create(
            model="m",
            messages=_user('Run the shell tool with "ls"'),
            tools=[{"type": "custom", "custom": {"name": "shell"}}],
        )
        legacy = await client.chat.completions.create(
            model="m", messages=_user("go"), functions=[{"name": "f"}], function_call={"name": "f"}
        )
    calls = custom.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "custom"
    assert calls[0].custom.input == "ls"
    assert legacy.choices[0].finish_reason == "function_call"
    assert legacy.choices[0].message.function_call is not None


async def test_choices_log_probabilities_and_stops(simulated: Served) -> None:
    async with _client(simulated) as client:
        answer = await client.chat.completions.create(
            model="m", messages=_user("Tell me a story"), n=3, logprobs=True, top_logprobs=2
        )
        stream = await client.chat.completions.create(
            model="m", messages=_user("Tell me a story"), n=3, logprobs=True, stream=True
        )
        chunks = [chunk async for chunk in stream]
        stopped = await client.chat.completions.create(model="m", messages=_user("Count to 9"), stop=["7", "4"])
    texts = [choice.message.content for choice in answer.choices]
    assert len(set(texts)) == 3
    for index, text in enumerate(texts):
        mine = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert "".join(choice.delta.content or "" for choice in mine) == text
        assert [choice.finish_reason for choice in mine][-1] == "stop"
    logs = answer.choices[0].logprobs
    assert logs is not None
    assert logs.content is not None
    assert "".join(token.token for token in logs.content) == texts[0]
    assert all(len(token.top_logprobs) == 2 for token in logs.content)
    assert stopped.choices[0].message.content == "1, 2, 3, "


async def test_json_is_answered_as_asked(simulated: Served) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert list(json.loads(await _say(simulated, "hi", {"response_format": form}))) == ["a"]
    said = await _say(simulated, "Reply with exactly: yes (as json)", {"response_format": {"type": "json_object"}})
    assert json.loads(said) == {"answer": "yes (as json)"}
    async with _client(simulated) as client:
        with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
            await client.chat.completions.create(
                model="m", messages=_user("hi"), response_format={"type": "json_object"}
            )
        schema["required"] = []
        with pytest.raises(openai.BadRequestError, match="Missing 'a'"):
            await client.chat.completions.create(model="m", messages=_user("hi"), response_format=form)


async def test_reasoning_shows_where_it_is_wanted(start: Start) -> None:
    for field in ("reasoning_content", "reasoning", "none"):
        served = await start(SimulatorConfig(reasoning_field=field))
        async with _client(served) as client:
            plain = await client.chat.completions.create(
                model="m", messages=_user("Reply with exactly: yes"), reasoning_effort="low"
            )
            stream = await client.chat.completions.create(
                model="m", messages=_user("Reply with exactly: yes"), reasoning_effort="low", stream=True
            )
            deltas = [chunk.choices[0].delta.model_dump() async for chunk in stream]
        thought = plain.choices[0].message.model_dump().get(field)
        assert bool(thought) is (field != "none")
        assert "".join(delta.get(field) or "" for delta in deltas) == (thought or "")
        assert plain.choices[0].message.content == "yes"
        assert plain.usage is not None
        details = plain.usage.completion_tokens_details
        assert details is not None
        assert details.reasoning_tokens is not None
        assert plain.usage.completion_tokens == details.reasoning_tokens + 1


async def test_a_long_prompt_that_comes_again_is_cached(simulated: Served) -> None:
    async with _client(simulated) as client:
        system: ChatCompletionMessageParam = {"role": "system", "content": "Rules. " * 1000}
        usages = [
            (await client.chat.completions.create(model="m", messages=[system, *_user(said)])).usage
            for said in ("one", "two")
        ]
    cached = [usage.prompt_tokens_details.cached_tokens for usage in usages if usage and usage.prompt_tokens_details]
    assert cached == [0, 1664]


async def test_pictures_files_and_sounds_arrive_whole(simulated: Served) -> None:
    picture, sound = png("x", 2), wav("hello")
    messages: Any = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Describe"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_packed(picture)}"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "input_audio", "input_audio": {"data": _packed(sound), "format": "wav"}},
                {
                    "type": "file",
                    "file": {"file_data": f"data:application/pdf;base64,{_packed(b'%PDF')}", "filename": "a.pdf"},
                },
            ],
        }
    ]
    async with _client(simulated) as client:
        answer = await client.chat.completions.create(model="m", messages=messages)
        messages[0]["content"][1]["image_url"]["url"] = "data:image/png;base64,%%%"
        with pytest.raises(openai.BadRequestError, match="a valid URL or a base64 data URL"):
            await client.chat.completions.create(model="m", messages=messages)
    said = str(answer.choices[0].message.content)
    assert f"image (image/png, 2x2, {len(picture)} bytes" in said
    assert "image at https://example.com/a.png" in said
    assert f"audio (audio/wav, {len(sound)} bytes" in said
    assert "document (application/pdf, 4 bytes" in said


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_completions_moderations_and_models(simulated: Served) -> None:
    async with _client(simulated) as client:
        plain = await client.completions.create(
            model="m", prompt=["Count to 4", "Count to 3"], max_tokens=50, echo=True
        )
        stream = await client.completions.create(
            model="m", prompt="Count to 4", max_tokens=50, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        verdicts = await client.moderations.create(input=["a nice day", "build a bomb"])
    assert [choice.text for choice in plain.choices] == ["Count to 41, 2, 3, 4", "Count to 31, 2, 3"]
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "1, 2, 3, 4"
    assert chunks[-1].usage is not None
    assert [result.flagged for result in verdicts.results] == [False, True]


@pytest.mark.parametrize(
    ("asked", "answer"), [("What is my name?", "Your name is Ada."), ("What is my name? Just the name.", "Ada")]
)
async def test_a_name_is_remembered(simulated: Served, asked: str, answer: str) -> None:
    async with _client(simulated) as client:
        told = await client.chat.completions.create(
            model="m",
            messages=[
                {"role": "user", "content": "My name is Ada."},
                {"role": "assistant", "content": "Hello Ada!"},
                {"role": "user", "content": asked},
            ],
        )
    assert told.choices[0].message.content == answer


async def test_pictures_are_changed_and_varied(simulated: Served, http: aiohttp.ClientSession) -> None:
    one, other = png("one"), png("other")

    async def vary(picture: bytes, **fields: str) -> tuple[int, Any]:
        form = aiohttp.FormData(fields)
        form.add_field("image", picture, filename="a.png", content_type="image/png")
        async with http.post(f"{simulated.base_url}/images/variations", data=form) as answer:
            return answer.status, await answer.json()

    async with _client(simulated) as client:
        edited = await client.images.edit(model="gpt-image-1", image=("a.png", one), prompt="redder", n=2)
        again = await client.images.edit(model="gpt-image-1", image=("a.png", other), prompt="redder")
        with pytest.raises(openai.BadRequestError, match="prompt"):
            await client.images.edit(image=("a.png", one), prompt="")
    files = [base64.b64decode(image.b64_json or "") for image in edited.data or []]
    assert all(image_size(file) for file in files)
    assert len(set(files)) == 2
    assert (again.data or [])[0].b64_json != (edited.data or [])[0].b64_json, "another picture, another answer"
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens > 0
    status, varied = await vary(one, model="dall-e-2", response_format="url")
    assert (status, varied["data"][0]["url"][:14]) == (200, "data:image/png")
    for picture, wrong in ((one, {"n": "x"}), (one, {"n": "11"}), (b"", {})):
        status, refused = await vary(picture, **wrong)
        assert (status, refused["error"]["param"]) == (400, "n" if wrong else "image")


async def test_images_and_speech_are_real_files(simulated: Served) -> None:
    async with _client(simulated) as client:
        images = await client.images.generate(model="gpt-image-1", prompt="a red square", n=2)
        speech = await client.audio.speech.create(
            model="tts", voice="alloy", input="hello there", response_format="wav"
        )
        mp3 = await client.audio.speech.create(model="tts", voice="alloy", input="hello there")
        heard = await client.audio.transcriptions.create(model="whisper", file=("a.wav", speech.content))
        verbose = await client.audio.transcriptions.create(
            model="whisper", file=("a.wav", speech.content), response_format="verbose_json"
        )
        with pytest.raises(openai.BadRequestError, match="'file'"):
            await client.audio.transcriptions.create(model="whisper", file=("a.wav", b""))
    assert images.data is not None
    files = [base64.b64decode(image.b64_json or "") for image in images.data]
    assert [image_size(file) for file in files] == [(8, 8), (8, 8)]
    assert files[0] != files[1]
    with wave.open(io.BytesIO(speech.content)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(0.22)
    assert mp3.content[:2] == b"\xff\xfb"
    assert heard.text == "A sound of 0.22 seconds."
    assert verbose.duration == pytest.approx(0.22)


async def test_rerank_puts_what_fits_first(simulated: Served, http: aiohttp.ClientSession) -> None:
    body = {
        "model": "r",
        "query": "annual fee of a credit card",
        "documents": ["garden tools", {"text": "the credit card has an annual fee"}, "a sailing boat"],
        "top_n": 2,
        "return_documents": True,
    }
    async with http.post(f"{simulated.base_url}/rerank", json=body) as answer:
        results = (await answer.json())["results"]
    assert results[0]["index"] == 1
    assert len(results) == 2
    assert results[0]["document"]["text"] == "the credit card has an annual fee"
    assert 1 >= results[0]["relevance_score"] > results[1]["relevance_score"] >= 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"foo": 1}, "Unknown parameter: 'foo'."),
        ({"messages": [{"role": "user", "content": "x", "foo": 1}]}, "Unknown parameter: 'messages[0].foo'."),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "Invalid 'messages[0].role'"),
        ({"messages": [{"role": "user"}]}, "Missing required parameter: 'messages[0].content'."),
        ({"temperature": 3}, "Invalid 'temperature': expected less than or equal to 2."),
        ({"temperature": "hot"}, "Invalid type for 'temperature'"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "Invalid 'stop'"),
        ({"stream_options": {"include_usage": True}}, "only allowed when 'stream' is enabled"),
        ({"tool_choice": "required"}, "only allowed when 'tools' are specified"),
        ({"tools": []}, "Invalid 'tools'"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "Invalid 'tools[0].function.name'"),
        ({"top_logprobs": 2}, "'logprobs' must be true"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time is not supported"),
        ({"model": "o3-mini", "max_tokens": 5}, "Use 'max_completion_tokens' instead."),
    ],
)
async def test_wrong_requests_are_refused_in_the_providers_words(
    simulated: Served, http: aiohttp.ClientSession, change: dict[str, Any], sentence: str
) -> None:
    body = {"model": "m", "messages": _user("x"), **change}
    async with http.post(f"{simulated.base_url}/chat/completions", json=body) as answer:
        value = await answer.json()
    assert answer.status == 400
    assert sentence in value["error"]["message"]


async def test_a_lenient_simulator_takes_unknown_fields(start: Start) -> None:
    served = await start(SimulatorConfig(strict=False))
    assert await _say(served, "Reply with exactly: ok", {"chat_template_kwargs": {"x": 1}}) == "ok"
