"""What each protocol's addresses beside the chat answer, whichever provider stands behind them."""

import aiohttp
import pytest

from tests.relay.conftest import Start
from tests.relay.rig import Rig
from tests.relay.tongues import PROTOCOL, provider
from tidemill.metering.contracts import CallStatus
from tidemill.simulator.media import png, wav
from tidemill.wire.canonical_parts import Dialect

KEY = {"authorization": "Bearer user-1"}


@pytest.mark.parametrize(
    ("path", "file", "fields", "shown"),
    [
        ("/v1/images/edits", "image", {"prompt": "redder"}, "data"),
        ("/v1/images/variations", "image", {"n": "2"}, "data"),
        ("/v1/audio/translations", "file", {"prompt": "hm"}, "text"),
    ],
)
async def test_forms_pass_through_but_for_the_models_name(
    rig: Rig, path: str, file: str, fields: dict[str, str], shown: str
) -> None:
    async with provider(rig, Dialect.OPENAI_CHAT) as served:
        for model, status in (("m", 200), ("nobody", 404)):
            form = aiohttp.FormData({**fields, "model": model})
            sent = png("x") if file == "image" else wav("hello")
            form.add_field(file, sent, filename="a.bin", content_type="application/octet-stream")
            async with rig.http.post(rig.url + path, data=form, headers=KEY) as answer:
                assert answer.status == status, await answer.text()
                told = await answer.json()
            assert told[shown] if status == 200 else told["error"]["code"] == "model_not_found"
        nameless = aiohttp.FormData(fields)
        nameless.add_field(file, b"x", filename="a.bin")
        async with rig.http.post(rig.url + path, data=nameless, headers=KEY) as answer:
            assert (answer.status, (await answer.json())["error"]["param"]) == (400, "model")
        assert served.app.stats.view(waiting=0, max_waiting=0)["models"] == {"sim": {"200": 1}}
        event = (await rig.ledger.wait_for(1))[0]
        assert (event.kind, event.status) == ("image" if file == "image" else "transcription", CallStatus.OK)


@pytest.mark.parametrize("behind", PROTOCOL)
async def test_the_responses_count_their_tokens(rig: Rig, behind: Dialect) -> None:
    talk = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello there, how are you?"}]
    async with provider(rig, behind):
        async with rig.post({"model": "m", "input": talk}, path="/v1/responses/input_tokens") as answer:
            assert answer.status == 200, await answer.text()
            counted = await answer.json()
            own = behind is Dialect.OPENAI_RESPONSES
            assert ("x-gateway-estimated" in answer.headers) is not own
        assert counted.keys() == {"object", "input_tokens"}
        assert counted["object"] == "response.input_tokens"
        assert 5 <= counted["input_tokens"] <= 30
        async with rig.post({"model": "m", "input": [{"type": 7}]}, path="/v1/responses/input_tokens") as answer:
            assert answer.status == 400
        assert {(event.kind, event.tokens.total) for event in await rig.ledger.wait_for(2)} == {("count", 0)}


async def test_a_conversation_is_compacted_by_who_can(rig: Rig) -> None:
    talk = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello Ada!"}]
    body = {"model": "m", "input": talk}
    async with provider(rig, Dialect.ANTHROPIC, "cannot"):
        async with rig.post(body, path="/v1/responses/compact") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "scene_not_served")
        async with provider(rig, Dialect.OPENAI_RESPONSES, "can"):
            async with rig.post(body, path="/v1/responses/compact") as answer:
                assert answer.status == 200, await answer.text()
                compact = await answer.json()
            assert (compact["object"], compact["output"][-1]["type"]) == ("response.compaction", "compaction")
            event = (await rig.ledger.wait_for(2))[-1]
            assert (event.kind, event.channel, event.status) == ("compaction", "can", CallStatus.OK)
            assert event.tokens.total == compact["usage"]["total_tokens"] > 0
        async with rig.post({"input": talk}, path="/v1/responses/compact") as answer:
            assert (answer.status, (await answer.json())["error"]["param"]) == (400, "model")


@pytest.mark.parametrize("behind", PROTOCOL)
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21", None])
@pytest.mark.parametrize("credential", [("x-api-key", "user-1"), ("authorization", "Bearer user-1")])
async def test_every_version_and_key_header_of_anthropic_is_taken(
    rig: Rig, behind: Dialect, version: str | None, credential: tuple[str, str]
) -> None:
    headers = {credential[0]: credential[1], **({"anthropic-version": version} if version else {})}
    body = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "Reply with exactly: mills turn"}]}
    async with provider(rig, behind):
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            sent = body if path == "/v1/messages" else {name: body[name] for name in ("model", "messages")}
            async with rig.http.post(rig.url + path, json=sent, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                told = await answer.json()
            assert told["input_tokens"] > 0 if "input_tokens" in told else told["content"][0]["text"] == "mills turn"


async def test_an_anthropic_provider_hears_the_clients_version_once(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, provider="anthropic", defaults={"temperature": 0.5, "top_k": 3, "metadata": {}})
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for number, (version, heard) in enumerate(
        ((None, "2023-06-01"), ("2023-06-01", "2023-06-01"), ("2026-10-21", "2026-10-21"))
    ):
        headers = {"anthropic-version": version} if version else {}
        async with rig.post(body, path="/v1/messages", headers=headers) as answer:
            await answer.read()
        seen = service.seen[number]
        assert seen.headers["anthropic-version"] == heard
        # What that version refuses is not put in for the client.
        assert ("temperature" in seen.body, "metadata" in seen.body) == (heard < "2026", True)


async def test_a_version_of_anthropic_is_no_business_of_others(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with rig.post(body, path="/v1/messages", headers={"anthropic-version": "2026-10-21"}) as answer:
        assert answer.status == 200
    assert "anthropic-version" not in service.seen[0].headers


@pytest.mark.parametrize("behind", PROTOCOL)
async def test_a_message_without_its_bound_is_refused_whoever_answers(rig: Rig, behind: Dialect) -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with provider(rig, behind) as served:
        async with rig.post(asked, path="/v1/messages") as answer:
            told = await answer.json()
        assert (answer.status, told["type"], told["error"]["type"]) == (400, "error", "invalid_request_error")
        assert "max_tokens" in told["error"]["message"]
        assert served.app.stats.view(waiting=0, max_waiting=0)["models"] == {}
