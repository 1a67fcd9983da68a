"""What an administrator lays over a channel's calls replaces what was there, in every protocol."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.relay.conftest import Start
from tests.relay.rig import ASK, Rig
from tidemill.relay.providers import provider_of
from tidemill.relay.upstreams.laid_over import with_fields, with_headers
from tidemill.wire.canonical_parts import Dialect


def laid(body: Any, dialect: Dialect, **over: Any) -> Any:
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in over.items()}
    return json.loads(with_fields(json.dumps(body).encode(), dialect, raw))


@pytest.mark.parametrize(
    ("dialect", "body", "over", "after"),
    [
        (Dialect.OPENAI_CHAT, {"temperature": 1}, {"temperature": 0.2, "x": [1]}, {"temperature": 0.2, "x": [1]}),
        (Dialect.OPENAI_CHAT, {"temperature": 1, "a": 2}, {"temperature": None, "b": None}, {"a": 2}),
        (Dialect.OPENAI_CHAT, {"max_completion_tokens": 9}, {"max_tokens": 5}, {"max_tokens": 5}),
        (Dialect.OPENAI_CHAT, {"max_completion_tokens": 9}, {"max_tokens": None}, {}),
        (Dialect.OPENAI_RESPONSES, {"max_output_tokens": 9}, {"max_tokens": 5}, {"max_output_tokens": 5}),
        (Dialect.ANTHROPIC, {"max_tokens": 9, "top_k": 1}, {"max_completion_tokens": 5}, {"max_tokens": 5, "top_k": 1}),
        (
            Dialect.GEMINI,
            {"generationConfig": {"topP": 1, "topK": 4, "x": 0}, "contents": []},
            {"top_p": 0.5, "top_k": None, "max_output_tokens": 7, "safetySettings": []},
            {"generationConfig": {"topP": 0.5, "maxOutputTokens": 7, "x": 0}, "contents": [], "safetySettings": []},
        ),
        (Dialect.GEMINI, {"contents": []}, {"seed": 3}, {"contents": [], "generationConfig": {"seed": 3}}),
        (Dialect.GEMINI, {"contents": [], "labels": {}}, {"labels": None}, {"contents": []}),
    ],
)
def test_fields_are_laid_over_in_the_channels_own_words(dialect: Dialect, body: Any, over: Any, after: Any) -> None:
    assert laid(body, dialect, **over) == after


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"generationConfig":3}'])
def test_a_body_that_cannot_be_read_goes_on_as_it_is(body: bytes) -> None:
    assert with_fields(body, Dialect.GEMINI, {"seed": Raw(b"1")}) == body


def test_headers_replace_their_namesakes_but_never_a_key() -> None:
    headers = [("content-type", "application/json"), ("authorization", "Bearer k"), ("x-own", "k"), ("a", "1")]
    over = [("a", "2"), ("b", "3"), ("authorization", "evil"), ("x-api-key", "evil"), ("x-own", "evil")]
    after = with_headers(headers, over, "x-own")
    assert after == [*headers[:3], ("a", "2"), ("b", "3")]


PATHS = {
    "openai": ("/v1/chat/completions", ASK),
    "anthropic": ("/v1/messages", {**ASK, "max_tokens": 50}),
    "gemini": ("/v1beta/models/m:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    "responses": ("/v1/responses", {"model": "m", "input": "hi"}),
}


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "openai-responses"])
async def test_every_pair_of_protocols_takes_them(rig: Rig, services: Start, client: str, provider: str) -> None:
    service = await services()
    await rig.channel(
        service,
        provider=provider,
        header_overrides={"X-Team": "blue", "User-Agent": "own/1"},
        param_overrides={"temperature": 0.25, "max_tokens": 7, "extra": {"a": 1}},
    )
    path, body = PATHS[client]
    async with rig.post({**body, "temperature": 0.75} if client != "gemini" else body, path=path) as answer:
        await answer.read()
    sent = service.seen[0]
    assert (sent.headers["x-team"], sent.headers["user-agent"]) == ("blue", "own/1")
    assert sent.body["extra"] == {"a": 1}
    bounds = {
        Dialect.OPENAI_CHAT: "max_tokens",
        Dialect.ANTHROPIC: "max_tokens",
        Dialect.OPENAI_RESPONSES: "max_output_tokens",
    }
    dialect = provider_of(provider).dialect
    if dialect is Dialect.GEMINI:
        config = sent.body["generationConfig"]
        assert (config["temperature"], config["maxOutputTokens"]) == (0.25, 7)
    else:
        assert (sent.body["temperature"], sent.body[bounds[dialect]]) == (0.25, 7)


async def test_embeddings_keep_their_fields(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, header_overrides={"x-team": "blue"}, param_overrides={"temperature": 0.5})
    async with rig.post({"model": "m", "input": "x"}, path="/v1/embeddings") as answer:
        assert answer.status == 200
    assert service.seen[0].headers["x-team"] == "blue"
    assert "temperature" not in service.seen[0].body
