"""The rows of the tables for the Responses and Gemini: why an answer stopped, what it used, what went wrong."""

import json
from typing import Any

import pytest
from msgspec import UNSET

from tests.wire.canon import REPLY
from tidemill.wire.canonical import Answer, Choice, Stop
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_fault import Fault, Kind, WireError
from tidemill.wire.canonical_parts import Refusal, Text, ToolCall
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.gemini.codec import Gemini
from tidemill.wire.openai_responses.codec import OpenAIResponses

RESPONSES, GEMINI = OpenAIResponses(), Gemini()
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
TEXT: Any = {"type": "output_text", "text": "x", "annotations": []}
SAID = {"type": "message", "role": "assistant", "content": [TEXT]}
NO = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}


def response(status: str, *items: Any, reason: str | None = None, **fields: Any) -> bytes:
    why = None if reason is None else {"reason": reason}
    body = {"id": "resp_1", "status": status, "error": None, "incomplete_details": why, "output": list(items), **fields}
    return json.dumps(body).encode()


def candidate(reason: str | None, *parts: Any, **fields: Any) -> bytes:
    content = {"role": "model", "parts": list(parts)}
    return json.dumps({"candidates": [{"content": content, "finishReason": reason}], **fields}).encode()


@pytest.mark.parametrize(
    ("body", "stop"),
    [
        (response("completed", SAID), Stop.END),
        (response("completed", SAID, CALL), Stop.TOOLS),
        (response("completed", NO), Stop.FILTERED),
        (response("incomplete", SAID, reason="max_output_tokens"), Stop.LENGTH),
        (response("incomplete", SAID, reason="content_filter"), Stop.FILTERED),
        (response("in_progress", SAID), Stop.PAUSE),
    ],
)
def test_why_a_response_stopped_is_read(body: bytes, stop: Stop) -> None:
    assert RESPONSES.decode_answer(body).choices[0].stop is stop


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_response_is_a_failure(status: str) -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    with pytest.raises(WireError) as caught:
        RESPONSES.decode_answer(response(status, error=error))
    assert (caught.value.fault.kind, caught.value.fault.message) == (Kind.RATE, "slow down")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", Kind.UPSTREAM),
        ("invalid_prompt", Kind.BAD_REQUEST),
        ("image_too_large", Kind.BAD_REQUEST),
        ("context_length_exceeded", Kind.CONTEXT_LENGTH),
    ],
)
def test_why_a_response_failed(code: str, kind: Kind) -> None:
    events = [{"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "no"}}}]
    frames = b"".join(b"event: response.failed\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events)
    collector = Collector()
    collector.take(RESPONSES.stream_decoder().feed(frames))
    assert collector.fault is not None
    assert collector.fault.kind is kind


@pytest.mark.parametrize(
    ("stop", "parts", "status", "reason"),
    [
        (Stop.END, (Text("x"),), "completed", None),
        (Stop.STOP_STRING, (Text("x"),), "completed", None),
        (Stop.TOOLS, (ToolCall("c", "f", "{}"),), "completed", None),
        (Stop.LENGTH, (Text("x"),), "incomplete", "max_output_tokens"),
        (Stop.FILTERED, (Text("x"),), "incomplete", "content_filter"),
        (Stop.FILTERED, (Refusal("no"),), "completed", None),
        (Stop.PAUSE, (Text("x"),), "in_progress", None),
    ],
)
def test_why_a_response_stopped_is_written(stop: Stop, parts: Any, status: str, reason: str | None) -> None:
    answer = Answer(id="1", model="m", choices=(Choice(parts=parts, stop=stop),))
    written = json.loads(RESPONSES.encode_answer(answer, REPLY))
    assert written["status"] == status
    assert written["incomplete_details"] == (None if reason is None else {"reason": reason})


FILTERED = ["SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"]
IMAGES = ["IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE", "IMAGE_RECITATION"]
BAD = ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"]
REASONS = [
    ("STOP", Stop.END),
    ("MAX_TOKENS", Stop.LENGTH),
    ("CONTINUATION", Stop.PAUSE),
    ("OTHER", Stop.END),
    ("A_NEW_ONE", Stop.END),
    *((reason, Stop.FILTERED) for reason in (*FILTERED, *IMAGES)),
    *((reason, Stop.BAD_TOOL) for reason in (*BAD, "MALFORMED_RESPONSE")),
]


@pytest.mark.parametrize(("reason", "stop"), REASONS)
def test_why_a_gemini_answer_stopped_is_read(reason: str, stop: Stop) -> None:
    assert GEMINI.decode_answer(candidate(reason, {"text": "x"})).choices[0].stop is stop
    collector, decoder = Collector(), GEMINI.stream_decoder()
    collector.take(decoder.feed(b"data: " + candidate(reason, {"text": "x"}) + b"\n\n"))
    collector.take(decoder.close())
    assert collector.answer().choices[0].stop is stop


def test_gemini_has_no_word_for_calls() -> None:
    body = candidate("STOP", {"functionCall": {"name": "f", "args": {}}})
    choice = GEMINI.decode_answer(body).choices[0]
    assert choice.stop is Stop.TOOLS
    assert isinstance(choice.parts[0], ToolCall)
    assert choice.parts[0].id.startswith("call_")


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Stop.END, "STOP"),
        (Stop.STOP_STRING, "STOP"),
        (Stop.TOOLS, "STOP"),
        (Stop.LENGTH, "MAX_TOKENS"),
        (Stop.FILTERED, "SAFETY"),
        (Stop.PAUSE, "CONTINUATION"),
    ],
)
def test_why_a_gemini_answer_stopped_is_written(stop: Stop, reason: str) -> None:
    answer = Answer(id="1", model="m", choices=(Choice(parts=(Text("x"),), stop=stop, stop_detail="so"),))
    written = json.loads(GEMINI.encode_answer(answer, REPLY))["candidates"][0]
    assert (written["finishReason"], written["finishMessage"]) == (reason, "so")


def test_a_refused_prompt_is_a_filtered_answer() -> None:
    body = json.dumps({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "no"}}).encode()
    choice = GEMINI.decode_answer(body).choices[0]
    assert (choice.stop, choice.stop_detail, choice.parts) == (Stop.FILTERED, "no", ())
    decoder, collector = GEMINI.stream_decoder(), Collector()
    collector.take(decoder.feed(b"data: " + body + b"\n\n"))
    collector.take(decoder.close())
    assert collector.finished
    assert collector.answer().choices[0].stop is Stop.FILTERED


@pytest.mark.parametrize("stop", list(Stop))
def test_a_failure_is_no_answer(stop: Stop) -> None:
    answer = Answer(id="1", model="m", choices=(Choice(parts=(), stop=stop),))
    for codec in (RESPONSES, GEMINI):
        if stop is Stop.BAD_TOOL:
            with pytest.raises(WireError):
                codec.encode_answer(answer, REPLY)
        else:
            assert json.loads(codec.encode_answer(answer, REPLY))


# ---- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 40},
                "total_tokens": 150,
            },
            Usage(fresh=50, cache_read=30, cache_write_5m=20, text_out=10, reasoning_out=40),
        ),
        ({"input_tokens": 3, "output_tokens": 2}, Usage(fresh=3, text_out=2)),
        ({"input_tokens": 0, "output_tokens": 0}, Usage(fresh=0, text_out=0)),
        ({"input_tokens": "many"}, UNSET),
        (None, UNSET),
    ],
)
def test_usage_of_responses(usage: Any, buckets: Any) -> None:
    assert RESPONSES.decode_answer(response("completed", SAID, usage=usage)).usage == buckets


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 30,
                "toolUsePromptTokenCount": 7,
                "candidatesTokenCount": 10,
                "thoughtsTokenCount": 40,
                "totalTokenCount": 157,
            },
            Usage(fresh=70, cache_read=30, tool_in=7, text_out=10, reasoning_out=40),
        ),
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 30,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 60},
                    {"modality": "AUDIO", "tokenCount": 25},
                    {"modality": "IMAGE", "tokenCount": 15},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}, {"modality": "TEXT", "tokenCount": 10}],
                "candidatesTokenCount": 10,
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
                "totalTokenCount": 110,
            },
            Usage(fresh=50, cache_read=30, audio_in=5, image_in=15, text_out=6, audio_out=4),
        ),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(fresh=5, text_out=0)),
        (
            {"promptTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 8},
            Usage(fresh=5, text_out=0, reasoning_out=3),
        ),
        ({"promptTokenCount": 5}, Usage(fresh=5)),
        ({"promptTokenCount": "many"}, UNSET),
        ({}, UNSET),
    ],
)
def test_usage_of_gemini(usage: Any, buckets: Any) -> None:
    assert GEMINI.decode_answer(candidate("STOP", {"text": "x"}, usageMetadata=usage)).usage == buckets


def test_geminis_last_usage_counts_never_the_sum() -> None:
    chunks = [
        candidate(None, {"text": "x"}, usageMetadata={"promptTokenCount": 5, "totalTokenCount": 5}),
        candidate(None, {"text": "y"}, usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 2}),
        candidate("STOP", usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 1}),
    ]
    decoder, collector = GEMINI.stream_decoder(), Collector()
    collector.take(decoder.feed(b"".join(b"data: " + chunk + b"\r\n\r\n" for chunk in chunks)))
    collector.take(decoder.close())
    assert collector.answer().usage == Usage(fresh=5, text_out=3, reasoning_out=1)


def test_no_token_is_lost_or_counted_twice() -> None:
    usage = Usage(fresh=10, cache_read=30, cache_write_5m=15, tool_in=2, audio_in=3, text_out=10, reasoning_out=40)
    answer = Answer(id="1", model="m", choices=(Choice(parts=(), stop=Stop.END),), usage=usage)
    assert json.loads(RESPONSES.encode_answer(answer, REPLY))["usage"] == {
        "input_tokens": 60,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 15},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 110,
    }
    assert json.loads(GEMINI.encode_answer(answer, REPLY))["usageMetadata"] == {
        "promptTokenCount": 58,
        "cachedContentTokenCount": 30,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 40,
        "toolUsePromptTokenCount": 2,
        "totalTokenCount": 110,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}],
    }


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        (Kind.BAD_REQUEST, 400, "INVALID_ARGUMENT"),
        (Kind.CONTEXT_LENGTH, 400, "INVALID_ARGUMENT"),
        (Kind.KEY, 401, "UNAUTHENTICATED"),
        (Kind.NO_MONEY, 402, "RESOURCE_EXHAUSTED"),
        (Kind.FORBIDDEN, 403, "PERMISSION_DENIED"),
        (Kind.NOT_FOUND, 404, "NOT_FOUND"),
        (Kind.TOO_LARGE, 413, "INVALID_ARGUMENT"),
        (Kind.RATE, 429, "RESOURCE_EXHAUSTED"),
        (Kind.UPSTREAM, 500, "INTERNAL"),
        (Kind.OVERLOADED, 503, "UNAVAILABLE"),
        (Kind.TIMEOUT, 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_of_gemini_both_ways(kind: Kind, status: int, word: str) -> None:
    answered, body = GEMINI.encode_error(Fault(kind=kind, message="no", param="contents"), request_id="r1")
    error = json.loads(body)["error"]
    assert (answered, error["code"], error["status"], error["message"]) == (status, status, word, "no")
    assert {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "r1"} in error["details"]
    read = GEMINI.decode_error(answered, {}, body)
    assert read.kind is (Kind.BAD_REQUEST if kind is Kind.CONTEXT_LENGTH else kind)


def test_what_an_upstream_says_of_itself_is_kept_and_its_key_is_not() -> None:
    body = {
        "error": {"code": 429, "message": "key=AIzaSyD-1234567890abc is over quota", "status": "RESOURCE_EXHAUSTED"}
    }
    fault = GEMINI.decode_error(429, {"retry-after": "7"}, json.dumps(body).encode())
    assert (fault.kind, fault.status, fault.retry_after_s) == (Kind.RATE, 429, 7.0)
    assert "AIza" not in fault.message


def test_an_error_in_a_list_of_one_is_read() -> None:
    error = {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}
    decoder = GEMINI.stream_decoder()
    collector = Collector()
    collector.take(decoder.feed(json.dumps([error], indent=2).encode()))
    assert collector.fault is not None
    assert collector.fault.kind is Kind.FORBIDDEN
