"""What is particular to requests for the Responses: what the provider keeps, tools it runs, thinking that goes back."""

import json
from typing import Any

import pytest

from tests.wire import canon
from tests.wire.canon import REPLY
from tests.wire.sdks import openai_response
from tidemill.wire.canonical import Answer, Choice, HostedTool, Stop
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect, Opaque, Reasoning, Redacted, Text
from tidemill.wire.codec import Target, reply_to
from tidemill.wire.codecs import codec_of, spoken
from tidemill.wire.openai_responses import counts
from tidemill.wire.openai_responses.codec import OpenAIResponses

CODEC = OpenAIResponses()
TARGET = Target(model="up")
OTHERS = [codec_of(dialect) for dialect in spoken() if dialect != Dialect.OPENAI_RESPONSES]


def request(**fields: Any) -> Any:
    return CODEC.decode_request(json.dumps({"model": "m", "input": "x", **fields}).encode())


def written(asked: Any, target: Target = TARGET) -> Any:
    return json.loads(CODEC.encode_request(asked, target).body)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "x"}]}, "input[0]"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}, {"role": "user", "content": "x"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}, {"role": "user", "content": "x"}]}, "input[0]"),
    ],
)
def test_what_a_provider_keeps_goes_to_it_alone(fields: Any, named: str) -> None:
    asked = request(**fields)
    body = written(asked)
    name, value = next(iter(fields.items()))
    assert body[name] == value
    for codec in OTHERS:
        with pytest.raises(WireError, match="send the whole conversation") as caught:
            codec.encode_request(asked, TARGET)
        assert caught.value.fault.param == named


def test_a_state_that_is_null_is_none() -> None:
    assert request(previous_response_id=None).leans_on == ()


def test_nothing_is_kept_at_openai_for_clients_of_other_dialects() -> None:
    asked = codec_of(Dialect.ANTHROPIC).decode_request(
        json.dumps({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}).encode()
    )
    assert written(asked)["store"] is False
    assert "store" not in written(request())
    assert written(request(store=True))["store"] is True


def test_tools_that_openai_runs_stay_its_own() -> None:
    asked = request(
        tools=[{"type": "web_search"}, {"type": "function", "name": "f"}], tool_choice={"type": "web_search"}
    )
    assert isinstance(asked.tools[0], HostedTool)
    assert written(asked)["tools"][0] == {"type": "web_search"}
    assert written(asked)["tool_choice"] == {"type": "web_search"}
    for codec in OTHERS:
        encoded = codec.encode_request(asked, TARGET)
        assert "tools.web_search" in encoded.dropped
        assert b"web_search" not in encoded.body


def test_items_of_such_tools_are_kept_for_openai() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
    asked = request(input=[{"role": "user", "content": "x"}, item])
    assert isinstance(asked.turns[1].parts[0], Opaque)
    assert written(asked)["input"][1] == item


@pytest.mark.parametrize(
    "choice", ["auto", "none", "required", {"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]
)
def test_choices_of_tools(choice: Any) -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "custom", "name": "g"}]
    assert written(request(tools=tools, tool_choice=choice))["tool_choice"] == choice


def test_some_tools_may_be_allowed() -> None:
    tools = [{"type": "function", "name": name} for name in ("f", "g", "h")]
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": name} for name in "fg"]}
    assert written(request(tools=tools, tool_choice=allowed))["tool_choice"] == allowed


def test_thinking_goes_back_to_openai_only_when_openai_made_it() -> None:
    ours = Answer(
        id="1",
        model="m",
        choices=(
            Choice(
                parts=(Reasoning("Hm."), Reasoning("Ha.", "c2ln", "anthropic"), Redacted("x", "anthropic"), Text("Hi"))
            ),
        ),
    )
    shown = json.loads(CODEC.encode_answer(ours, REPLY))["output"]
    openais = {"type": "reasoning", "id": "rs_9", "summary": [{"type": "summary_text", "text": "So."}]}
    sealed = {**openais, "id": "rs_10", "encrypted_content": "gAAAA"}
    asked = request(input=[{"role": "user", "content": "x"}, *shown, openais, sealed])
    items = written(asked)["input"]
    assert [item.get("id") for item in items if item.get("type") == "reasoning"] == ["rs_9", "rs_10"]
    assert written(asked)["include"] == ["reasoning.encrypted_content"]
    # An upstream that wants earlier thinking, whoever made it, gets it in words.
    wanted = written(asked, Target(model="up", history="reasoning_content"))["input"]
    said: list[str] = [part["text"] for item in wanted for part in item.get("content") or () if isinstance(part, dict)]
    assert said[:2] == ["Hm.", "Ha."]


def test_an_empty_reasoning_item_is_kept_for_its_id() -> None:
    item: Any = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert written(request(input=[{"role": "user", "content": "x"}, item]))["input"][1]["id"] == "rs_1"


def test_an_answer_shows_the_settings_of_its_request() -> None:
    asked = request(
        instructions="Be brief.",
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0.5,
        max_output_tokens=99,
        metadata={"a": "b"},
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_object"}},
        user="u",
    )
    answer = Answer(id="1", model="m", choices=(Choice(parts=(Text("x"),), stop=Stop.END),), service_tier="flex")
    shown = openai_response(CODEC.encode_answer(answer, reply_to(asked, reply_id="r", created=7)))
    assert (shown.instructions, shown.temperature, shown.max_output_tokens) == ("Be brief.", 0.5, 99)
    assert (shown.tool_choice, shown.parallel_tool_calls, shown.user) == ("required", False, "u")
    assert shown.metadata == {"a": "b"}
    assert shown.tools[0].type == "function"
    assert (shown.model, shown.service_tier, shown.id) == ("m", "flex", "resp_r")


def test_logprobs_are_asked_for_and_told() -> None:
    asked = request(include=["message.output_text.logprobs"], top_logprobs=2)
    assert asked.sampling.logprobs is True
    assert written(asked)["include"] == ["message.output_text.logprobs"]
    token = {"token": "x", "logprob": -0.1, "bytes": [120], "top_logprobs": []}
    body = {
        "role": "assistant",
        "type": "message",
        "content": [{"type": "output_text", "text": "x", "logprobs": [token]}],
    }
    answer = CODEC.decode_answer(json.dumps({"id": "resp_1", "status": "completed", "output": [body]}).encode())
    assert json.loads(bytes(memoryview(answer.choices[0].logprobs or canon.raw(None))))["content"] == [token]
    shown = openai_response(CODEC.encode_answer(answer, REPLY))
    message = shown.output[0]
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    assert message.content[0].logprobs


def test_counts() -> None:
    question = json.loads(
        counts.encode_count_request(request(instructions="i", max_output_tokens=5, store=False), TARGET)
    )
    assert question.keys() == {"model", "input", "instructions"}
    assert counts.decode_count(counts.encode_count(7)) == 7
    for wrong in (b'{"error":{"message":"no"}}', b"{}"):
        with pytest.raises(WireError):
            counts.decode_count(wrong)
