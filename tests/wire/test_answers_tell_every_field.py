"""Clients that check an answer against the provider's published schema find every field that it demands."""

import json
from typing import Any

import msgspec
import pytest

from tests.wire.frames import payloads
from tidemill.wire.canonical import Answer, Choice, Request, Stop
from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    Closed,
    Event,
    Finished,
    Opened,
    Started,
    Stopped,
    TextDelta,
    ToolOpened,
)
from tidemill.wire.canonical_parts import Dialect, Text, ToolCall
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply, Target, reply_to
from tidemill.wire.codecs import codec_of

CHAT = codec_of(Dialect.OPENAI_CHAT)
RESPONSES = codec_of(Dialect.OPENAI_RESPONSES)
MESSAGES = codec_of(Dialect.ANTHROPIC)
BARE = Reply(id="r1", model="public", created=7)
ANSWER = Answer(
    id="1",
    model="up",
    choices=(Choice(parts=(Text("It is"), ToolCall("call_1", "weather", '{"city":"Rome"}')), stop=Stop.TOOLS),),
)
EVENTS: tuple[Event, ...] = (
    Started("1", "up"),
    Opened(0, "text"),
    TextDelta(0, "It is"),
    Closed(0),
    ToolOpened(1, "call_1", "weather"),
    ArgumentsDelta(1, '{"city":"Rome"}'),
    Closed(1),
    Stopped(Stop.TOOLS),
    Finished(),
)
# What OpenAI shows of a request that set nothing.
SETTINGS: dict[str, Any] = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def asked(**fields: Any) -> Request:
    return RESPONSES.decode_request(json.dumps({"model": "public", "input": "hi", **fields}).encode())


def shown(request: Request) -> Any:
    return json.loads(RESPONSES.encode_answer(ANSWER, reply_to(request, reply_id="r1", created=7)))


def test_a_response_shows_every_setting_even_of_a_request_that_set_none() -> None:
    response = json.loads(RESPONSES.encode_answer(ANSWER, BARE))
    assert {name: response[name] for name in SETTINGS} == SETTINGS
    assert response.keys() - SETTINGS.keys() == {
        *("id", "object", "created_at", "completed_at", "model", "status", "error", "incomplete_details"),
        *("output", "usage"),
    }
    assert shown(asked()).items() >= SETTINGS.items()


def test_a_response_shows_what_was_set() -> None:
    told = {
        "frequency_penalty": 0.5,
        "max_tool_calls": 3,
        "presence_penalty": -0.5,
        "prompt_cache_key": "cache",
        "temperature": 0.25,
        "top_logprobs": 2,
        "top_p": 0.75,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    }
    assert shown(asked(**told)).items() >= told.items()


def test_a_function_is_shown_with_the_fields_it_was_offered_without() -> None:
    bare = {"type": "function", "name": "weather"}
    (tool,) = shown(asked(tools=[bare]))["tools"]
    assert tool == {**bare, "description": None, "parameters": None, "strict": False}
    whole = {**bare, "description": "of a city", "parameters": {"type": "object"}, "strict": True}
    assert shown(asked(tools=[whole]))["tools"] == [whole]


def test_only_a_completed_response_tells_when() -> None:
    done = json.loads(RESPONSES.encode_answer(ANSWER, BARE))
    assert done["completed_at"] >= done["created_at"] == 7
    cut = Answer(id="1", model="up", choices=(Choice(parts=(Text("It"),), stop=Stop.LENGTH),))
    assert json.loads(RESPONSES.encode_answer(cut, BARE))["completed_at"] is None
    events = payloads(RESPONSES.stream_encoder(BARE).encode(EVENTS))
    told = {event["type"]: event["response"]["completed_at"] for event in events if "response" in event}
    assert told["response.created"] is told["response.in_progress"] is None
    assert told["response.completed"] >= 7


def test_penalties_reach_a_provider_that_has_them() -> None:
    request = asked(frequency_penalty=0.5, presence_penalty=-0.5)
    for codec in (CHAT, RESPONSES):
        written = json.loads(codec.encode_request(request, Target(model="up")).body)
        assert (written["frequency_penalty"], written["presence_penalty"]) == (0.5, -0.5)


@pytest.mark.parametrize("usage", [None, Usage(fresh=5, text_out=2), Usage(fresh=5, cache_read=3, reasoning_out=2)])
def test_a_message_tells_every_count(usage: Usage | None) -> None:
    answer = ANSWER if usage is None else Answer(id="1", model="up", choices=ANSWER.choices, usage=usage)
    message = json.loads(MESSAGES.encode_answer(answer, BARE))
    assert (message["stop_details"], message["container"]) == (None, None)
    told = message["usage"]
    assert told["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    assert told["cache_creation_input_tokens"] == 0
    assert told["cache_read_input_tokens"] == (0 if usage is None else usage.cache_read or 0)
    thought = None if usage is None or not usage.reasoning_out else {"thinking_tokens": 2}
    assert told["output_tokens_details"] == thought
    assert (told["server_tool_use"], told["inference_geo"], told["service_tier"]) == (None, None, None)


def test_blocks_name_their_sources_and_who_called() -> None:
    said, called = json.loads(MESSAGES.encode_answer(ANSWER, BARE))["content"]
    assert said == {"type": "text", "text": "It is", "citations": None}
    assert called["caller"] == {"type": "direct"}
    events = payloads(MESSAGES.stream_encoder(BARE).encode(EVENTS))
    begun = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert begun == [
        {"type": "text", "text": "", "citations": None},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}, "caller": {"type": "direct"}},
    ]
    (last,) = [event for event in events if event["type"] == "message_delta"]
    assert last["delta"].keys() == {"stop_reason", "stop_sequence", "stop_details", "container"}
    assert last["usage"].keys() == {
        *("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
        *("output_tokens_details", "server_tool_use"),
    }


def test_a_message_sent_back_as_it_was_told_is_the_same_message() -> None:
    told = json.loads(MESSAGES.encode_answer(ANSWER, BARE))
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": told["content"]}]
    request = MESSAGES.decode_request(msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": talk}))
    assert request.turns[1].parts == ANSWER.choices[0].parts


def test_a_chat_message_has_annotations_even_without_any() -> None:
    message = json.loads(CHAT.encode_answer(ANSWER, BARE))["choices"][0]["message"]
    assert (message["refusal"], message["annotations"]) == (None, [])
