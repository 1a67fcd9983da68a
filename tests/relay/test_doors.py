"""What stands behind each address: lists, counts, calls that pass through, errors in the client's words."""

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.tongues import PROTOCOL, provider
from tests.relay.upstream import DEADLINE_S, Request, Wire, refuses
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database
from tidemill.relay.contracts import ChannelChange
from tidemill.relay.errors import RequestUnreadable
from tidemill.relay.upstreams.form import model_in, with_model
from tidemill.relay.upstreams.media import MediaFetcher
from tidemill.simulator.media import png
from tidemill.wire.canonical import Request as Canonical
from tidemill.wire.canonical_parts import Dialect, Image, Inline, Remote, Turn

KEY = {"authorization": "Bearer user-1"}
GOOGLE: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Count to 5."}]}]}


async def test_completions_pictures_speech_moderations_and_ranking_pass_through(rig: Rig) -> None:
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("/v1/completions", {"prompt": "hi", "max_tokens": 5}, "choices"),
        ("/v1/images/generations", {"prompt": "a mill"}, "data"),
        ("/v1/moderations", {"input": "hi"}, "results"),
        ("/v1/rerank", {"query": "mill", "documents": ["a mill", "a lake"]}, "results"),
    ]
    async with provider(rig, Dialect.OPENAI_CHAT):
        for number, (path, body, field) in enumerate(calls, 1):
            async with rig.post({"model": "m", **body}, path=path) as answer:
                assert answer.status == 200, await answer.text()
                assert (await answer.json())[field]
            event = (await rig.ledger.wait_for(number))[-1]
            assert event.status is CallStatus.OK
        assert [event.kind for event in rig.ledger.events] == ["completion", "image", "moderation", "rerank"]
        assert rig.ledger.events[0].tokens.response > 0
        speech = {"model": "m", "input": "hello", "voice": "alloy", "response_format": "wav"}
        async with rig.post(speech, path="/v1/audio/speech") as answer:
            sound = await answer.read()
            assert (answer.status, sound[:4]) == (200, b"RIFF")
            assert answer.headers["content-type"].startswith("audio/")
        form = aiohttp.FormData()
        form.add_field("file", sound, filename="a.wav", content_type="audio/wav")
        form.add_field("model", "m")
        async with rig.http.post(f"{rig.url}/v1/audio/transcriptions", data=form, headers=KEY) as answer:
            assert answer.status == 200, await answer.text()
            assert "seconds" in (await answer.json())["text"]


async def test_a_streamed_completion_passes_through_to_its_end(rig: Rig) -> None:
    async with provider(rig, Dialect.OPENAI_CHAT) as served:
        body = {"model": "m", "prompt": "Count to 9.", "stream": True}
        async with rig.post(body, path="/v1/completions") as answer:
            text = (await answer.read()).decode()
        assert text.rstrip().endswith("data: [DONE]")
        cut = {**body, "prompt": "Count to 90. [simulate cut:after=3]"}
        async with rig.post(cut, path="/v1/completions") as answer:
            text = (await answer.read()).decode()
        assert '"error"' in text.rstrip().split("\n")[-1]
        assert [event.status for event in await rig.ledger.wait_for(2)] == [CallStatus.OK, CallStatus.UPSTREAM_ERROR]
        assert served.app.stats.view(waiting=0, max_waiting=0)["models"]["sim"]["200"] == 2


async def test_a_call_that_no_provider_of_the_model_serves_is_refused(rig: Rig) -> None:
    asked = {"model": "m", "input": "hi"}
    async with provider(rig, Dialect.ANTHROPIC), rig.post(asked, path="/v1/moderations") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "scene_not_served"


async def test_the_model_in_a_form_is_found_and_replaced_alone() -> None:
    kind = 'multipart/form-data; boundary="xyz"'
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\n\x00name="model"\r\n\r\nno\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--xyz--\r\n'
    )
    assert model_in(body, kind) == "m"
    assert with_model(body, kind, "upstream") == body.replace(b"\r\n\r\nm\r\n", b"\r\n\r\nupstream\r\n")
    assert model_in(b"--xyz--\r\n", kind) is None
    assert model_in(body, "application/json") is None


async def test_a_gemini_stream_is_a_list_unless_events_are_asked_for(rig: Rig) -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    for number, behind in enumerate(PROTOCOL):
        async with provider(rig, behind, f"c{number}", priority=number):
            async with rig.post(GOOGLE, path=path) as answer:
                assert answer.headers["content-type"].startswith("application/json")
                chunks = json.loads(await answer.read())
            parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"].get("parts", [])]
            assert "".join(part.get("text", "") for part in parts) == "1, 2, 3, 4, 5"
            async with rig.post(GOOGLE, path=f"{path}?alt=sse") as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                assert (await answer.read()).lstrip().startswith(b"data: {")


async def test_a_broken_gemini_list_is_still_json(rig: Rig) -> None:
    asked = {"contents": [{"parts": [{"text": "Count to 90. [simulate cut:after=3]"}]}]}
    for number, behind in enumerate((Dialect.GEMINI, Dialect.ANTHROPIC)):
        async with provider(rig, behind, f"c{number}", priority=number):
            async with rig.post(asked, path="/v1beta/models/m:streamGenerateContent") as answer:
                chunks = json.loads(await answer.read())
            assert "error" in chunks[-1]
            assert "candidates" in chunks[0]


async def test_tokens_are_counted_by_the_provider_or_estimated(rig: Rig) -> None:
    async with provider(rig, Dialect.ANTHROPIC):
        body = {"model": "m", "messages": [{"role": "user", "content": "hi there"}]}
        async with rig.post(body, path="/v1/messages/count_tokens") as answer:
            assert (await answer.json())["input_tokens"] > 0
            assert "x-gateway-estimated" not in answer.headers
        async with rig.post(GOOGLE, path="/v1beta/models/m:countTokens") as answer:
            assert (await answer.json())["totalTokens"] > 0
            assert answer.headers["x-gateway-estimated"] == "true"
        assert [(event.kind, event.tokens.total) for event in await rig.ledger.wait_for(2)] == [("count", 0)] * 2


async def test_unknown_addresses_and_methods_are_refused_in_the_clients_words(rig: Rig) -> None:
    async with rig.post(path="/v1beta/nothing") as answer:
        assert (answer.status, (await answer.json())["error"]["status"]) == (404, "NOT_FOUND")
    async with rig.post(path="/v1/messages/nothing") as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (404, "not_found_error")
    async with rig.http.get(f"{rig.url}/v1/messages", headers=KEY) as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert (await answer.json())["type"] == "error"
    async with rig.http.get(f"{rig.url}/v1beta/models/m:generateContent", headers=KEY) as answer:
        assert answer.status == 405


async def test_a_large_body_is_refused_in_the_clients_words(memory_database: Database) -> None:
    async with relay_rig(memory_database, max_body_bytes=100) as rig:
        for path, word in (
            ("/v1/messages", "request_too_large"),
            ("/v1beta/models/m:generateContent", "INVALID_ARGUMENT"),
        ):
            async with rig.post({"model": "m", "messages": ["x" * 200]}, path=path) as answer:
                assert answer.status == 413
                assert word in await answer.text()


async def test_lists_of_models_have_the_shape_of_the_client(rig: Rig, services: Start) -> None:
    await rig.channel(await services())
    async with rig.http.get(f"{rig.url}/v1/models", headers={**KEY, "anthropic-version": "2023-06-01"}) as answer:
        assert (await answer.json())["data"][0]["type"] == "model"
    async with rig.http.get(f"{rig.url}/v1beta/models", headers=KEY) as answer:
        assert (await answer.json())["models"][0]["name"] == "models/m"
    async with rig.http.get(f"{rig.url}/v1beta/models/none", headers=KEY) as answer:
        assert (answer.status, (await answer.json())["error"]["status"]) == (404, "NOT_FOUND")


async def test_one_protocol_on_both_sides_changes_the_name_and_the_key_alone(rig: Rig, services: Start) -> None:
    reply = b'{"id":"msg_1","type":"message","x_odd": 1.10,"content":[],"usage":{"input_tokens":3,"output_tokens":4}}'

    async def says(request: Request, wire: Wire) -> None:
        del request
        await wire.json(reply)

    service = await services(says)
    await rig.channel(service, provider="anthropic")
    sent = b'{"model":"m","messages":[{"role":"user","content":"\\u4f60"}],"max_tokens":5,"x":{"y":[null,0.10]}}'
    headers = {**KEY, "content-type": "application/json", "anthropic-beta": "tools-1", "openai-beta": "no"}
    async with rig.http.post(f"{rig.url}/v1/messages", data=sent, headers=headers) as answer:
        assert await answer.read() == reply
    seen = service.seen[0]
    assert seen.path == "/v1/messages"
    assert seen.raw == sent.replace(b'"m"', b'"upstream-model"')
    assert seen.headers["x-api-key"] == "sk-upstream-secret"
    assert seen.headers["anthropic-version"]
    assert seen.headers["anthropic-beta"] == "tools-1"
    assert not {"authorization", "openai-beta"} & seen.headers.keys()
    (event,) = await rig.ledger.wait_for(1)
    assert (event.tokens.request, event.tokens.response) == (3, 4)


async def test_what_a_provider_has_no_word_for_is_named(rig: Rig) -> None:
    async with provider(rig, Dialect.ANTHROPIC), rig.post({**ASK, "seed": 7, "logit_bias": {"1": 2}}) as answer:
        assert answer.status == 200
        assert set(answer.headers["x-dropped-params"].split(", ")) == {"seed", "logit_bias"}


async def test_azure_has_deployments_versions_and_a_header_of_its_own(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, provider="azure", defaults={"api_version": "2025-01-01"})
    async with rig.post() as answer:
        assert answer.status == 200
    seen = service.seen[0]
    assert seen.path == "/openai/deployments/upstream-model/chat/completions?api-version=2025-01-01"
    assert seen.headers["api-key"] == "sk-upstream-secret"
    assert "authorization" not in seen.headers
    assert "api_version" not in seen.body


async def test_defaults_reach_every_protocol(rig: Rig) -> None:
    for number, (behind, place) in enumerate(
        ((Dialect.ANTHROPIC, "max_tokens"), (Dialect.OPENAI_RESPONSES, "max_output_tokens"))
    ):
        async with provider(rig, behind, f"c{number}", priority=number) as served:
            view = next(view for view in await rig.context.channels.all(ADMIN) if view.name == f"c{number}")
            await rig.context.channels.change(ADMIN, view.id, ChannelChange(defaults={"max_tokens": 77}), None)
            async with rig.post() as answer:
                assert answer.status == 200, await answer.text()
            assert served.app.stats.view(waiting=0, max_waiting=0)["last"][-1]["body"][place] == 77


async def test_a_picture_is_fetched_for_who_fetches_none_but_never_from_inside(rig: Rig) -> None:
    async with provider(rig, Dialect.GEMINI):
        content = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}]
        async with rig.post({"model": "m", "messages": [{"role": "user", "content": content}]}) as answer:
            assert answer.status == 400
            assert "could not be fetched" in (await answer.json())["error"]["message"]
        (event,) = await rig.ledger.wait_for(1)
        assert event.status is CallStatus.CLIENT_ERROR


async def test_pictures_are_fetched_within_bounds(services: Start) -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.path.startswith("/moved"):
            await wire.json(b"", 302, [("location", "/a.png?size=1")])
        elif request.path.startswith("/gone"):
            await wire.json(b"", 404)
        else:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: %d\r\n\r\n" % len(png("x"))
            await wire.raw(head + png("x"))

    service = await services(script)
    fetcher = MediaFetcher(allow_private=True)
    small = MediaFetcher(allow_private=True, max_bytes=10)
    strict = MediaFetcher()
    try:
        filled = await fetcher.fill(_shows(f"{service.url}/moved"))
        (part,) = filled.turns[0].parts
        assert isinstance(part, Image)
        assert part.source == Inline("image/png", base64.b64encode(png("x")).decode())
        for refused, url in ((fetcher, f"{service.url}/gone"), (small, f"{service.url}/a.png"), (strict, service.url)):
            with pytest.raises(RequestUnreadable):
                await refused.fill(_shows(url))
    finally:
        for each in (fetcher, small, strict):
            await each.close()


def _shows(url: str) -> Canonical:
    return Canonical(model="m", turns=(Turn("user", (Image(Remote(url)),)),), dialect=Dialect.OPENAI_CHAT)


async def test_a_silent_stream_is_kept_alive_in_the_clients_words(memory_database: Database) -> None:
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        relay_rig(memory_database, heartbeat_s=0.05) as rig,
        provider(rig, Dialect.OPENAI_CHAT, latency_s=0.4),
        asyncio.timeout(DEADLINE_S),
        rig.post(body, path="/v1/messages") as answer,
    ):
        text = await answer.read()
    assert text.startswith(b"event: ping")
    assert b"event: message_stop" in text


async def test_a_failure_after_a_keep_alive_is_told_in_the_clients_words(
    memory_database: Database, services: Start
) -> None:
    async def slow_refusal(request: Request, wire: Wire) -> None:
        await asyncio.sleep(0.3)
        await refuses(400, "no such thing")(request, wire)

    async with relay_rig(memory_database, heartbeat_s=0.05) as rig:
        await rig.channel(await services(slow_refusal))
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with rig.post(body, path="/v1/messages") as answer:
            assert (await answer.read()).rstrip().split(b"\n\n")[-1].startswith(b"event: error")
        async with rig.post(GOOGLE, path="/v1beta/models/m:streamGenerateContent") as answer:
            assert json.loads(await answer.read())[0]["error"]["code"] == 400
