"""Every kind of fault as a client meets it, in every protocol where it means something."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tidemill.simulator.config import PROTOCOLS, SimulatorConfig
from tidemill.simulator.fault_words import KINDS
from tidemill.simulator.serving import Served

Start = Callable[[SimulatorConfig], Awaitable[Served]]

PROMPT = "Count to 9"
HEADERS = {"authorization": "Bearer k", "x-api-key": "k", "x-goog-api-key": "k", "anthropic-version": "2023-06-01"}
TOOL_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def _request(protocol: str, prompt: str = PROMPT, *, is_stream: bool = True) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": prompt}]
    match protocol:
        case "openai":
            return "/v1/chat/completions", {"model": "m", "messages": messages, "stream": is_stream}
        case "responses":
            return "/v1/responses", {"model": "m", "input": prompt, "stream": is_stream}
        case "anthropic":
            return "/v1/messages", {"model": "m", "max_tokens": 99, "messages": messages, "stream": is_stream}
        case _:
            method = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
            return f"/v1beta/models/m:{method}", {"contents": [{"parts": [{"text": prompt}]}]}


CONTENT = {
    "openai": '"delta":{"content":',
    "responses": "response.output_text.delta",
    "anthropic": "text_delta",
    "gemini": '"candidates"',
}
CLOSING = {
    "openai": "[DONE]",
    "responses": "response.completed",
    "anthropic": "message_stop",
    "gemini": "finishReason",
}


@pytest.fixture
async def simulated(start: Start) -> Served:
    return await start(SimulatorConfig(protocols=PROTOCOLS))


class Answered:
    """What came of one request: status, headers, all bytes that arrived, and whether they ended as announced."""

    def __init__(self) -> None:
        self.status = 0
        self.kind = ""
        self.body = b""
        self.is_whole = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


async def _ask(
    http: aiohttp.ClientSession, served: Served, request: tuple[str, dict[str, Any]], order: str = ""
) -> Answered:
    path, body = request
    got = Answered()
    headers = {**HEADERS, **({"x-simulate": order} if order else {})}
    async with http.post(served.origin + path, json=body, headers=headers) as answer:
        got.status, got.kind = answer.status, answer.content_type
        try:
            async for piece in answer.content.iter_any():
                got.body += piece
        except aiohttp.ClientPayloadError:
            return got
        got.is_whole = True
    return got


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_cut_comes_after_as_many_content_events_as_ordered(
    simulated: Served, http: aiohttp.ClientSession, protocol: str
) -> None:
    for after in (0, 2):
        got = await _ask(http, simulated, _request(protocol), f"cut:after={after}")
        assert got.status == 200
        assert not got.is_whole
        assert got.text.count(CONTENT[protocol]) == after * (2 if protocol == "responses" else 1)
        assert CLOSING[protocol] not in got.text
    start = await _ask(http, simulated, _request(protocol), "cut:at=start")
    assert (start.status, start.body, start.is_whole) == (200, b"", False)
    event = await _ask(http, simulated, _request(protocol), "cut:at=event,after=1")
    assert not event.text.endswith("\n")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await _ask(http, simulated, _request(protocol), "cut:at=head")
    plain = await _ask(http, simulated, _request(protocol, is_stream=False), "cut")
    assert not plain.is_whole
    assert plain.body
    assert (await _ask(http, simulated, _request(protocol))).text.count(CLOSING[protocol]) > 0


async def test_a_cut_can_fall_into_the_middle_of_a_tool_call(simulated: Served, http: aiohttp.ClientSession) -> None:
    function = {"name": "get_weather", "parameters": TOOL_SCHEMA}
    path, body = _request("openai", "Use get_weather for Oslo")
    openai = (path, {**body, "tools": [{"type": "function", "function": function}]})
    got = await _ask(http, simulated, openai, "cut:at=tool")
    assert not got.is_whole
    assert '"name":"get_weather"' in got.text
    assert "Oslo" not in got.text
    path, body = _request("anthropic", "Use get_weather for Oslo")
    anthropic = (path, {**body, "tools": [{"name": "get_weather", "input_schema": TOOL_SCHEMA}]})
    got = await _ask(http, simulated, anthropic, "cut:at=tool")
    assert "content_block_start" in got.text
    assert "content_block_stop" not in got.text
    path, body = _request("responses", "Use get_weather for Oslo")
    got = await _ask(http, simulated, (path, {**body, "tools": [{"type": "function", **function}]}), "cut:at=tool")
    assert "response.output_item.added" in got.text
    assert "function_call_arguments.done" not in got.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_statuses_come_in_the_providers_envelope(
    simulated: Served, http: aiohttp.ClientSession, protocol: str
) -> None:
    for word, kind in KINDS.items():
        if kind.group != "refusal" or word == "html":
            continue
        got = await _ask(http, simulated, _request(protocol), word)
        assert got.status == (kind.status or got.status)
        assert got.status >= 400
        error = json.loads(got.body)["error"]
        assert error["message"]
    page = await _ask(http, simulated, _request(protocol), "html:as=503")
    assert (page.status, page.kind) == (503, "text/html")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_error_can_come_inside_an_answer_of_200(
    simulated: Served, http: aiohttp.ClientSession, protocol: str
) -> None:
    inside = await _ask(http, simulated, _request(protocol), "error:after=1,as=overloaded")
    assert inside.status == 200
    assert inside.is_whole
    assert "overload" in inside.text.lower()
    assert CLOSING[protocol] not in inside.text
    for is_stream in (True, False):
        instead = await _ask(http, simulated, _request(protocol, is_stream=is_stream), "error200:as=429")
        assert (instead.status, instead.kind) == (200, "application/json")
        assert json.loads(instead.body)["error"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_bodies_can_be_wrong_in_many_ways(simulated: Served, http: aiohttp.ClientSession, protocol: str) -> None:
    for is_stream in (True, False):
        request = _request(protocol, is_stream=is_stream)
        empty = await _ask(http, simulated, request, "empty")
        assert (empty.status, empty.body) == (200, b"")
        junk = await _ask(http, simulated, request, "bytes:after=1")
        assert b"\xff\xfe" in junk.body
        typed = await _ask(http, simulated, request, "type:as=text/plain")
        assert typed.kind == "text/plain"
        blank = await _ask(http, simulated, request, "blank")
        assert blank.is_whole
        assert "1, 2, 3" not in blank.text
    unfinished = await _ask(http, simulated, _request(protocol), "no-done")
    assert unfinished.is_whole
    assert CLOSING[protocol] not in unfinished.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", ["split", "joined", "crlf", "comments", "spaceless"])
async def test_odd_framing_leaves_the_events_as_they_are(
    simulated: Served, http: aiohttp.ClientSession, protocol: str, form: str
) -> None:
    def values(got: Answered) -> list[str]:
        lines = got.text.replace("\r\n", "\n").split("\n")
        return [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]

    plain = await _ask(http, simulated, _request(protocol))
    odd = await _ask(http, simulated, _request(protocol), f"frames:form={form}")
    # An answer names the second in which it was made.
    assert [json.loads(v).keys() if v[0] == "{" else v for v in values(odd)] == [
        json.loads(v).keys() if v[0] == "{" else v for v in values(plain)
    ]
    if form in {"comments", "spaceless", "crlf"} and protocol != "gemini":
        assert odd.body != plain.body


async def _chunks(http: aiohttp.ClientSession, served: Served, order: str, **more: Any) -> list[dict[str, Any]]:
    path, body = _request("openai", "Weather in Paris and Rome?")
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": TOOL_SCHEMA}}
    got = await _ask(http, served, (path, {**body, "tools": [tool], **more}), order)
    return [json.loads(part[6:]) for part in got.text.split("\n\n") if part.startswith("data: {")]


def _tool_deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", [])]


async def test_tool_deltas_take_the_odd_forms_of_some_upstreams(simulated: Served, http: aiohttp.ClientSession) -> None:
    usual = _tool_deltas(await _chunks(http, simulated, ""))
    assert [delta["index"] for delta in usual if "id" in delta] == [0, 1]
    assert all("index" not in delta for delta in _tool_deltas(await _chunks(http, simulated, "tools:form=no-index")))
    assert all("id" not in delta for delta in _tool_deltas(await _chunks(http, simulated, "tools:form=no-id")))
    whole = _tool_deltas(await _chunks(http, simulated, "tools:form=whole"))
    assert [delta["function"]["arguments"] for delta in whole] == ['{"city":"Paris"}', '{"city":"Rome"}']
    cumulative = _tool_deltas(await _chunks(http, simulated, "tools:form=cumulative"))
    assert [d["function"]["arguments"] for d in cumulative if d["index"] == 1] == ["", '{"city":', '{"city":"Rome"}']
    assert {delta["index"] for delta in _tool_deltas(await _chunks(http, simulated, "tools:form=one-index"))} == {0}
    joined = await _chunks(http, simulated, "tools:form=joined")
    assert max(len(choice["delta"].get("tool_calls", [])) for chunk in joined for choice in chunk["choices"]) == 2


async def test_usage_can_be_repeated_or_left_out(simulated: Served, http: aiohttp.ClientSession) -> None:
    options = {"stream_options": {"include_usage": True}}
    repeated = await _chunks(http, simulated, "repeat-usage", **options)
    assert sum(chunk.get("usage") is not None for chunk in repeated) == len(repeated) - 1
    missing = await _chunks(http, simulated, "no-usage", **options)
    assert not any(chunk.get("usage") for chunk in missing)
    for protocol in ("openai", "gemini", "responses"):
        got = await _ask(http, simulated, _request(protocol, is_stream=False), "no-usage")
        value = json.loads(got.body)
        assert not value.get("usage")
        assert not value.get("usageMetadata")


async def test_delays_pace_and_stalls_take_their_time(simulated: Served, http: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    for order, least_s in (("delay:s=0.15", 0.15), ("pace:s=0.1", 0.2), ("stall:s=0.2", 0.2), ("hang:s=0.15", 0.15)):
        begun = loop.time()
        got = await _ask(http, simulated, _request("openai"), order)
        assert loop.time() - begun >= least_s
        assert got.text.endswith("[DONE]\n\n")


async def test_a_client_that_leaves_a_stalled_stream_is_seen_to_leave(
    simulated: Served, http: aiohttp.ClientSession
) -> None:
    path, body = _request("openai")
    headers = {**HEADERS, "x-simulate": "stall:after=2"}
    async with http.post(simulated.origin + path, json=body, headers=headers) as answer:
        while (await answer.content.readany()).count(b'"content":') == 0:
            pass
    async with asyncio.timeout(10):
        while simulated.app.stats.aborted == 0:
            await asyncio.sleep(0.005)
    async with http.get(f"{simulated.origin}/_simulator/stats") as answer:
        stats = await answer.json()
    (left,) = stats["aborts"]
    assert left["route"] == "/chat/completions"
    assert (left["model"], left["key"], left["events"]) == ("m", "k", 2)
    assert 0 < left["after_s"] < 10


async def test_orders_count_and_choose_whom_they_strike(start: Start, http: aiohttp.ClientSession) -> None:
    served = await start(SimulatorConfig(faults="429:times=2,500:model=bad,503:key=xyz"))
    path, body = _request("openai", is_stream=False)
    assert [(await _ask(http, served, (path, body))).status for _ in range(3)] == [429, 429, 200]
    assert (await _ask(http, served, (path, {**body, "model": "bad"}))).status == 500
    async with http.post(served.origin + path, json=body, headers={"authorization": "Bearer sk-xyz"}) as answer:
        assert answer.status == 503
    one, other = "429:times=1,id=a", "429:times=1,id=b"
    statuses = [(await _ask(http, served, (path, body), order)).status for order in (one, one, other, other)]
    assert statuses == [429, 200, 429, 200]
    async with http.get(f"{served.origin}/_simulator/stats") as answer:
        stats = await answer.json()
    assert stats["models"]["bad"] == {"500": 1}
    assert stats["keys"]["sk-xyz"] == {"503": 1}
    assert stats["faults"] == {"429": 4, "500": 1, "503": 1}


async def test_an_order_that_is_not_understood_is_a_bad_request(simulated: Served, http: aiohttp.ClientSession) -> None:
    for protocol in PROTOCOLS:
        got = await _ask(http, simulated, _request(protocol), "explode")
        assert got.status == 400
        assert "x-simulate: faults: 'explode' is unknown" in got.text


async def test_a_prompt_can_order_a_fault_through_any_gateway(simulated: Served, http: aiohttp.ClientSession) -> None:
    for protocol in PROTOCOLS:
        got = await _ask(http, simulated, _request(protocol, "hi [simulate 503:retry=2] there"))
        assert got.status == 503


async def test_hundreds_of_slow_streams_run_at_once(start: Start) -> None:
    served = await start(SimulatorConfig(chunk_interval_s=0.1))
    count = 400
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        answers = await asyncio.gather(*(_ask(http, served, _request("openai")) for _ in range(count)))
    assert all(answer.text.endswith("[DONE]\n\n") for answer in answers)
    assert served.app.stats.max_in_flight == count
    assert served.app.stats.in_flight == 0
