"""Probes: what they ask, what they find, what they count for, and that two processes make one."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.relay.health.conftest import SETTINGS, Service, Start, Ward
from tests.relay.rig import ADMIN, relay_rig
from tests.relay.upstream import DEADLINE_S, Request, Wire, drops
from tidemill.platform.db import Database, Row
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.contracts import ChannelChange
from tidemill.relay.tables import channel_health


async def rows(ward: Ward) -> list[Row]:
    async with ward.db.read() as r:
        return list(await r.all(select(channel_health).order_by(channel_health.c.at)))


async def test_a_probe_asks_for_the_models_and_is_a_row(ward: Ward, services: Start) -> None:
    service = await services(Service())
    channel = await ward.rig.channel(service)
    await ward.probe()
    [request] = service.seen
    assert (request.path, request.raw) == ("/v1/models", b"")
    assert request.headers["authorization"] == "Bearer sk-upstream-secret"
    assert "content-type" not in request.headers
    [row] = await rows(ward)
    assert (row["channel_id"], row["ok"], row["reason"], row["error_rate"]) == (channel.id, True, None, None)
    assert row["latency_ms"] > 0
    assert ward.rig.ledger.events == []


async def test_a_model_to_probe_is_called_for_one_token(ward: Ward, services: Start) -> None:
    service = await services(Service())
    await ward.rig.channel(service, probe_model="m")
    await ward.rig.channel(service, name="two", probe_model="cheap-one")
    await ward.probe()
    bodies = sorted((request.body["model"], request.body["max_tokens"]) for request in service.seen)
    assert bodies == [("cheap-one", 1), ("upstream-model", 1)]
    events = await ward.rig.ledger.wait_for(2)
    assert {(event.surface, event.user_id) for event in events} == {("probe", 0)}


@pytest.mark.parametrize(
    ("provider", "path", "header"),
    [
        ("anthropic", "/v1/models", ("x-api-key", "sk-upstream-secret")),
        ("gemini", "/v1beta/models", ("x-goog-api-key", "sk-upstream-secret")),
        ("azure", "/openai/models?api-version=2024-10-21", ("api-key", "sk-upstream-secret")),
    ],
)
async def test_each_provider_is_asked_in_its_way(
    ward: Ward, services: Start, provider: str, path: str, header: tuple[str, str]
) -> None:
    service = await services(Service())
    await ward.rig.channel(service, provider=provider)
    await ward.probe()
    assert [request.path for request in service.seen] == [path]
    assert service.seen[0].headers[header[0]] == header[1]


@pytest.mark.parametrize(("status", "ok"), [(404, True), (429, True), (400, True), (500, False), (503, False)])
async def test_whatever_is_answered_is_a_sign_of_life_but_5xx(
    ward: Ward, services: Start, status: int, *, ok: bool
) -> None:
    script = Service()
    script.lists = status
    await ward.rig.channel(await services(script))
    await ward.probe()
    [row] = await rows(ward)
    assert (row["ok"], row["reason"]) == (ok, f"HTTP {status}")


async def test_failed_probes_open_the_breaker_and_a_good_one_closes_it(ward: Ward, services: Start) -> None:
    service = await services(drops)
    channel = await ward.rig.channel(service)
    for _ in range(2):
        await ward.probe()
    assert (await ward.channel(channel.id)).breaker != "closed"
    await ward.write_down()
    [alert] = await ward.open_alerts()
    assert (alert.kind, alert.severity, alert.subject_id) == ("channel_down", "critical", str(channel.id))
    service.otherwise = Service()
    await ward.probe()
    assert (await ward.channel(channel.id)).breaker == "closed"
    await ward.write_down()
    assert await ward.open_alerts() == []
    assert [event.kind for event in await ward.events(channel.id)] == ["opened", "closed"]
    assert [row["ok"] for row in await rows(ward)] == [False, False, True]


async def test_an_answer_that_never_comes_is_a_failure(
    ward: Ward, services: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.relay.health.probe.DEADLINE_S", 0.05)

    async def silent(request: Request, wire: Wire) -> None:
        del request
        await wire.caller_hangs_up()

    service = await services(silent)
    await ward.rig.channel(service)
    await ward.probe()
    [row] = await rows(ward)
    assert not row["ok"]
    assert row["reason"].startswith("no answer within")


async def test_the_error_rate_is_that_of_live_calls_since_the_probe_before(ward: Ward, services: Start) -> None:
    script = Service()
    await ward.rig.channel(await services(script))
    assert await ward.call() == 200
    script.calls = 500
    assert await ward.call() >= 500
    await ward.probe()
    await ward.probe()
    assert [row["error_rate"] for row in await rows(ward)] == [0.5, None]


async def test_keys_are_probed_in_turn(ward: Ward, services: Start) -> None:
    service = await services(Service())
    await ward.rig.channel(service, keys=["sk-number-one", "sk-number-two"])
    for _ in range(4):
        await ward.probe()
    keys = [request.headers["authorization"] for request in service.seen]
    assert sorted(set(keys)) == ["Bearer sk-number-one", "Bearer sk-number-two"]
    assert keys[:2] == keys[2:]


async def test_what_takes_no_calls_is_not_probed(ward: Ward, services: Start) -> None:
    service = await services(Service())
    channel = await ward.rig.channel(service)
    await ward.rig.context.channels.change(ADMIN, channel.id, ChannelChange(status="disabled"), None)
    await ward.probe()
    assert service.seen == []


async def test_a_channel_deleted_meanwhile_costs_the_others_nothing(ward: Ward, services: Start) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, wire: Wire) -> None:
        del request
        reached.set()
        await go_on.wait()
        await wire.json({"data": []})

    doomed = await ward.rig.channel(await services(slow), name="doomed")
    kept = await ward.rig.channel(await services(Service()), name="kept")
    async with asyncio.TaskGroup() as group:
        group.create_task(ward.probe())
        await asyncio.wait_for(reached.wait(), DEADLINE_S)
        await ward.rig.context.channels.delete(ADMIN, doomed.id, None)
        go_on.set()
    assert [row["channel_id"] for row in await rows(ward)] == [kept.id]


async def test_of_two_processes_one_probes_and_both_take_it_in(ward: Ward, services: Start) -> None:
    service = await services(drops)
    await ward.rig.channel(service)
    async with relay_rig(ward.db, **SETTINGS) as other_rig:
        other = Ward(other_rig, ward.db, GatewaySettings(**SETTINGS))
        for _ in range(2):
            await ward.probe()
            await other.probe()
            await other.probe_again()
        # The second process has counted each of the two failures once, without a call of its own.
        [state] = other.house.board.states.values()
        assert state.breaker.reason is not None
        await other.health.close()
    assert len(service.seen) == 2
    assert len(await rows(ward)) == 2


async def test_at_most_some_are_probed_at_once(ward: Ward, services: Start) -> None:
    now, most = 0, 0

    async def counting(request: Request, wire: Wire) -> None:
        nonlocal now, most
        del request
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        await wire.json({"data": []})

    service = await services(counting)
    for number in range(20):
        await ward.rig.channel(service, name=f"c{number}")
    await ward.probe()
    assert len(await rows(ward)) == 20
    assert 1 < most <= 8


async def test_the_loop_probes_by_itself(database: Database, services: Start) -> None:
    service = await services(Service())
    settings: dict[str, Any] = {**SETTINGS, "probe_interval_s": 0.2}
    async with relay_rig(database, **settings) as rig:
        ward = Ward(rig, database, GatewaySettings(**settings))
        channel = await rig.channel(service)
        ward.house.board.listeners.clear()  # as in a server, nobody has listened before
        ward.health.start()

        async def probed_twice() -> bool:
            return len(await rows(ward)) >= 2

        await ward.until(probed_twice)
        await ward.health.close()
        assert {row["channel_id"] for row in await rows(ward)} == {channel.id}
        assert ward.house.board.listeners == []
