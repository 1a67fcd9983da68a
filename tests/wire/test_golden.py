"""Whole exchanges, translated: what comes in in one dialect and what must go out in the other, field for field.

Each file of ``golden/`` is one: ``kind`` (request, answer, stream, error), ``from``, ``to``, ``given``, ``written``,
and for requests what of the upstream is known (``target``) and what is left out (``dropped``).
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wire.frames import chat_stream, message_stream, payloads
from tidemill.kernel import clock
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Codec, Reply, Target, reply_to
from tidemill.wire.codecs import codec_of, spoken

FOLDER = Path(__file__).parent / "golden"
DONE_AT = datetime.fromtimestamp(9, UTC)
CODECS: dict[str, Codec] = {str(dialect): codec_of(dialect) for dialect in spoken()}


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: DONE_AT)


def golden(kind: str) -> Any:
    found = [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.json"))]
    cases = [pytest.param(case, id=name) for name, case in found if case["kind"] == kind]
    return pytest.mark.parametrize("case", cases)


def reply_of(case: Any) -> Reply:
    return msgspec.convert({"id": "r1", "model": "public", "created": 7, **case.get("reply", {})}, Reply)


def bytes_of(dialect: Dialect, events: list[Any]) -> bytes:
    if dialect in {Dialect.OPENAI_CHAT, Dialect.GEMINI}:
        return chat_stream(events, done=dialect == Dialect.OPENAI_CHAT)
    return message_stream(events)


def written_stream(case: Any, size: int) -> list[Any]:
    source, client = CODECS[case["from"]], CODECS[case["to"]]
    given = bytes_of(source.dialect, case["given"])
    decoder, encoder = source.stream_decoder(), client.stream_encoder(reply_of(case))
    out = b"".join(encoder.encode(decoder.feed(given[at : at + size])) for at in range(0, len(given), size))
    return payloads(out + encoder.encode(decoder.close()))


@golden("request")
def test_requests(case: Any) -> None:
    client, upstream = CODECS[case["from"]], CODECS[case["to"]]
    request = client.decode_request(json.dumps(case["given"]).encode())
    written = upstream.encode_request(request, msgspec.convert({"model": "up", **case.get("target", {})}, Target))
    assert json.loads(written.body) == case["written"]
    assert list(written.dropped) == case.get("dropped", [])


@golden("answer")
def test_answers(case: Any) -> None:
    answer = CODECS[case["from"]].decode_answer(json.dumps(case["given"]).encode())
    assert json.loads(CODECS[case["to"]].encode_answer(answer, reply_of(case))) == case["written"]


@golden("stream")
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_streams(case: Any, size: int) -> None:
    assert written_stream(case, size) == case["written"]


@golden("error")
def test_errors(case: Any) -> None:
    given = case["given"]
    fault = CODECS[case["from"]].decode_error(given["status"], given["headers"], json.dumps(given["body"]).encode())
    status, body = CODECS[case["to"]].encode_error(fault)
    assert {"status": status, "body": json.loads(body)} == case["written"]


def test_what_an_answer_needs_to_know_comes_from_its_request() -> None:
    body: dict[str, Any] = {
        "model": "public",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "custom", "custom": {"name": "patch"}}],
        "stream_options": {"include_usage": True},
    }
    request = CODECS["openai_chat"].decode_request(json.dumps(body).encode())
    reply = reply_to(request, reply_id="r1", created=7)
    assert (reply.model, reply.keeps_usage, reply.custom_tools) == ("public", True, frozenset({"patch"}))
