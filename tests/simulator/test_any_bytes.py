# ruff: noqa: E501 - the requests below are data
"""Whatever bytes arrive, the simulator answers as the provider would: never with an error of its own."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.simulator.app import Simulator
from tidemill.simulator.config import PROTOCOLS, SimulatorConfig

SIMULATOR = Simulator(SimulatorConfig(protocols=PROTOCOLS))
LENIENT = Simulator(SimulatorConfig(protocols=PROTOCOLS, strict=False))
HEADERS = [(b"x-api-key", b"k"), (b"x-goog-api-key", b"k"), (b"anthropic-version", b"2023-06-01")]
ROUTES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/rerank",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1beta/models/gemini-3:generateContent",
    "/v1beta/models/m:streamGenerateContent",
    "/v1beta/models/m:countTokens",
    "/v1beta/models/m:embedContent",
    "/v1beta/models/m:batchEmbedContents",
    "/_simulator/faults",
)


async def _status(app: Simulator, route: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    sent: list[dict[str, Any]] = []
    arriving = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(arriving, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": route, "headers": [*HEADERS, *headers], "query_string": b""}
    await app(scope, receive, send)
    return sent[0]["status"] if sent else 0


def _post(route: str, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    for app in (SIMULATOR, LENIENT):
        status = asyncio.run(_status(app, route, body, headers or []))
        assert status < 500, (route, body)


@given(route=st.sampled_from(ROUTES), body=st.binary(max_size=200))
def test_any_bytes(route: str, body: bytes) -> None:
    _post(route, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
SCHEMA_WORDS = st.sampled_from(
    ["type", "properties", "required", "items", "enum", "const", "anyOf", "allOf", "$ref", "minimum", "maximum",
     "minItems", "maxItems", "minLength", "maxLength", "multipleOf", "prefixItems", "format", "additionalProperties"]
)  # fmt: skip
_LEAVES: list[Any] = ["object", "string", "integer", "array", "number", "#", "#/properties/a", 3, -1, 1e300, [], {}]
SCHEMA: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: (
        st.dictionaries(SCHEMA_WORDS | st.sampled_from(["a", "b"]), inner, max_size=4) | st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)


def _bodies(schema: Any) -> list[tuple[str, Any]]:
    messages = [{"role": "user", "content": "call f"}]
    form = {"name": "x", "schema": schema}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    declared = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]
    contents = [{"parts": [{"text": "call f"}]}]
    function = {"name": "f", "parameters": schema}
    return [
        (
            "/v1/chat/completions",
            {"model": "m", "messages": messages, "response_format": {"type": "json_schema", "json_schema": form}},
        ),
        (
            "/v1/chat/completions",
            {"model": "m", "messages": messages, "tools": [{"type": "function", "function": function}]},
        ),
        ("/v1/responses", {"model": "m", "input": "x", "text": {"format": {"type": "json_schema", **form}}}),
        ("/v1/responses", {"model": "m", "input": "call f", "tools": [{"type": "function", **function}]}),
        (
            "/v1/messages",
            {
                "model": "m",
                "max_tokens": 9,
                "messages": messages,
                "output_config": {"format": {"type": "json_schema", "schema": schema}},
            },
        ),
        (
            "/v1/messages",
            {"model": "m", "max_tokens": 9, "messages": messages, "tools": [{"name": "f", "input_schema": schema}]},
        ),
        ("/v1beta/models/m:generateContent", {"contents": contents, "generationConfig": config}),
        (
            "/v1beta/models/m:generateContent",
            {
                "contents": contents,
                "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema},
            },
        ),
        ("/v1beta/models/m:generateContent", {"contents": contents, "tools": declared}),
    ]


@given(schema=SCHEMA)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_schema(schema: Any) -> None:
    for route, body in _bodies(schema):
        _post(route, msgspec.json.encode(body))


# A sound request of each protocol with everything in it, to be spoilt in one place.
RICH: dict[str, Any] = {
    "/v1/chat/completions": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://e.com"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "y"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "n": 2,
        "stop": ["z"],
        "stream": True,
        "logprobs": True,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "low",
    },
    "/v1/responses": {
        "model": "m",
        "instructions": "x",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "https://e.com"}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "y"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    },
    "/v1/messages": {
        "model": "m",
        "max_tokens": 2000,
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image", "source": {"type": "url", "url": "https://e.com"}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "y"}]}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "stop_sequences": ["z"],
        "stream": True,
        "metadata": {"user_id": "u"},
    },
    "/v1beta/models/gemini-3:streamGenerateContent": {
        "systemInstruction": {"parts": [{"text": "x"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "y"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"candidateCount": 2, "stopSequences": ["z"], "thinkingConfig": {"includeThoughts": True}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("route", RICH)
def test_the_rich_requests_are_sound(route: str) -> None:
    assert asyncio.run(_status(SIMULATOR, route, msgspec.json.encode(RICH[route]), [])) == 200


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())  # type: ignore[reportUnknownArgumentType] - any JSON
    elif isinstance(value, list):
        inner = list(enumerate(value))  # type: ignore[reportUnknownArgumentType] - any JSON
    return [path, *(place for key, part in inner for place in _places(part, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


@given(data=st.data(), route=st.sampled_from(sorted(RICH)), new=JSON)
@settings(max_examples=400)
def test_any_value_in_any_place_of_a_sound_request(data: st.DataObject, route: str, new: Any) -> None:
    place = data.draw(st.sampled_from(_places(RICH[route])))
    _post(route, msgspec.json.encode(_replaced(RICH[route], place, new)))


@given(order=st.text(alphabet="abcdeghilmnorstuw0129:=.,;- ", max_size=40))
def test_any_order_of_faults(order: str) -> None:
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    _post("/v1/chat/completions", body, [(b"x-simulate", order.encode())])


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"model":' * 50_000, b'{"messages":"\\ud800"}'])
@pytest.mark.parametrize("route", ROUTES)
def test_depth_and_broken_text(route: str, body: bytes) -> None:
    _post(route, body)
