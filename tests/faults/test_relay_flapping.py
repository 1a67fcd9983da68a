"""One of two channels comes and goes in every way there is: no client sees anything of it."""

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import aiohttp
import pytest

from tests.faults.relay_rig import EVERY_PROTOCOL, Home, Relay, asked_of, provider_of, settle_in, until
from tests.fixtures.ports import free_port
from tests.fixtures.processes import ServerFactory, Simulator, SimulatorFactory
from tests.relay.tongues import ALL, Client
from tidemill.wire.canonical_parts import Dialect

pytestmark = pytest.mark.xdist_group("relay flapping")
# Pauses so short that the flapping channel is tried again and again.
SETTINGS = {"TIDEMILL_GATEWAY__BREAKER_PAUSE_S": "0.02", "TIDEMILL_GATEWAY__BREAKER_MAX_PAUSE_S": "0.05"}
WORDS = "mills turn while the water runs"
CALLS_A_PHASE = 24
GONE = "gone"
PHASES = (
    "503", "500", "429", "overloaded", "html", "empty", "error200",
    "cut:at=head", "cut:at=start", "bytes:after=0", "error:after=0", GONE, "", "503:0.5",
)  # fmt: skip
# Comes last: a channel whose only key is not taken is disabled.
LAST = "auth"


@pytest.fixture(scope="module")
def eager_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    factory = ServerFactory(tmp_path_factory.mktemp("eager"))
    try:
        yield settle_in(factory(SETTINGS).start())
    finally:
        factory.close()


class Flapping:
    """A service that is told how to be, or killed and started anew at the same address."""

    def __init__(self, make_simulator: SimulatorFactory, http: aiohttp.ClientSession) -> None:
        self._make = make_simulator
        self._http = http
        self._port = free_port()
        self.running: Simulator = self._start()

    def _start(self) -> Simulator:
        return self._make(*EVERY_PROTOCOL, "--port", str(self._port), "--retry-after", "0.02")

    async def be(self, phase: str) -> None:
        """Enter a phase."""
        if phase == GONE:
            self.running.kill()
            return
        if self.running.process.poll() is not None:
            self.running = await asyncio.to_thread(self._start)
        url = f"{self.running.announced['origin']}/_simulator/faults"
        async with self._http.post(url, json={"faults": phase}) as answer:
            assert answer.status == 200


class Callers:
    """Clients that ask again and again, and must always get the whole answer."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.done = 0
        self.over = False
        self.failed: list[Any] = []

    async def ask(self, model: str, client: Dialect, *, stream: bool) -> None:
        """Ask until it is over."""
        speaker = Client(self._relay, client)
        request = asked_of(model, client, f"Reply with exactly: {WORDS}", stream=stream)
        while not self.over:
            told = await speaker.ask(request, self._relay.key)
            self.done += 1
            if (told.status, told.text, told.fault, told.finished) != (200, WORDS, None, True):
                self.failed.append((client, model, stream, told.status, told.raw[-500:]))


@pytest.mark.parametrize("seed", [7])
async def test_no_client_sees_a_channel_flap(
    eager_home: Home, make_simulator: SimulatorFactory, http: aiohttp.ClientSession, seed: int
) -> None:
    phases = list(PHASES)
    random.Random(seed).shuffle(phases)  # noqa: S311 - an order, not a secret
    relay = Relay(eager_home, http)
    flapping, steady = Flapping(make_simulator, http), make_simulator(*EVERY_PROTOCOL)
    models: dict[str, int] = {}
    for behind in ALL:
        model = relay.new_model()
        models[model] = relay.channel(flapping.running, model, priority=9, **provider_of(behind))
        relay.channel(steady, model, **provider_of(behind))
    callers = Callers(relay)

    def errors() -> int:
        return sum(relay.state(channel)["errors"] for channel in models.values())

    def was_met(least_done: int, least_errors: int) -> bool:
        return bool(callers.failed) or (callers.done >= least_done and errors() >= least_errors)

    def are_disabled() -> bool:
        return {relay.state(channel)["status"] for channel in models.values()} == {"auto_disabled"}

    async with asyncio.TaskGroup() as group:
        for number, client in enumerate(ALL):
            for stream in (False, True):
                model = list(models)[(number + stream) % len(ALL)]
                group.create_task(callers.ask(model, client, stream=stream))
        for phase in phases:
            least = callers.done + CALLS_A_PHASE, errors() + bool(phase)
            await flapping.be(phase)
            await until(partial(was_met, *least), f"calls while the service is {phase or 'well'}")
            assert not callers.failed, phase
        await flapping.be(LAST)
        await until(are_disabled, "the channels without a good key disabled")
        callers.over = True
    assert not callers.failed
