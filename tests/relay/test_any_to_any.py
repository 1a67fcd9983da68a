"""Every client protocol reaches every provider: four times four, plain and streamed, well and badly."""

import asyncio
import json

import msgspec
import pytest

from tests.relay.rig import Rig, relay_rig
from tests.relay.tongues import (
    ALL,
    WEATHER,
    Client,
    Told,
    asked,
    pictured,
    provider,
    shaped,
    streamed,
    thoughtful,
)
from tests.relay.upstream import DEADLINE_S
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database
from tidemill.simulator.app import Controls
from tidemill.wire.canonical import Request, Stop, ToolChoice
from tidemill.wire.canonical_fault import Kind
from tidemill.wire.canonical_parts import Dialect, Text, ToolResult, Turn

pytestmark = pytest.mark.parametrize(
    ("client", "behind"), [(c, p) for c in ALL for p in ALL], ids=[f"{c}-to-{p}" for c in ALL for p in ALL]
)
SAYS = "Reply with exactly: mills turn"


async def both(speaker: Client, request: Request) -> list[Told]:
    """Return the plain and the streamed answer."""
    return [await speaker.ask(request), await speaker.ask(streamed(request))]


async def test_a_call_is_answered_metered_and_named(rig: Rig, client: Dialect, behind: Dialect) -> None:
    async with provider(rig, behind) as served:
        for told in await both(Client(rig, client), asked(client, SAYS)):
            assert (told.status, told.text, told.stop, told.finished) == (200, "mills turn", Stop.END, True)
            assert told.headers["x-request-id"]
            if client is not behind:
                assert told.answer.model == "m", "the client never learns the upstream's own name"
        first, second = await rig.ledger.wait_for(2)
        assert {event.status for event in (first, second)} == {CallStatus.OK}
        assert not first.tokens.estimated
        assert not second.tokens.estimated
        assert (first.stream, second.stream) == (False, True)
        assert first.tokens.request > 0
        assert first.tokens == second.tokens
        assert served.app.stats.view(waiting=0, max_waiting=0)["keys"] == {"sk-up": {"200": 2}}


async def test_tools_are_called_in_parallel_and_their_results_come_back(
    rig: Rig, client: Dialect, behind: Dialect
) -> None:
    async with provider(rig, behind):
        speaker = Client(rig, client)
        request = asked(client, "Use get_weather for Paris and Rome.", tools=(WEATHER,))
        for told in await both(speaker, request):
            assert told.status == 200, told.raw
            assert [call.name for call in told.calls] == ["get_weather", "get_weather"]
            assert [json.loads(call.arguments) for call in told.calls] == [{"city": "Paris"}, {"city": "Rome"}]
            assert len({call.id for call in told.calls}) == 2
            assert told.stop is Stop.TOOLS
            results = tuple(
                ToolResult(call.id, (Text(f"{json.loads(call.arguments)['city']}: 21 C"),), call.name)
                for call in told.calls
            )
            turns = (*request.turns, Turn("assistant", told.answer.choices[0].parts), Turn("user", results))
            for after in await both(speaker, msgspec.structs.replace(request, turns=turns)):
                assert after.status == 200, after.raw
                assert "Paris: 21 C" in after.text
                assert "Rome: 21 C" in after.text


async def test_a_tool_can_be_forced(rig: Rig, client: Dialect, behind: Dialect) -> None:
    async with provider(rig, behind):
        forced = asked(client, "Hello.", tools=(WEATHER,), tool_choice=ToolChoice("required", ("get_weather",)))
        for told in await both(Client(rig, client), forced):
            assert [call.name for call in told.calls] == ["get_weather"], told.raw


async def test_a_picture_is_seen(rig: Rig, client: Dialect, behind: Dialect) -> None:
    async with provider(rig, behind):
        for told in await both(Client(rig, client), pictured(client)):
            assert "image/png, 8x8, 75 bytes" in told.text, told.raw


async def test_an_answer_fits_a_schema(rig: Rig, client: Dialect, behind: Dialect) -> None:
    async with provider(rig, behind):
        for told in await both(Client(rig, client), shaped(client)):
            assert told.text.startswith("{"), told.raw
            assert json.loads(told.text).keys() == {"city", "people"}


async def test_reasoning_is_shown(rig: Rig, client: Dialect, behind: Dialect) -> None:
    async with provider(rig, behind, thinks=True):
        for told in await both(Client(rig, client), thoughtful(client)):
            assert told.status == 200, told.raw
            if (client, behind) == (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES):
                assert not told.reasoning, (
                    "the Responses tell reasoning to who asks for a summary; chat has no word for it"
                )
            else:
                assert "sky blue" in told.reasoning, told.raw
            assert told.text
        for event in await rig.ledger.wait_for(2):
            assert event.tokens.reasoning > 0


async def test_why_the_model_stopped(rig: Rig, client: Dialect, behind: Dialect) -> None:
    async with provider(rig, behind):
        speaker = Client(rig, client)
        for told in await both(speaker, asked(client, "Count to 50.", max_tokens=20)):
            assert told.stop is Stop.LENGTH, told.raw
        for told in await both(speaker, asked(client, "Count to 50.", stop=("7",))):
            if Dialect.OPENAI_RESPONSES in {client, behind}:
                assert told.text.endswith("50"), "the Responses know no stop strings, so nobody is told of one"
            else:
                assert told.text.rstrip().endswith("6,"), told.raw
                assert told.stop in {Stop.STOP_STRING, Stop.END}


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("400", Kind.BAD_REQUEST, CallStatus.CLIENT_ERROR),
        ("429", Kind.RATE, CallStatus.UPSTREAM_ERROR),
        ("500", Kind.UPSTREAM, CallStatus.UPSTREAM_ERROR),
        ("overloaded", Kind.OVERLOADED, CallStatus.UPSTREAM_ERROR),
        ("context", Kind.CONTEXT_LENGTH, CallStatus.CLIENT_ERROR),
        ("error200", Kind.UPSTREAM, CallStatus.UPSTREAM_ERROR),
    ],
)
async def test_an_error_comes_in_the_clients_own_envelope(
    memory_database: Database, client: Dialect, behind: Dialect, fault: str, kind: Kind, status: CallStatus
) -> None:
    async with relay_rig(memory_database, retries=0) as rig, provider(rig, behind, faults=fault):
        for number, told in enumerate(await both(Client(rig, client), asked(client, SAYS))):
            assert told.status != 200, told.raw
            assert told.status != 401, "the channel's own key is no business of the client"
            assert told.fault is not None
            assert told.fault.kind is kind, told.raw
            assert told.fault.message
            assert told.headers["x-request-id"]
            assert ("request-id" in told.headers) is (client is Dialect.ANTHROPIC)
            if kind is Kind.RATE:
                assert told.headers["retry-after"] == "1"
                assert told.headers["retry-after-ms"] == "1000"
            event = (await rig.ledger.wait_for(number + 1))[number]
            assert event.status is status
            assert event.tokens.total == 0


async def test_a_key_of_ours_that_is_refused_is_no_business_of_the_client(
    rig: Rig, client: Dialect, behind: Dialect
) -> None:
    for number, request in enumerate((asked(client, SAYS), streamed(asked(client, SAYS)))):
        # The key is used no more after that: each call has a channel of its own.
        async with provider(rig, behind, f"c{number}", priority=number, faults="401"):
            told = await Client(rig, client).ask(request)
        assert told.status == 502, told.raw
        assert told.fault is not None
        assert told.fault.kind is Kind.UPSTREAM
        event = (await rig.ledger.wait_for(number + 1))[number]
        assert (event.status, event.tokens.total) == (CallStatus.UPSTREAM_ERROR, 0)


@pytest.mark.parametrize("fault", ["cut:at=start", "500", "error:after=0", "empty", "bytes:after=0", "cut:at=head"])
async def test_a_failure_before_content_is_unseen(rig: Rig, client: Dialect, behind: Dialect, fault: str) -> None:
    async with provider(rig, behind, "bad", priority=9, faults=fault), provider(rig, behind, "good"):
        told = await Client(rig, client).ask(streamed(asked(client, SAYS)))
        assert (told.status, told.text, told.finished) == (200, "mills turn", True), told.raw
        (event,) = await rig.ledger.wait_for(1)
        assert (event.channel, event.retries, event.status) == ("good", 1, CallStatus.OK)


@pytest.mark.parametrize("fault", ["cut:after=3", "error:after=3,as=500"])
async def test_a_stream_that_breaks_ends_in_the_protocols_own_error(
    rig: Rig, client: Dialect, behind: Dialect, fault: str
) -> None:
    async with provider(rig, behind, "bad", priority=9, faults=fault), provider(rig, behind, "good"):
        told = await Client(rig, client).ask(streamed(asked(client, "Count to 60.")))
        assert told.status == 200
        assert told.text
        assert told.fault is not None, told.raw
        assert not told.finished
        (event,) = await rig.ledger.wait_for(1)
        assert (event.channel, event.status) == ("bad", CallStatus.UPSTREAM_ERROR)
        assert event.tokens.request > 0
        assert event.tokens.response > 0


async def test_a_client_that_leaves_stops_the_provider_and_is_metered(
    memory_database: Database, client: Dialect, behind: Dialect
) -> None:
    async with relay_rig(memory_database) as rig, provider(rig, behind, chunk_interval_s=0.05) as served:
        async with Client(rig, client).open(streamed(asked(client, "Count to 2000."))) as answer:
            assert answer.status == 200
            await answer.content.readany()
        async with asyncio.timeout(DEADLINE_S):
            (event,) = await rig.ledger.wait_for(1)
        assert event.status is CallStatus.CLIENT_GONE
        # Gemini tells the usage so far with every chunk, so nothing needs to be estimated.
        assert event.tokens.estimated is (behind is not Dialect.GEMINI)
        assert event.tokens.request > 0
        async with asyncio.timeout(DEADLINE_S):
            while not served.app.stats.aborted:
                await asyncio.sleep(0.01)


async def test_one_failing_provider_yields_to_one_of_another_protocol(
    rig: Rig, client: Dialect, behind: Dialect
) -> None:
    other = ALL[(ALL.index(behind) + 1) % len(ALL)]
    async with provider(rig, behind, "bad", priority=9) as bad, provider(rig, other, "good"):
        bad.app.change(Controls(faults="500"))
        for told in await both(Client(rig, client), asked(client, SAYS)):
            assert (told.status, told.text) == (200, "mills turn"), told.raw
