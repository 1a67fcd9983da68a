"""A plain call: bytes through, headers cleaned, errors in OpenAI's words."""

import asyncio
import json

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ASK, Rig
from tests.relay.upstream import ANSWER, DEADLINE_S, Request, Wire, refuses
from tidemill.metering.contracts import CallStatus


async def test_a_call_comes_back_as_the_service_said_it(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    async with rig.post() as answer:
        assert answer.status == 200
        assert await answer.json() == ANSWER
        assert answer.headers["x-request-id"]
    assert service.seen[0].path == "/v1/chat/completions"
    assert service.seen[0].headers["authorization"] == "Bearer sk-upstream-secret"


async def test_an_answer_tells_the_services_name_for_the_call_and_what_the_call_took_here(
    rig: Rig, services: Start
) -> None:
    taken_s = 0.2

    async def named(request: Request, wire: Wire) -> None:
        del request
        await asyncio.sleep(taken_s)
        await wire.json(ANSWER, headers=[("X-Request-Id", "req_7")])

    service = await services(named)
    await rig.channel(service)
    async with rig.post() as answer:
        assert answer.headers["x-upstream-request-id"] == "req_7"
        here_ms = float(answer.headers["x-gateway-overhead-ms"])
    (event,) = await rig.ledger.wait_for(1)
    assert event.metadata == {"upstream_request_id": "req_7"}
    assert 0 <= here_ms <= event.latency_ms - taken_s * 1000 + 1, "but for what the service took"


@pytest.mark.parametrize("name", ["", "x" * 129, "caf\u00e9"])
async def test_a_name_that_is_none_is_not_told_on(rig: Rig, services: Start, name: str) -> None:
    async def named(request: Request, wire: Wire) -> None:
        del request
        await wire.json(ANSWER, headers=[("request-id", name)])

    await rig.channel(await services(named))
    async with rig.post() as answer:
        assert answer.status == 200
        assert "x-upstream-request-id" not in answer.headers
    (event,) = await rig.ledger.wait_for(1)
    assert event.metadata == {}


async def test_the_name_is_that_of_the_service_that_answered(rig: Rig, services: Start) -> None:
    async def busy(request: Request, wire: Wire) -> None:
        del request
        await wire.json({"error": {"message": "no"}}, 500, [("x-request-id", "req_of_the_other")])

    await rig.channel(await services(busy), "busy", priority=9)
    await rig.channel(await services(), "well")
    async with rig.post() as answer:
        assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "2")
        assert "x-upstream-request-id" not in answer.headers


async def test_only_the_model_name_changes_and_unknown_fields_survive(rig: Rig, services: Start) -> None:
    async def odd(request: Request, wire: Wire) -> None:
        del request
        await wire.json(b'{"x_vendor": 1.10,  "choices":[], "usage": null}')

    service = await services(odd)
    await rig.channel(service)
    sent = '{"model":"m","messages":[{"role":"user","content":"\\u4f60"}],"top_k":20,"float":0.10,"x":{"y":[null]}}'
    async with rig.post(path="/v1/chat/completions/", headers={"content-type": "application/json"}) as answer:
        assert answer.status == 200
    headers = {"authorization": "Bearer user-1", "content-type": "application/json"}
    async with rig.http.post(rig.url + "/v1/chat/completions", data=sent, headers=headers) as answer:
        assert await answer.read() == b'{"x_vendor": 1.10,  "choices":[], "usage": null}'
    arrived = service.seen[1].raw.decode()
    assert arrived == sent.replace('"m"', '"upstream-model"')


async def test_bytes_are_untouched_when_names_are_equal(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, models=["m"])
    sent = b'{ "model" : "m" , "messages" : [ ] , "n":1e0 }'
    headers = {"authorization": "Bearer user-1", "content-type": "application/json"}
    async with rig.http.post(rig.url + "/v1/chat/completions", data=sent, headers=headers) as answer:
        assert answer.status == 200
    assert service.seen[0].raw == sent


async def test_what_a_client_must_not_pass_on_stays_here(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    secret = {
        "cookie": "a=b",
        "x-forwarded-for": "10.0.0.1",
        "via": "1.1 x",
        "x-api-key": "mine",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "x-request-id": "abc-123",
    }
    async with rig.post(headers=secret) as answer:
        assert answer.headers["x-request-id"] == "abc-123"
    seen = service.seen[0].headers
    assert not {"cookie", "x-forwarded-for", "via", "x-api-key"} & seen.keys()
    assert seen["authorization"] == "Bearer sk-upstream-secret"
    assert seen["traceparent"] == secret["traceparent"]
    assert seen["x-request-id"] == "abc-123"
    assert seen["accept-encoding"] == "identity"


async def test_a_call_leaves_one_event_with_disjoint_tokens(rig: Rig, services: Start) -> None:
    async def detailed(request: Request, wire: Wire) -> None:
        del request
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 20},
        }
        await wire.json({**ANSWER, "usage": usage})

    await rig.channel(await services(detailed))
    async with rig.post(headers={"x-request-id": "r-1"}) as answer:
        assert answer.status == 200
    (event,) = await rig.ledger.wait_for(1)
    assert (event.request_id, event.user_id, event.key_id) == ("r-1", 1, "key-1")
    assert (event.model, event.upstream_model, event.channel) == ("m", "upstream-model", "one")
    assert (event.status, event.http_status, event.retries, event.stream) == (CallStatus.OK, 200, 0, False)
    tokens = event.tokens
    assert (tokens.fresh, tokens.cache_read, tokens.output, tokens.reasoning) == (40, 60, 30, 20)
    assert (tokens.request, tokens.response, tokens.total, tokens.estimated) == (100, 50, 150, False)
    assert event.usage_raw is not None
    assert json.loads(event.usage_raw)["prompt_tokens"] == 100
    assert event.latency_ms > 0


async def test_usage_is_estimated_when_a_service_reports_none_and_zero_is_not_none(rig: Rig, services: Start) -> None:
    async def silent(request: Request, wire: Wire) -> None:
        del request
        await wire.json({key: value for key, value in ANSWER.items() if key != "usage"})

    async def free(request: Request, wire: Wire) -> None:
        del request
        await wire.json({**ANSWER, "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}})

    service = await services()
    service.scripts.extend([silent, free])
    await rig.channel(service)
    for _ in range(2):
        async with rig.post() as answer:
            assert answer.status == 200
    estimated, zero = await rig.ledger.wait_for(2)
    assert estimated.tokens.estimated
    assert estimated.tokens.request > 0
    assert estimated.tokens.response > 0
    assert zero.tokens.total == 0
    assert not zero.tokens.estimated


async def test_embeddings_go_the_same_way(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    async with rig.post({"model": "m", "input": ["a", "b"]}, path="/v1/embeddings") as answer:
        assert (await answer.json())["data"][0]["embedding"] == [0.5, -0.25]
    assert service.seen[0].path == "/v1/embeddings"
    assert service.seen[0].body == {"model": "upstream-model", "input": ["a", "b"]}
    (event,) = await rig.ledger.wait_for(1)
    assert (event.kind, event.tokens.request, event.tokens.response) == ("embeddings", 4, 0)


async def test_a_channels_defaults_fill_what_the_client_left_out(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, defaults={"temperature": 0.5, "max_tokens": 99})
    async with rig.post({**ASK, "temperature": 0, "max_completion_tokens": 5}) as answer:
        assert answer.status == 200
    body = service.seen[0].body
    assert body["temperature"] == 0
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "param"),
    [
        (ASK, {"authorization": ""}, 401, "invalid_api_key", None),
        (ASK, {"authorization": "Bearer wrong"}, 401, "invalid_api_key", None),
        (ASK, {"authorization": "Bearer poor"}, 403, "forbidden", None),
        (ASK, {"authorization": "Bearer narrow"}, 403, "model_not_allowed", None),
        ({**ASK, "model": "nobody"}, {}, 404, "model_not_found", None),
        ({"messages": []}, {}, 400, "bad_input", "model"),
        ({"model": 5, "messages": []}, {}, 400, "bad_input", "model"),
        ({"model": "m"}, {}, 400, "bad_input", "messages"),
        ({**ASK, "stream": "yes"}, {}, 400, "bad_input", "stream"),
        ([1], {}, 400, "bad_input", "body"),
    ],
)
async def test_what_is_wrong_with_a_call_is_said_in_openais_envelope(
    rig: Rig, services: Start, body: object, headers: dict[str, str], status: int, code: str, param: str | None
) -> None:
    service = await services()
    await rig.channel(service)
    async with rig.post(body, headers=headers) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["code"], error["param"]) == (status, code, param)
        assert error["message"]
        assert answer.headers["x-request-id"]
    assert service.seen == []


async def test_a_body_past_the_limit_is_refused_before_it_is_read(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    host, port = rig.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer user-1\r\n"
        b"content-length: 99999999999\r\n\r\n"
    )
    async with asyncio.timeout(DEADLINE_S):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 413 ")


async def test_unknown_routes_and_methods_speak_the_same_envelope(rig: Rig) -> None:
    async with rig.post(path="/v1/nothing") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "not_found"
    async with rig.http.get(rig.url + "/v1/chat/completions", headers={"authorization": "Bearer user-1"}) as answer:
        assert answer.status == 405
        assert answer.headers["allow"] == "POST"


async def test_a_clients_fault_is_passed_on_and_not_retried(rig: Rig, services: Start) -> None:
    service = await services(refuses(400, "context too long", code="context_length_exceeded", param="messages"))
    await rig.channel(service)
    await rig.channel(service, "two")
    async with rig.post() as answer:
        error = (await answer.json())["error"]
        assert answer.status == 400
        assert (error["message"], error["code"], error["param"]) == (
            "context too long",
            "context_length_exceeded",
            "messages",
        )
    assert len(service.seen) == 1
    (event,) = await rig.ledger.wait_for(1)
    assert (event.status, event.tokens.total) == (CallStatus.CLIENT_ERROR, 0)


async def test_an_upstreams_401_is_not_the_clients(rig: Rig, services: Start) -> None:
    await rig.channel(await services(refuses(401, "Incorrect API key provided: sk-upstream-secret")))
    async with rig.post() as answer:
        text = await answer.text()
        assert answer.status == 502
        assert "sk-upstream" not in text


async def test_models_are_listed_and_shown_one_by_one(rig: Rig, services: Start) -> None:
    await rig.channel(await services(), models={"m": "x", "org/n": "y"})
    headers = {"authorization": "Bearer user-1"}
    async with rig.http.get(rig.url + "/v1/models", headers=headers) as answer:
        listed = await answer.json()
    assert [card["id"] for card in listed["data"]] == ["m", "org/n"]
    async with rig.http.get(rig.url + "/v1/models/org/n/", headers=headers) as answer:
        assert (await answer.json())["object"] == "model"
    async with rig.http.get(rig.url + "/v1/models/none", headers=headers) as answer:
        assert answer.status == 404
    async with rig.http.get(rig.url + "/v1/models", headers={"authorization": "Bearer narrow"}) as answer:
        assert (await answer.json())["data"] == []
