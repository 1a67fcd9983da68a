"""What services do wrong, one by one: the client's status, the record, and whether it counts against the channel."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from msgspec import Struct

from tests.faults.relay_rig import Home, Relay, settle_in
from tests.fixtures.ports import free_port
from tests.fixtures.processes import ServerFactory
from tests.relay.upstream import ANSWER, DEADLINE_S, ROLE, Request, Script, Wire, answers, chunk, upstream

pytestmark = pytest.mark.xdist_group("relay taxonomy")
# One failure that counts opens the breaker, so that one call shows whether it does.
SETTINGS = {
    "TIDEMILL_GATEWAY__BREAKER_FAILURES": "1",
    "TIDEMILL_GATEWAY__FIRST_TOKEN_TIMEOUT_S": "2",
    "TIDEMILL_GATEWAY__IDLE_TIMEOUT_S": "2",
    "TIDEMILL_GATEWAY__CONNECT_TIMEOUT_S": "1",
    "TIDEMILL_GATEWAY__JOURNAL_FLUSH_S": "0.05",
}
TIMEOUT_S = 2.5  # of a channel, for plain calls


@pytest.fixture(scope="module", params=["http1", "aiohttp"])
def http_client(request: pytest.FixtureRequest) -> str:
    """Give the HTTP client that the server uses."""
    return str(request.param)


@pytest.fixture(scope="module")
def strict_home(http_client: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    factory = ServerFactory(tmp_path_factory.mktemp("strict"))
    try:
        yield settle_in(factory({**SETTINGS, "TIDEMILL_GATEWAY__HTTP_CLIENT": http_client}).start())
    finally:
        factory.close()


@pytest.fixture
def strict(strict_home: Home, http: aiohttp.ClientSession) -> Relay:
    return Relay(strict_home, http)


class Meant(Struct, frozen=True):
    """What a failure means: the client's status and code, the record's status, whether the channel is blamed."""

    status: int
    code: str
    recorded: str = "upstream_error"
    counts: bool = True


FAILED = Meant(502, "upstream_failed")
TIMED_OUT = Meant(504, "upstream_timeout", "timeout")
OVERLOADED = Meant(503, "upstream_failed")
BUSY = Meant(429, "upstream_rate_limited", counts=False)


def refused(status: int, code: str = "upstream_refused") -> Meant:
    """Return the meaning of a client's own fault, with the status of the service."""
    return Meant(status, code, "client_error", counts=False)


def sends(*pieces: bytes, then: Callable[[Wire], Awaitable[None]] | None = None) -> Script:
    """Send raw bytes, then hang up unless told otherwise."""

    async def script(request: Request, wire: Wire) -> None:
        del request
        for piece in pieces:
            await wire.raw(piece)
        if then is None:
            wire.drop()
        else:
            await then(wire)

    return script


def closes(wire: Wire) -> Awaitable[None]:
    """End the connection in order, with all that was sent delivered."""
    wire.left = True
    return asyncio.sleep(0)


def silence(wire: Wire) -> Awaitable[None]:
    return wire.caller_hangs_up()


async def hangs_up(wire: Wire) -> None:
    wire.drop()


def says(body: Any, status: int = 200) -> Script:
    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.json(body, status)

    return script


def streams(*events: Any, then: Callable[[Wire], Awaitable[None]] | None = None, done: bool = False) -> Script:
    """Stream events (bytes: as they are), then end the body, or go on as told."""

    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.begin_stream()
        for event in events:
            await (wire.piece(event) if isinstance(event, bytes) else wire.event(event))
        if then is None:
            await wire.end_stream(done=done)
        else:
            await then(wire)

    return script


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "x", **fields}}


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"

EITHER: dict[str, tuple[Script, Meant]] = {
    "a hang-up at once": (sends(), FAILED),
    "TLS in answer to plain text": (sends(TLS_ALERT, then=closes), FAILED),
    "no HTTP at all": (sends(b"\x00\xff\xfe garbage \r\n\r\n" * 20, then=closes), FAILED),
    "a status line of nonsense": (sends(b"HTTP/1.1 abc OK\r\n\r\n", then=closes), FAILED),
    "a header without end": (sends(_HEAD + b"x-long: " + b"y" * 100_000, then=closes), FAILED),
    "half the headers, then a hang-up": (sends(_HEAD), FAILED),
    "half the headers, then silence": (sends(_HEAD, then=silence), TIMED_OUT),
    "silence": (sends(then=silence), TIMED_OUT),
    "a head, then silence": (sends(_HEAD + b"content-length: 10\r\n\r\n", then=silence), TIMED_OUT),
    "an empty 200": (sends(_HEAD + b"content-length: 0\r\n\r\n", then=closes), FAILED),
    "chunks of nonsense": (sends(_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc", then=closes), FAILED),
    "less than announced": (sends(_HEAD + b"content-length: 999\r\n\r\n{", then=closes), FAILED),
    "a redirect": (sends(b"HTTP/1.1 302 X\r\nlocation: /v2\r\ncontent-length: 0\r\n\r\n", then=closes), FAILED),
    "a page": (says(b"<html>502 Bad Gateway</html>", 502), FAILED),
    "a page behind a 200": (says(b"<html>hello</html>"), FAILED),
    "500": (says(error(), 500), FAILED),
    "503": (says(error(), 503), OVERLOADED),
    "529": (says(error(), 529), OVERLOADED),
    "408": (says(error(), 408), TIMED_OUT),
    "429": (says(error(), 429), BUSY),
    "400": (says(error(code="bad"), 400), refused(400, "bad")),
    "404": (says(error(), 404), refused(404)),
    "422": (says({"detail": [{"msg": "no", "loc": ["body", "x"]}]}, 422), refused(422)),
}
PLAIN: dict[str, tuple[Script, Meant]] = {
    "an error behind a 200": (says(error()), FAILED),
    "an error of the client's behind a 200": (says(error(code=400)), refused(400, "400")),
    "an overload behind a 200": (says(error(code=503)), OVERLOADED),
    "a limit behind a 200": (says(error(code=429)), BUSY),
    "an error as vLLM has it": (says({"object": "error", "message": "no", "code": 500}), FAILED),
    "half an answer, then a hang-up": (sends(_HEAD + b"content-length: 999\r\n\r\n" + b"{" * 99), FAILED),
}
STREAMED: dict[str, tuple[Script, Meant]] = {
    "an empty stream": (streams(), FAILED),
    "nothing but the end": (streams(done=True), FAILED),
    "a role, then a hang-up": (streams(ROLE, then=hangs_up), FAILED),
    "a role, then silence": (streams(ROLE, then=silence), TIMED_OUT),
    "an error first": (streams(error()), FAILED),
    "an error after the role": (streams(ROLE, error(code=503)), OVERLOADED),
    "a client's error first": (streams(error(code=400)), refused(400, "400")),
    "events of nonsense": (streams(b"data: {nonsense\n\n", b"data: \xff\xfe\n\n"), FAILED),
}
# What a service does once its first word has been heard.
AFTER_A_WORD: dict[str, tuple[Callable[[Wire], Awaitable[None]], Meant]] = {
    "a hang-up": (hangs_up, FAILED),
    "an end without a reason": (lambda wire: wire.end_stream(done=False), FAILED),
    "an end within a chunk": (lambda wire: wire.raw(b"ff\r\ndata: {"), FAILED),
    "chunks of nonsense": (lambda wire: wire.raw(b"zz\r\n"), FAILED),
    "an error": (lambda wire: wire.event(error(code=500)), FAILED),
    "an overload": (lambda wire: wire.event(error(code=503)), OVERLOADED),
    "silence": (silence, TIMED_OUT),
}


async def settled(relay: Relay, model: str, channel: int, meant: Meant) -> dict[str, Any]:
    """Check record and channel, and that a call says the breaker's state: open only for what counts."""
    (row,) = await relay.usage(model, 1)
    assert (row["status"], row["http_status"]) == (meant.recorded, meant.status)
    state = relay.state(channel)
    assert state["in_flight"] == 0
    assert state["breaker"] == ("open" if meant.counts else "closed")
    assert (state["errors"] > 0) is (meant.recorded != "client_error")
    return row


Check = Callable[[str, int], Awaitable[None]]


async def each(relay: Relay, cases: Mapping[str, tuple[Script, Check]]) -> None:
    """Put each case's service behind a channel of its own, then look into all of them at once."""
    async with AsyncExitStack() as stack, asyncio.timeout(DEADLINE_S):
        places: list[tuple[str, Check, str, int]] = []
        for what, (script, check) in cases.items():
            served, model = await stack.enter_async_context(upstream(script)), relay.new_model()
            places.append((what, check, model, relay.channel(served.url, model, timeout_s=TIMEOUT_S)))

        async def look(what: str, check: Check, model: str, channel: int) -> None:
            try:
                await check(model, channel)
            except BaseException as wrong:
                wrong.add_note(f"the service's fault: {what}")
                raise

        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(look(*place))


def refuses(relay: Relay, meant: Meant, *, stream: bool) -> Check:
    """Check that a call is answered with an error and recorded without tokens."""

    async def check(model: str, channel: int) -> None:
        async with relay.post(model, stream=stream) as answer:
            body = await answer.json()
            assert (answer.status, str(body["error"]["code"])) == (meant.status, meant.code), body
            assert body["error"]["message"]
        row = await settled(relay, model, channel, meant)
        assert row["total_tokens"] == 0

    return check


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_before_a_word(strict: Relay, *, stream: bool) -> None:
    cases = {**EITHER, **(STREAMED if stream else PLAIN)}
    await each(
        strict, {what: (script, refuses(strict, meant, stream=stream)) for what, (script, meant) in cases.items()}
    )


async def test_after_the_first_word_of_a_stream(strict: Relay, http_client: str) -> None:
    cases = dict(AFTER_A_WORD)
    if http_client == "aiohttp":  # which takes nonsense between two chunks for silence
        cases["chunks of nonsense"] = cases["chunks of nonsense"][0], TIMED_OUT

    def case(goes_on: Callable[[Wire], Awaitable[None]], meant: Meant) -> tuple[Script, Check]:
        heard = asyncio.Event()

        async def script(request: Request, wire: Wire) -> None:
            del request
            await wire.begin_stream()
            await wire.event(ROLE)
            await wire.event(chunk("hel"))
            await heard.wait()
            await goes_on(wire)
            wire.left = True

        async def check(model: str, channel: int) -> None:
            async with strict.post(model, stream=True) as answer:
                assert answer.status == 200
                raw = b""
                while b"hel" not in raw:
                    raw += await answer.content.readany()
                heard.set()
                last = (await answer.text()).strip()
                assert json.loads(last.removeprefix("data: "))["error"]["code"] == meant.code
            row = await settled(strict, model, channel, meant)
            assert (bool(row["estimated"]), row["response_tokens"]) == (True, 1)

        return script, check

    await each(strict, {what: case(goes_on, meant) for what, (goes_on, meant) in cases.items()})


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nobody_at_home_or_nobody_who_speaks_tls(strict: Relay, scheme: str) -> None:
    model = strict.new_model()
    async with upstream(answers) as served, asyncio.timeout(DEADLINE_S):
        address = f"http://127.0.0.1:{free_port()}" if scheme == "http" else served.url.replace("http:", "https:")
        channel = strict.channel(address, model, timeout_s=5)
        async with strict.post(model) as answer:
            assert answer.status == 502
            said = await answer.text()
            assert "127.0.0.1" not in said, "callers may not know where channels lead"
        await settled(strict, model, channel, FAILED)


async def test_what_follows_an_answer_is_not_taken_for_the_next(strict: Relay) -> None:
    whole = json.dumps(ANSWER).encode()
    more = _HEAD + b"content-length: 17\r\n\r\n" + b'{"stolen": "yes"}'
    script = sends(_HEAD + b"content-length: %d\r\n\r\n" % len(whole) + whole + more, then=lambda _: asyncio.sleep(0))

    async def check(model: str, channel: int) -> None:
        for _ in range(3):
            async with strict.post(model) as answer:
                assert answer.status == 200
                assert (await answer.json())["choices"][0]["message"]["content"] == "hello"
        assert strict.state(channel)["errors"] == 0

    await each(strict, {"two answers": (script, check)})
