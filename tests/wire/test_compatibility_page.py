"""docs/guide/compatibility.md names what each provider has no word for; it says what the codecs do."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Target
from tidemill.wire.codecs import codec_of

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "compatibility.md"
NAMES = {
    "OpenAI chat": Dialect.OPENAI_CHAT,
    "OpenAI Responses": Dialect.OPENAI_RESPONSES,
    "Anthropic": Dialect.ANTHROPIC,
    "Gemini": Dialect.GEMINI,
}
ROW = re.compile(r"^\| ([\w ]+) \| ([\w ]+) \| ([^|]*) \|$", re.MULTILINE)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
# Requests that set all they can, but for reasoning, whose fate depends on the model.
FULL: dict[Dialect, dict[str, Any]] = {
    Dialect.OPENAI_CHAT: {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "audio": {"voice": "a", "format": "wav"},
        "frequency_penalty": 0.1,
        "logit_bias": {"1": 1},
        "logprobs": True,
        "max_completion_tokens": 50,
        "metadata": {"a": "b"},
        "modalities": ["text", "audio"],
        "n": 2,
        "parallel_tool_calls": False,
        "prediction": {"type": "content", "content": "x"},
        "presence_penalty": 0.1,
        "prompt_cache_key": "k",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "seed": 1,
        "service_tier": "flex",
        "stop": ["x"],
        "store": True,
        "temperature": 0.5,
        "tool_choice": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "top_logprobs": 2,
        "top_p": 0.5,
        "user": "u",
        "verbosity": "low",
        "web_search_options": {},
    },
    Dialect.OPENAI_RESPONSES: {
        "model": "m",
        "input": "hi",
        "background": False,
        "frequency_penalty": 0.1,
        "include": ["web_search_call.results"],
        "max_output_tokens": 50,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "presence_penalty": 0.1,
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "store": True,
        "temperature": 0.5,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"},
        "tool_choice": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    },
    Dialect.ANTHROPIC: {
        "model": "m",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "x"}}]}],
        "container": "c",
        "mcp_servers": [],
        "metadata": {"user_id": "u"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "service_tier": "auto",
        "stop_sequences": ["x"],
        "temperature": 0.5,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "tools": [{"name": "f", "input_schema": SCHEMA}, {"type": "web_search_20250305", "name": "web_search"}],
        "top_k": 4,
        "top_p": 0.5,
    },
    Dialect.GEMINI: {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {
            "candidateCount": 2,
            "frequencyPenalty": 0.1,
            "logprobs": 2,
            "maxOutputTokens": 50,
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "presencePenalty": 0.1,
            "responseLogprobs": True,
            "responseMimeType": "application/json",
            "responseModalities": ["TEXT", "IMAGE"],
            "responseSchema": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}},
            "seed": 1,
            "stopSequences": ["x"],
            "temperature": 0.5,
            "topK": 4,
            "topP": 0.5,
        },
        "labels": {},
        "safetySettings": [],
        "serviceTier": "flex",
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}],
    },
}


def dropped(client: Dialect, provider: Dialect) -> set[str]:
    model = "m" if client is Dialect.GEMINI else None
    request = codec_of(client).decode_request(msgspec.json.encode(FULL[client]), model=model, stream=None)
    return set(codec_of(provider).encode_request(request, Target(model="up")).dropped)


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize("provider", NAMES)
def test_the_page_names_what_is_dropped(client: str, provider: str) -> None:
    told = {(one, other): set(re.findall(r"`([^`]+)`", names)) for one, other, names in ROW.findall(PAGE.read_text())}
    assert dropped(NAMES[client], NAMES[provider]) == told.get((client, provider), set())
