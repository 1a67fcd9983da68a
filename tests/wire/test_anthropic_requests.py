"""What Anthropic refuses is not sent: thinking where it may not be, sampling it does not know, talk out of order."""

import json
from typing import Any

import pytest

from tidemill.wire.anthropic.codec import AnthropicMessages
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.codec import Target
from tidemill.wire.openai.codec import OpenAIChat

CHAT, MESSAGES = OpenAIChat(), AnthropicMessages()
TOOL = {"type": "function", "function": {"name": "f"}}
CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "x"}
HI: list[Any] = [{"role": "user", "content": "hi"}]


def sent(body: dict[str, Any], **target: Any) -> tuple[Any, tuple[str, ...]]:
    request = CHAT.decode_request(json.dumps({"model": "m", "messages": HI, **body}).encode())
    written = MESSAGES.encode_request(request, Target(model="up", **target))
    return json.loads(written.body), written.dropped


@pytest.mark.parametrize(
    ("effort", "max_tokens", "thinking", "bound"),
    [
        ("low", 5000, {"type": "enabled", "budget_tokens": 1024}, 5000),
        ("minimal", 5000, {"type": "enabled", "budget_tokens": 1024}, 5000),
        ("high", 5000, {"type": "enabled", "budget_tokens": 4096}, 5000),
        ("max", 2000, {"type": "enabled", "budget_tokens": 1999}, 2000),
        ("max", 500, None, 500),
        ("max", None, {"type": "enabled", "budget_tokens": 16384}, 4096 + 16384),
        ("none", None, None, 4096),
    ],
)
def test_effort_becomes_a_budget_below_the_bound(
    effort: str, max_tokens: int | None, thinking: Any, bound: int
) -> None:
    body, dropped = sent({"reasoning_effort": effort, "max_tokens": max_tokens})
    assert (body.get("thinking"), body["max_tokens"]) == (thinking, bound)
    assert dropped == (("reasoning_effort",) if effort == "max" and bound == 500 else ())


@pytest.mark.parametrize(
    ("effort", "thinking", "config"),
    [
        ("minimal", {"type": "adaptive"}, {"effort": "low"}),
        ("xhigh", {"type": "adaptive"}, {"effort": "xhigh"}),
        ("none", {"type": "disabled"}, None),
    ],
)
def test_newer_models_take_the_word(effort: str, thinking: Any, config: Any) -> None:
    body, _ = sent({"reasoning_effort": effort, "temperature": 0.5}, thinking="adaptive", takes_sampling=False)
    assert (body["thinking"], body.get("output_config")) == (thinking, config)
    assert "temperature" not in body


def test_no_thinking_with_a_forced_tool() -> None:
    body, dropped = sent({"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required", "max_tokens": 9000})
    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)


def test_no_thinking_amid_calls_that_began_without_it() -> None:
    talk = [*HI, CALL, RESULT]
    wish = {"reasoning_effort": "low", "max_tokens": 9000, "tools": [TOOL]}
    body, dropped = sent({**wish, "messages": talk})
    assert "thinking" not in body
    assert dropped == ("reasoning_effort",)
    detail = {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}
    signed = [*HI, {**CALL, "reasoning_details": [detail]}, RESULT]
    body, dropped = sent({**wish, "messages": signed})
    assert body["thinking"]["budget_tokens"] == 1024
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "t", "signature": "s"}
    assert dropped == ()


@pytest.mark.parametrize(
    ("body", "kept", "dropped"),
    [
        ({"temperature": 1.8}, {"temperature": 1.0}, ()),
        ({"temperature": 0.4, "top_p": 1}, {"temperature": 0.4}, ()),
        ({"temperature": 0.4, "top_p": 0.5}, {"temperature": 0.4}, ("top_p",)),
        ({"top_p": 0.5, "top_k": 3}, {"top_p": 0.5, "top_k": 3}, ()),
        (
            {"temperature": 0.4, "top_k": 3, "reasoning_effort": "low", "max_tokens": 9000},
            {},
            ("temperature", "top_k"),
        ),
        (
            {"logprobs": True, "top_logprobs": 2, "frequency_penalty": 1},
            {},
            ("frequency_penalty", "logprobs", "top_logprobs"),
        ),
    ],
)
def test_sampling(body: dict[str, Any], kept: dict[str, Any], dropped: tuple[str, ...]) -> None:
    written, named = sent(body)
    assert {name: written[name] for name in ("temperature", "top_p", "top_k") if name in written} == kept
    assert named == dropped


def test_earlier_calls_keep_their_tools_defined() -> None:
    body, _ = sent({"messages": [*HI, CALL, RESULT]})
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}


def test_a_schema_says_that_it_is_an_object() -> None:
    tool: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}}}}}
    body, _ = sent({"tools": [tool]})
    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {"a": {}}}


def test_empty_words_and_blank_stops_are_left_out() -> None:
    talk = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}, {"role": "user", "content": "hi"}]
    body, _ = sent({"messages": talk, "stop": ["\n", "X"]})
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert body["stop_sequences"] == ["X"]


def test_unsigned_thinking_goes_only_to_who_takes_it() -> None:
    talk = [*HI, {"role": "assistant", "content": "x", "reasoning_content": "t"}, *HI]
    assert sent({"messages": talk})[0]["messages"][1] == {"role": "assistant", "content": "x"}
    blocks = sent({"messages": talk}, unsigned_reasoning=True)[0]["messages"][1]["content"]
    assert blocks[0] == {"type": "thinking", "thinking": "t", "signature": ""}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_content_that_cannot_be_said_is_an_error_not_a_loss(part: Any) -> None:
    with pytest.raises(WireError) as caught:
        sent({"messages": [{"role": "user", "content": [part]}]})
    assert caught.value.fault.kind == "bad_request"


def test_a_count_of_tokens_needs_no_bound() -> None:
    request = MESSAGES.decode_request(json.dumps({"model": "m", "messages": HI}).encode())
    assert not request.max_tokens
