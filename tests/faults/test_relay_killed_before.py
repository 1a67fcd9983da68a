"""A model service is killed before its first byte of content: another channel takes over and no client sees it."""

import asyncio

import pytest

from tests.faults.relay_rig import EVERY_PROTOCOL, Relay, asked_of, heard, provider_of, until
from tests.fixtures.processes import SimulatorFactory
from tests.relay.tongues import ALL, Client, Told
from tests.relay.upstream import DEADLINE_S
from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_parts import Dialect

pytestmark = pytest.mark.xdist_group("relay killed before")
WORDS = "mills turn while the water runs"
SAYS = f"Reply with exactly: {WORDS}"


def channels(relay: Relay, doomed: str, heir: str) -> list[tuple[str, int]]:
    """Return models whose first channel is the doomed service and whose second another, in another protocol."""
    found: list[tuple[str, int]] = []
    for number, behind in enumerate(ALL):
        model = relay.new_model()
        relay.channel(doomed, model, priority=9, **provider_of(behind))
        found.append((model, relay.channel(heir, model, **provider_of(ALL[(number + 1) % len(ALL)]))))
    return found


async def test_a_killed_service_is_not_noticed_by_any_client(relay: Relay, make_simulator: SimulatorFactory) -> None:
    doomed = make_simulator(*EVERY_PROTOCOL, "--latency", "600")
    heir = make_simulator(*EVERY_PROTOCOL)
    models = channels(relay, doomed.announced["origin"], heir.announced["origin"])
    asking: list[asyncio.Task[Told]] = []
    async with asyncio.TaskGroup() as group:
        for model, _ in models:
            for dialect in ALL:
                for stream in (False, True):
                    request = asked_of(model, dialect, SAYS, stream=stream)
                    asking.append(group.create_task(Client(relay, dialect).ask(request, relay.key)))
        await relay.in_flight(doomed, len(asking))
        doomed.kill()
    for told in (task.result() for task in asking):
        assert (told.status, told.text, told.stop, told.finished) == (200, WORDS, Stop.END, True), told.raw
        assert told.fault is None
    for model, heirs_id in models:
        for row in await relay.usage(model, 2 * len(ALL)):
            assert (row["status"], row["channel_id"], row["retries"]) == ("ok", heirs_id, 1)
            assert not row["estimated"]


async def test_a_service_killed_after_keep_alives_is_not_noticed_either(
    relay: Relay, make_simulator: SimulatorFactory
) -> None:
    doomed = make_simulator(*EVERY_PROTOCOL, "--latency", "600")
    heir = make_simulator(*EVERY_PROTOCOL)
    models = channels(relay, doomed.announced["origin"], heir.announced["origin"])
    alive: list[bytes] = []

    async def call(model: str, dialect: Dialect) -> Told:
        request = asked_of(model, dialect, SAYS, stream=True)
        async with Client(relay, dialect).open(request, relay.key) as answer:
            assert answer.status == 200
            alive.append(await answer.content.readany())
            return heard(dialect, alive[-1] + await answer.read())

    async with asyncio.TaskGroup() as group, asyncio.timeout(DEADLINE_S):
        asking = [group.create_task(call(model, dialect)) for model, _ in models for dialect in ALL]
        await relay.in_flight(doomed, len(asking))
        # Each status line is out by now, and behind it a comment that says nothing.
        await until(lambda: len(alive) == len(asking), "a keep-alive in every stream")
        doomed.kill()
    for told in (task.result() for task in asking):
        assert (told.text, told.stop, told.finished, told.fault) == (WORDS, Stop.END, True, None), told.raw
    for model, heirs_id in models:
        for row in await relay.usage(model, len(ALL)):
            assert (row["status"], row["channel_id"], row["retries"]) == ("ok", heirs_id, 1)
