"""The rows of the tables: why an answer stopped, what it used, what went wrong, in either dialect's words."""

import json
from typing import Any

import pytest
from msgspec import UNSET

from tests.wire.canon import REPLY
from tests.wire.frames import chat_stream, delta, message_stream, payloads
from tidemill.wire.anthropic.codec import AnthropicMessages
from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_fault import Fault, Kind
from tidemill.wire.canonical_parts import Refusal, Text, ToolCall
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Codec
from tidemill.wire.openai.codec import OpenAIChat
from tidemill.wire.tokens import TokenCounts

CHAT, MESSAGES = OpenAIChat(), AnthropicMessages()


def chat_answer(finish: str, **message: Any) -> bytes:
    body = {"role": "assistant", "content": "x", **message}
    return json.dumps(
        {"id": "chatcmpl-1", "choices": [{"index": 0, "message": body, "finish_reason": finish}]}
    ).encode()


def message_answer(reason: str, **fields: Any) -> bytes:
    content = [{"type": "text", "text": "x"}]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "content": content, "stop_reason": reason, **fields}
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("codec", "body", "stop"),
    [
        (CHAT, chat_answer("stop"), Stop.END),
        (CHAT, chat_answer("length"), Stop.LENGTH),
        (CHAT, chat_answer("tool_calls"), Stop.TOOLS),
        (CHAT, chat_answer("function_call"), Stop.TOOLS),
        (CHAT, chat_answer("content_filter"), Stop.FILTERED),
        (CHAT, chat_answer("stop", content=None, refusal="no"), Stop.FILTERED),
        (CHAT, chat_answer("stop", tool_calls=[{"id": "a", "function": {"name": "f", "arguments": "{}"}}]), Stop.TOOLS),
        (MESSAGES, message_answer("end_turn"), Stop.END),
        (MESSAGES, message_answer("stop_sequence", stop_sequence="###"), Stop.STOP_STRING),
        (MESSAGES, message_answer("max_tokens"), Stop.LENGTH),
        (MESSAGES, message_answer("model_context_window_exceeded"), Stop.LENGTH),
        (MESSAGES, message_answer("tool_use"), Stop.TOOLS),
        (MESSAGES, message_answer("refusal", stop_details={"type": "refusal", "explanation": "no"}), Stop.FILTERED),
        (MESSAGES, message_answer("pause_turn"), Stop.PAUSE),
        (MESSAGES, message_answer("a new one"), Stop.END),
    ],
)
def test_why_an_answer_stopped_is_read(codec: Codec, body: bytes, stop: Stop) -> None:
    assert codec.decode_answer(body).choices[0].stop is stop


@pytest.mark.parametrize(
    ("stop", "stop_string", "finish_reason", "stop_reason"),
    [
        (Stop.END, UNSET, "stop", "end_turn"),
        (Stop.STOP_STRING, "###", "stop", "stop_sequence"),
        (Stop.STOP_STRING, UNSET, "stop", "end_turn"),
        (Stop.LENGTH, UNSET, "length", "max_tokens"),
        (Stop.TOOLS, UNSET, "tool_calls", "tool_use"),
        (Stop.FILTERED, UNSET, "content_filter", "refusal"),
        (Stop.PAUSE, UNSET, "stop", "pause_turn"),
    ],
)
def test_why_an_answer_stopped_is_written(stop: Stop, stop_string: Any, finish_reason: str, stop_reason: str) -> None:
    choice = Choice(parts=(Text("x"),), stop=stop, stop_string=stop_string)
    answer = Answer(id="1", model="m", choices=(choice,))
    assert json.loads(CHAT.encode_answer(answer, REPLY))["choices"][0]["finish_reason"] == finish_reason
    written = json.loads(MESSAGES.encode_answer(answer, REPLY))
    assert written["stop_reason"] == stop_reason
    assert written["stop_sequence"] == (stop_string or None)


def test_a_refusal_in_words_stays_one() -> None:
    answer = Answer(id="1", model="m", choices=(Choice(parts=(Refusal("no"),), stop=Stop.FILTERED),))
    written = json.loads(CHAT.encode_answer(answer, REPLY))["choices"][0]
    assert (written["message"]["refusal"], written["message"]["content"], written["finish_reason"]) == (
        "no",
        None,
        "stop",
    )
    other = json.loads(MESSAGES.encode_answer(answer, REPLY))
    assert (other["content"], other["stop_reason"]) == ([{"type": "text", "text": "no", "citations": None}], "refusal")


def test_arguments_that_are_no_object_still_reach_an_anthropic_client() -> None:
    call = ToolCall("c", "f", "not json")
    answer = Answer(id="1", model="m", choices=(Choice(parts=(call,), stop=Stop.TOOLS),))
    assert json.loads(MESSAGES.encode_answer(answer, REPLY))["content"][0]["input"] == {"input": "not json"}


# ---- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
            Usage(fresh=10, text_out=5),
            id="what nobody told is not zero",
        ),
        pytest.param(
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 4},
            },
            Usage(fresh=45, cache_read=30, cache_write_5m=20, audio_in=5, text_out=6, reasoning_out=40, audio_out=4),
            id="parts are taken out of their whole",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4},
            Usage(fresh=6, cache_read=4, text_out=5),
            id="DeepSeek",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 22,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(fresh=10, text_out=5, reasoning_out=7),
            id="xAI: reasoning outside",
        ),
        pytest.param(
            {"prompt_tokens": 0, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}},
            Usage(fresh=0, cache_read=0, text_out=0),
            id="zero is not nothing",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}},
            Usage(fresh=0, cache_read=5, text_out=1),
            id="a part larger than its whole is cut",
        ),
        pytest.param({"prompt_tokens": "many"}, UNSET, id="unreadable"),
        pytest.param(None, UNSET, id="none"),
    ],
)
def test_openai_usage(usage: Any, buckets: Any) -> None:
    body = json.loads(chat_answer("stop"))
    assert CHAT.decode_answer(json.dumps({**body, "usage": usage}).encode()).usage == buckets


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, Usage(fresh=10, text_out=5)),
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 30,
                "cache_creation_input_tokens": 20,
                "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
                "output_tokens": 50,
                "output_tokens_details": {"thinking_tokens": 40},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
            },
            Usage(
                fresh=10,
                cache_read=30,
                cache_write_5m=15,
                cache_write_1h=5,
                text_out=10,
                reasoning_out=40,
                searches=2,
            ),
        ),
        (
            {"input_tokens": 1, "cache_creation_input_tokens": 20, "output_tokens": 5},
            Usage(fresh=1, cache_write_5m=20, text_out=5),
        ),
    ],
)
def test_anthropic_usage(usage: Any, buckets: Usage) -> None:
    assert MESSAGES.decode_answer(message_answer("end_turn", usage=usage)).usage == buckets


def test_usage_changes_shape_but_no_token_is_lost_or_counted_twice() -> None:
    usage = Usage(fresh=10, cache_read=30, cache_write_5m=15, cache_write_1h=5, text_out=10, reasoning_out=40)
    answer = Answer(id="1", model="m", choices=(Choice(parts=(), stop=Stop.END),), usage=usage)
    chat = json.loads(CHAT.encode_answer(answer, REPLY))["usage"]
    assert chat == {
        "prompt_tokens": 60,
        "completion_tokens": 50,
        "total_tokens": 110,
        "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    message = json.loads(MESSAGES.encode_answer(answer, REPLY))["usage"]
    assert message == {
        "input_tokens": 10,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
        "server_tool_use": None,
        "inference_geo": None,
        "service_tier": None,
    }
    assert usage.counts() == TokenCounts(fresh=10, cache_read=30, cache_write=20, output=10, reasoning=40)


def test_anthropics_later_usage_is_cumulative_and_keeps_what_it_does_not_repeat() -> None:
    start = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
        "output_tokens": 1,
    }
    stream = message_stream(
        [
            {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": start}},
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 30}},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 50, "cache_creation_input_tokens": 20},
            },
            {"type": "message_stop"},
        ]
    )
    collector = Collector()
    collector.take(MESSAGES.stream_decoder().feed(stream))
    assert collector.answer().usage == Usage(fresh=10, cache_write_5m=5, cache_write_1h=15, text_out=50)


@pytest.mark.parametrize("keeps", [True, False])
def test_usage_is_told_at_a_streams_end_only_to_who_asked(keeps: bool) -> None:  # noqa: FBT001 - a case
    usage: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    events = CHAT.stream_decoder().feed(chat_stream([delta(content="x"), delta(finish="stop"), usage]))
    reply = REPLY if keeps else type(REPLY)(id="1", model="m", created=7)
    written = payloads(CHAT.stream_encoder(reply).encode(events))
    assert written[-1] == "[DONE]"
    if not keeps:
        assert all("usage" not in chunk for chunk in written[:-1])
        return
    assert [chunk["usage"] for chunk in written[:-2]] == [None] * (len(written) - 2)
    assert written[-2]["choices"] == []
    assert written[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_every_choice_says_whether_it_has_finished() -> None:
    events = CHAT.stream_decoder().feed(chat_stream([delta(content="x"), delta(finish="stop")]))
    chunks = payloads(CHAT.stream_encoder(REPLY).encode(events))[:-1]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert all(chunk["choices"][0]["logprobs"] is None for chunk in chunks)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "chat", "message"),
    [
        (Kind.BAD_REQUEST, (400, "invalid_request_error", None), (400, "invalid_request_error")),
        (
            Kind.CONTEXT_LENGTH,
            (400, "invalid_request_error", "context_length_exceeded"),
            (400, "invalid_request_error"),
        ),
        (Kind.KEY, (401, "authentication_error", "invalid_api_key"), (401, "authentication_error")),
        (Kind.NO_MONEY, (429, "insufficient_quota", "insufficient_quota"), (402, "billing_error")),
        (Kind.FORBIDDEN, (403, "permission_error", None), (403, "permission_error")),
        (Kind.NOT_FOUND, (404, "invalid_request_error", "model_not_found"), (404, "not_found_error")),
        (Kind.TOO_LARGE, (413, "invalid_request_error", None), (413, "request_too_large")),
        (Kind.RATE, (429, "rate_limit_error", "rate_limit_exceeded"), (429, "rate_limit_error")),
        (Kind.UPSTREAM, (502, "server_error", None), (500, "api_error")),
        (Kind.OVERLOADED, (503, "server_error", None), (529, "overloaded_error")),
        (Kind.TIMEOUT, (504, "server_error", "timeout"), (504, "timeout_error")),
    ],
)
def test_each_failure_in_either_envelope_and_back(
    kind: Kind, chat: tuple[int, str, str | None], message: tuple[int, str]
) -> None:
    fault = Fault(kind=kind, message="why")
    status, body = CHAT.encode_error(fault)
    error = json.loads(body)["error"]
    assert (status, error["type"], error["code"], error["param"]) == (*chat, None)
    assert CHAT.decode_error(status, {}, body).kind is kind
    status, body = MESSAGES.encode_error(fault, request_id="req_1")
    told = json.loads(body)
    assert (status, told["error"]["type"]) == message
    assert (told["type"], told["request_id"]) == ("error", "req_1")
    assert MESSAGES.decode_error(status, {}, body).kind is kind


def test_an_error_tells_when_to_come_back_and_who_saw_it() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    fault = MESSAGES.decode_error(529, {"retry-after": "7", "request-id": "req_9"}, body)
    assert (fault.kind, fault.message, fault.retry_after_s, fault.request_id) == ("overloaded", "busy", 7.0, "req_9")
    assert CHAT.decode_error(429, {"retry-after-ms": "250"}, b"{}").retry_after_s == 0.25


@pytest.mark.parametrize(
    ("codec", "status", "error", "kind"),
    [
        (CHAT, 400, {"message": "This model's maximum context length is 8192 tokens"}, Kind.CONTEXT_LENGTH),
        (CHAT, 429, {"message": "quota", "code": "insufficient_quota"}, Kind.NO_MONEY),
        (MESSAGES, 400, {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}, Kind.CONTEXT_LENGTH),
        (MESSAGES, 400, {"type": "invalid_request_error", "message": "Your credit balance is too low"}, Kind.NO_MONEY),
    ],
)
def test_words_that_say_more_than_the_status(codec: Codec, status: int, error: Any, kind: Kind) -> None:
    assert codec.decode_error(status, {}, json.dumps({"error": error}).encode()).kind is kind


def test_an_anthropic_client_learns_that_it_must_shorten_the_talk() -> None:
    fault = CHAT.decode_error(400, {}, b'{"error":{"message":"too many","code":"context_length_exceeded"}}')
    assert json.loads(MESSAGES.encode_error(fault)[1])["error"]["message"] == "prompt is too long: too many"


def test_a_broken_stream_ends_in_each_dialects_error() -> None:
    fault = Fault(kind=Kind.RATE, message="slow down")
    (chat,) = payloads(CHAT.error_frame(fault))
    assert chat["error"]["code"] == "rate_limit_exceeded"
    (message,) = payloads(MESSAGES.error_frame(fault))
    assert message == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
