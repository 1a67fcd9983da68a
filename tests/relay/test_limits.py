"""Limits hold, a refusal costs nothing, waiting is fair and bounded, a failing channel is left alone for a while."""

import asyncio
from collections.abc import Callable

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.upstream import DEADLINE_S, Request, Upstream, Wire, answers, drops, refuses
from tidemill.kernel import clock
from tidemill.metering.contracts import CallStatus
from tidemill.platform.db import Database
from tidemill.platform.telemetry.metrics import exposition
from tidemill.relay.contracts import ChannelChange, ChannelStatus
from tidemill.relay.ports import CallerLimits


class Gate:
    """Holds every request of a service until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = 0
        self.most = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.open.wait()
        self.inside -= 1
        await answers(request, wire)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition()`` holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def call(rig: Rig, user: int = 1) -> int:
    async with rig.post(headers={"authorization": f"Bearer user-{user}"}) as answer:
        await answer.read()
        return int(answer.status)


async def test_a_callers_minute_is_exact_and_a_refusal_takes_no_part_of_it(
    memory_database: Database, services: Start
) -> None:
    async with relay_rig(memory_database, limits_of=lambda _: CallerLimits(rpm=2)) as rig:
        service = await services()
        await rig.channel(service)
        async with rig.post() as answer:
            assert answer.headers["x-ratelimit-limit-requests"] == "2"
            assert answer.headers["x-ratelimit-remaining-requests"] == "1"
        assert await call(rig) == 200
        for _ in range(3):
            async with rig.post() as answer:
                assert answer.status == 429
                assert (await answer.json())["error"]["code"] == "rate_limit_exceeded"
                assert 55 <= int(answer.headers["retry-after"]) <= 60
        assert await call(rig, user=2) == 200, "another caller has a minute of its own"
        with clock.shifted(61):
            assert await call(rig) == 200
            assert await call(rig) == 200
            assert await call(rig) == 429
    statuses = [event.status for event in rig.ledger.events]
    assert statuses.count(CallStatus.REFUSED) == 4
    assert all(event.tokens.total == 0 for event in rig.ledger.events if event.status is CallStatus.REFUSED)
    assert len(service.seen) == 5


async def test_a_callers_calls_at_once_are_bounded(memory_database: Database, services: Start) -> None:
    gate = Gate()
    async with relay_rig(memory_database, caller_max_concurrent=1) as rig:
        await rig.channel(await services(gate))
        first = asyncio.ensure_future(call(rig))
        await until(lambda: gate.inside == 1)
        assert await call(rig) == 429
        gate.open.set()
        assert await first == 200
        assert await call(rig) == 200


async def test_a_channel_is_never_past_its_limit_and_who_waits_is_served_in_turn(
    memory_database: Database, services: Start
) -> None:
    gate = Gate()
    order: list[str] = []

    async with relay_rig(memory_database) as rig:
        service = await services(gate)
        await rig.channel(service, max_concurrent=1)
        busy = asyncio.ensure_future(call(rig, user=9))
        await until(lambda: gate.inside == 1)

        async def named(name: str, user: int) -> None:
            assert await call(rig, user) == 200
            order.append(name)

        waiting: list[asyncio.Future[None]] = []
        for count, (name, user) in enumerate([("a1", 1), ("a2", 1), ("a3", 1), ("b1", 2)], 1):
            waiting.append(asyncio.ensure_future(named(name, user)))
            await until(lambda wanted=count: rig.context.board.waiting == wanted)
        gate.open.set()
        await asyncio.gather(busy, *waiting)
    assert gate.most == 1
    assert order == ["a1", "b1", "a2", "a3"], "one caller's queue does not shut another out"


async def test_the_wait_for_a_slot_is_bounded_in_time_and_number(memory_database: Database, services: Start) -> None:
    gate = Gate()
    async with relay_rig(memory_database, relay_wait_s=0.1, max_waiting=1) as rig:
        await rig.channel(await services(gate), max_concurrent=1)
        busy = asyncio.ensure_future(call(rig))
        await until(lambda: gate.inside == 1)
        waits = asyncio.ensure_future(call(rig))
        await until(lambda: rig.context.board.waiting == 1)
        async with rig.post() as answer:
            assert answer.status == 429
            assert "max_waiting" in (await answer.json())["error"]["message"]
        assert await waits == 429
        gate.open.set()
        assert await busy == 200
        assert rig.context.board.waiting == 0


async def test_a_channels_rpm_sends_calls_to_the_next_tier(rig: Rig, services: Start) -> None:
    first, second = await services(), await services()
    await rig.channel(first, "first", priority=5, rpm=1)
    await rig.channel(second, "second", priority=1)
    for _ in range(3):
        assert await call(rig) == 200
    assert (len(first.seen), len(second.seen)) == (1, 2)


async def test_weights_are_kept_and_zero_takes_no_traffic(rig: Rig, services: Start) -> None:
    heavy, light, none = await services(), await services(), await services()
    await rig.channel(heavy, "heavy", weight=9)
    await rig.channel(light, "light", weight=1)
    await rig.channel(none, "none", weight=0)
    for _ in range(60):
        assert await call(rig) == 200
    assert len(none.seen) == 0
    assert len(heavy.seen) > len(light.seen)
    assert len(heavy.seen) + len(light.seen) == 60


async def test_a_dead_service_is_failed_over_and_then_left_alone(rig: Rig, services: Start) -> None:
    dead, alive = await services(drops), await services()
    await rig.channel(dead, "dead", priority=9)
    await rig.channel(alive, "alive")
    for _ in range(20):
        assert await call(rig) == 200
    assert len(dead.seen) == 5, "five failures open the breaker"
    view = rig.context.board.services("m")[0]
    assert (view.channel, view.breaker, view.errors) == ("dead", "open", 5)


async def test_one_probe_finds_out_that_a_service_is_back(rig: Rig, services: Start) -> None:
    flaky = await services(drops)
    await rig.channel(flaky, "flaky")
    statuses = [await call(rig) for _ in range(6)]
    assert set(statuses) <= {502, 503}
    assert statuses[-1] == 503
    async with rig.post() as answer:
        assert (await answer.json())["error"]["code"] == "no_channel_available"
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    gate = Gate()
    flaky.otherwise = gate
    with clock.shifted(6):
        probe = asyncio.ensure_future(call(rig))
        await until(lambda: gate.inside == 1)
        assert await call(rig) == 503, "one probe at a time"
        gate.open.set()
        assert await probe == 200
        assert await call(rig) == 200
    assert rig.context.board.services("m")[0].breaker == "closed"


async def test_a_clients_fault_never_opens_the_breaker(rig: Rig, services: Start) -> None:
    await rig.channel(await services(refuses(422)))
    for _ in range(10):
        assert await call(rig) == 422
    assert rig.context.board.services("m")[0].breaker == "closed"


async def test_a_storm_of_429_goes_elsewhere_and_retry_after_is_honoured(rig: Rig, services: Start) -> None:
    storm, calm = await services(refuses(429, headers=[("retry-after", "30")])), await services()
    await rig.channel(storm, "storm", priority=9)
    await rig.channel(calm, "calm")
    for _ in range(10):
        assert await call(rig) == 200
    assert len(storm.seen) == 1, "it asked for 30 seconds of peace"
    assert rig.context.board.services("m")[0].breaker == "closed"
    with clock.shifted(31):
        assert await call(rig) == 200
    assert len(storm.seen) == 2


async def test_a_429_of_the_only_channel_reaches_the_client_with_its_retry_after(rig: Rig, services: Start) -> None:
    await rig.channel(await services(refuses(429, "slow down", headers=[("retry-after", "7")])))
    async with rig.post() as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        error = (await answer.json())["error"]
        assert error["code"] == "upstream_rate_limited"
        assert "slow down" in error["message"]


async def test_a_broken_connection_is_tried_again_on_the_same_channel(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service)
    service.scripts.extend([drops, answers])
    assert await call(rig) == 200
    assert len(service.seen) == 2
    assert (await rig.ledger.wait_for(1))[0].retries == 1


async def test_a_stale_connection_costs_no_try(rig: Rig, services: Start) -> None:
    """The service closed an idle connection just as it was used again: the client asks once more by itself."""
    service = await services()
    await rig.channel(service)
    service.scripts.extend([answers, drops, answers])
    assert [await call(rig), await call(rig)] == [200, 200]
    assert len(service.seen) == 3
    assert (await rig.ledger.wait_for(2))[1].retries == 0


async def test_a_service_that_does_not_answer_in_time_is_504(rig: Rig, services: Start) -> None:
    async def never(request: Request, wire: Wire) -> None:
        del request
        await wire.caller_hangs_up()

    await rig.channel(await services(never), timeout_s=0.1)
    async with asyncio.timeout(DEADLINE_S), rig.post() as answer:
        assert answer.status == 504
        assert (await answer.json())["error"]["code"] == "upstream_timeout"
    assert (await rig.ledger.wait_for(1))[0].status is CallStatus.TIMEOUT


@pytest.mark.parametrize("status", ["draining", "disabled"])
async def test_a_channel_taken_out_ends_its_calls_and_takes_no_new_ones(
    rig: Rig, services: Start, status: ChannelStatus
) -> None:
    gate = Gate()
    view = await rig.channel(await services(gate))
    under_way = asyncio.ensure_future(call(rig))
    await until(lambda: gate.inside == 1)
    await rig.context.channels.set_status(ADMIN, view.id, status, None)
    assert await call(rig) == 404
    gate.open.set()
    assert await under_way == 200


async def test_who_waits_is_let_in_when_a_limit_is_raised_and_told_when_the_channel_goes(
    rig: Rig, services: Start
) -> None:
    gate = Gate()
    service: Upstream = await services(gate)
    view = await rig.channel(service, max_concurrent=1)
    first = asyncio.ensure_future(call(rig))
    await until(lambda: gate.inside == 1)
    second = asyncio.ensure_future(call(rig))
    await until(lambda: rig.context.board.waiting == 1)
    await rig.context.channels.change(ADMIN, view.id, ChannelChange(max_concurrent=2), None)
    await until(lambda: gate.inside == 2)
    third = asyncio.ensure_future(call(rig))
    await until(lambda: rig.context.board.waiting == 1)
    await rig.context.channels.delete(ADMIN, view.id, None)
    assert await third == 404
    gate.open.set()
    assert [await first, await second] == [200, 200]


async def test_a_model_with_its_own_words_is_found(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, models={"m": "a", "n": "b"})
    async with rig.post({**ASK, "model": "n"}) as answer:
        assert answer.status == 200
    assert service.seen[0].body["model"] == "b"


async def test_figures_tell_how_calls_went_and_channels_stand(rig: Rig, services: Start) -> None:
    def lines() -> set[str]:
        return set(exposition().decode().splitlines())

    await rig.channel(await services(drops), "broken")
    before = lines()
    for _ in range(6):
        await call(rig)
    new = lines() - before
    assert 'tidemill_channel_breaker{channel="broken"} 2.0' in new
    assert any(
        line.startswith('tidemill_relay_calls_total{kind="chat",provider="openai",status="upstream_error"}')
        for line in new
    )
    assert 'tidemill_channel_in_flight{channel="broken"} 0.0' in lines()
    assert "tidemill_relay_waiting 0.0" in lines()


async def test_a_client_that_dawdles_with_its_body_is_let_go(memory_database: Database) -> None:
    async with relay_rig(memory_database, body_timeout_s=0.1) as rig:
        host, port = rig.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer user-1\r\n"
            b"content-length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(DEADLINE_S):
            assert b" 408 " in await reader.readline()
        writer.close()
