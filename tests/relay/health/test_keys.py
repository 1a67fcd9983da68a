"""A key that its service refuses goes out of use, alone, once, with everybody told; and comes back by itself."""

import asyncio

import pytest
from sqlalchemy import select

from tests.relay.health.conftest import SETTINGS, Service, Start, Ward, key_of
from tests.relay.rig import ADMIN, relay_rig
from tidemill.audit.contracts import AuditFilter
from tidemill.audit.facade import AuditLog, Refusals
from tidemill.kernel import clock
from tidemill.kernel.pages import PageRequest
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.contracts import ChannelChange
from tidemill.relay.tables import channel_keys

ONE, TWO = "sk-number-one", "sk-number-two"
RETEST_S = float(SETTINGS["key_retest_s"])


async def audited(ward: Ward, action: str) -> int:
    log = AuditLog(ward.db, Refusals())
    return len((await log.page(ADMIN, AuditFilter(action=action), PageRequest(page_size=200))).items)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "invalid_api_key", "key_refused"),
        (403, "", "key_refused"),
        (402, "", "key_broke"),
        (429, "insufficient_quota", "key_broke"),
    ],
)
async def test_a_refused_key_goes_and_the_channel_stays(
    ward: Ward, services: Start, status: int, code: str, kind: str
) -> None:
    script = Service()
    script.refused[ONE] = (status, code)
    service = await services(script)
    channel = await ward.rig.channel(service, keys=[ONE, TWO])
    for _ in range(4):
        await ward.call()
    await ward.write_down()
    view = await ward.channel(channel.id)
    assert [(key.last4, key.status) for key in view.keys] == [("-one", "disabled"), ("-two", "active")]
    assert view.status == "enabled"
    assert view.keys[0].reason
    assert view.keys[0].changed_at is not None
    [event] = await ward.events(channel.id)
    assert (event.kind, event.key_last4) == (kind, "-one")
    [alert] = await ward.open_alerts()
    assert (alert.kind, alert.severity, alert.details["last4"]) == ("key_disabled", "warning", "-one")
    assert await audited(ward, "channel.key_disable") == 1
    seen = len(service.seen)
    assert [await ward.call() for _ in range(4)] == [200] * 4
    assert {key_of(request) for request in service.seen[seen:]} == {TWO}


async def test_with_its_last_key_the_channel_goes(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused = {ONE: (401, ""), TWO: (401, "")}
    channel = await ward.rig.channel(await services(script), keys=[ONE, TWO])
    for _ in range(4):
        await ward.call()
    await ward.write_down()
    view = await ward.channel(channel.id)
    assert (view.status, {key.status for key in view.keys}) == ("auto_disabled", {"disabled"})
    assert view.status_reason
    assert sorted(alert.severity for alert in await ward.open_alerts()) == ["critical", "warning"]
    assert channel.id not in ward.house.board.states


async def test_a_hundred_refusals_make_one_change(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    channel = await ward.rig.channel(await services(script), keys=[ONE, TWO], max_concurrent=200)
    await asyncio.gather(*(ward.call() for _ in range(100)))
    async with relay_rig(ward.db, **SETTINGS) as other_rig:  # another process hears of it at the same time
        other = Ward(other_rig, ward.db, GatewaySettings(**SETTINGS))
        await asyncio.gather(*(other.call() for _ in range(20)))
        await asyncio.gather(ward.health.desk.flush(), other.health.desk.flush())
        await other.health.close()
    assert [event.kind for event in await ward.events(channel.id)] == ["key_refused"]
    assert await audited(ward, "channel.key_disable") == 1
    [alert] = await ward.open_alerts()
    assert alert.count == 1


async def test_two_processes_that_take_the_last_two_keys_leave_no_half_dead_channel(
    ward: Ward, services: Start
) -> None:
    script = Service()
    script.refused = {ONE: (401, ""), TWO: (401, "")}
    channel = await ward.rig.channel(await services(script), keys=[ONE, TWO])
    [state] = ward.house.board.states.values()
    async with relay_rig(ward.db, **SETTINGS) as other_rig:
        other = Ward(other_rig, ward.db, GatewaySettings(**SETTINGS))
        [other_state] = other.house.board.states.values()
        first, last = state.channel.keys[0], other_state.channel.keys[-1]
        assert first.id != last.id
        state.refuse(first, "key_refused", "no", 0.0)
        other_state.refuse(last, "key_refused", "no", 0.0)
        await asyncio.gather(ward.health.desk.flush(), other.health.desk.flush())
        await other.health.close()
    assert (await ward.channel(channel.id)).status == "auto_disabled"


async def test_a_probe_finds_a_dead_key_by_a_call(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    service = await services(script)
    channel = await ward.rig.channel(service, keys=[ONE])
    await ward.probe()
    await ward.write_down()
    assert [request.path for request in service.seen] == ["/v1/models", "/v1/chat/completions"]
    assert (await ward.channel(channel.id)).status == "auto_disabled"


async def test_a_key_that_may_only_not_list_models_stays(ward: Ward, services: Start) -> None:
    script = Service()
    script.lists = 403
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.probe()
    await ward.write_down()
    assert (await ward.channel(channel.id)).keys[0].status == "active"
    assert await ward.events(channel.id) == []


async def test_a_refused_key_is_tried_again_and_comes_back(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    service = await services(script)
    channel = await ward.rig.channel(service, keys=[ONE])
    await ward.call()
    await ward.write_down()
    seen = len(service.seen)
    await ward.health.warden.retest()
    assert len(service.seen) == seen  # its time has not come
    with clock.shifted(RETEST_S + 1):
        await ward.health.warden.retest()
        assert len(service.seen) == seen + 1
        assert (await ward.channel(channel.id)).status == "auto_disabled"
        await ward.health.warden.retest()
        assert len(service.seen) == seen + 1  # nor has it again
    script.refused.clear()
    with clock.shifted(2 * RETEST_S + 2):
        await ward.health.warden.retest()
    await ward.write_down()
    view = await ward.channel(channel.id)
    assert (view.status, view.status_reason, view.keys[0].status, view.keys[0].reason) == (
        "enabled",
        None,
        "active",
        None,
    )
    assert await ward.open_alerts() == []
    assert [event.kind for event in await ward.events(channel.id)] == ["key_refused", "key_back"]
    assert await audited(ward, "channel.key_enable") == 1
    assert await ward.call() == 200


async def test_a_key_without_money_is_not_taken_for_good_because_models_can_be_listed(
    ward: Ward, services: Start
) -> None:
    script = Service()
    script.calls = 402
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.call()
    await ward.write_down()
    with clock.shifted(RETEST_S + 1):
        await ward.health.warden.retest()
    assert (await ward.channel(channel.id)).keys[0].status == "disabled"


async def test_a_service_that_is_away_does_not_bring_a_key_back(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    service = await services(script)
    channel = await ward.rig.channel(service, keys=[ONE])
    await ward.call()
    await ward.write_down()
    script.refused.clear()
    script.calls = 500
    with clock.shifted(RETEST_S + 1):
        await ward.health.warden.retest()
    assert (await ward.channel(channel.id)).keys[0].status == "disabled"


async def test_an_administrator_brings_keys_back_and_the_alert_ends(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.call()
    await ward.write_down()
    script.refused.clear()
    view = await ward.rig.context.channels.set_status(ADMIN, channel.id, "enabled", None)
    assert (view.status, view.keys[0].status, view.keys[0].reason) == ("enabled", "active", None)
    assert await ward.call() == 200
    assert await ward.health.settling.work() == 1
    assert await ward.open_alerts() == []


async def test_new_keys_bring_back_a_channel_that_had_lost_its_own(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.call()
    await ward.write_down()
    view = await ward.rig.context.channels.change(ADMIN, channel.id, ChannelChange(keys=[TWO]), None)
    assert (view.status, view.status_reason) == ("enabled", None)
    assert await ward.call() == 200
    assert await ward.health.settling.work() == 1


async def test_a_file_that_wants_a_channel_enabled_does_not_bring_refused_keys_back(
    ward: Ward, services: Start
) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.call()
    await ward.write_down()
    report = await ward.rig.context.imports.run(ADMIN, [ChannelChange(name="one", status="enabled", keys=[ONE])], None)
    assert (report.created, report.changed) == ([], [])
    assert (await ward.channel(channel.id)).status == "auto_disabled"
    await ward.rig.context.imports.run(ADMIN, [ChannelChange(name="one", status="enabled", keys=[TWO])], None)
    view = await ward.channel(channel.id)
    assert (view.status, view.keys[0].status) == ("enabled", "active")


async def test_a_key_that_a_person_disabled_is_left_alone(ward: Ward, services: Start) -> None:
    service = await services(Service())
    channel = await ward.rig.channel(service, keys=[ONE, TWO])
    await ward.rig.context.channels.set_key_status(ADMIN, channel.id, channel.keys[0].id, "disabled", None)
    with clock.shifted(RETEST_S + 1):
        await ward.health.warden.retest()
    assert service.seen == []
    view = await ward.rig.context.channels.set_status(ADMIN, channel.id, "enabled", None)
    assert [key.status for key in view.keys] == ["disabled", "active"]


async def test_one_key_enabled_by_hand_brings_its_channel_back(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.call()
    await ward.write_down()
    script.refused.clear()
    await ward.rig.context.channels.set_key_status(ADMIN, channel.id, channel.keys[0].id, "active", None)
    assert (await ward.channel(channel.id)).status == "enabled"
    assert await ward.call() == 200


async def test_no_key_is_ever_written_in_the_clear(ward: Ward, services: Start) -> None:
    script = Service()
    script.refused[ONE] = (401, "")
    channel = await ward.rig.channel(await services(script), keys=[ONE])
    await ward.call()
    await ward.write_down()
    told = repr((await ward.events(channel.id), await ward.open_alerts(), await ward.channel(channel.id)))
    async with ward.db.read() as r:
        told += repr(await r.all(select(channel_keys)))
    assert ONE not in told
