"""What befalls a channel is told once, written off the hot path, shown in pages and charts, and forgotten in time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from tests.relay.health.conftest import Service, Start, Ward
from tests.relay.rig import ADMIN
from tests.relay.test_administration import ALICE, ROOT
from tests.relay.upstream import drops, refuses
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.kernel.ids import uuid7
from tidemill.kernel.pages import PageRequest
from tidemill.platform.settings import Settings
from tidemill.platform.web.guards import ACTOR
from tidemill.relay.contracts import ChannelChange
from tidemill.relay.errors import ChannelNotFound
from tidemill.relay.health.app import KEEP
from tidemill.relay.health.desk import MOST_WAITING
from tidemill.relay.health.keys import event_row
from tidemill.relay.health.routes import HANDLERS
from tidemill.relay.shifts import Shift
from tidemill.relay.tables import channel_events, channel_health
from tidemill.server.api import build_api

DAY = datetime(2026, 11, 21, tzinfo=UTC)


def shift(channel_id: int, **fields: Any) -> Shift:
    given: dict[str, Any] = {"channel": "one", "kind": "opened", "reason": "no", **fields}
    return Shift(channel_id=channel_id, **given)


async def add_probes(ward: Ward, channel_id: int, rows: list[dict[str, Any]]) -> None:
    base = {"channel_id": channel_id, "ok": True, "latency_ms": None, "error_rate": None, "reason": None}
    async with ward.db.write() as w:
        await w.run(insert(channel_health), [{"id": uuid7(), **base, **row} for row in rows])


# ---- live traffic --------------------------------------------------------------------------------------------------


async def test_a_service_that_dies_under_calls_alerts_and_its_return_too(ward: Ward, services: Start) -> None:
    service = await services(drops)
    channel = await ward.rig.channel(service)
    for _ in range(3):
        await ward.call()
    await ward.write_down()
    [alert] = await ward.open_alerts()
    assert (alert.kind, alert.severity, alert.title) == ("channel_down", "critical", "Channel one is down")
    service.otherwise = Service()
    with clock.shifted(10):  # the breaker's pause is over
        assert await ward.call() == 200
        await ward.write_down()
    assert await ward.open_alerts() == []
    assert [event.kind for event in await ward.events(channel.id)] == ["opened", "closed"]


async def test_one_model_that_fails_is_told_as_one(ward: Ward, services: Start) -> None:
    script = Service()
    script.calls = 500
    channel = await ward.rig.channel(await services(script), models={"m": "upstream-model", "n": "other"})
    for _ in range(3):
        await ward.call()
    await ward.write_down()
    [alert] = await ward.open_alerts()
    assert (alert.severity, alert.details["model"]) == ("warning", "m")
    [event] = await ward.events(channel.id)
    assert (event.kind, event.model, event.key_last4) == ("opened", "m", "cret")
    script.calls = 200
    with clock.shifted(10):
        assert await ward.call() == 200
        await ward.write_down()
    assert await ward.open_alerts() == []


async def test_a_clients_own_fault_is_nobodys_news(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(refuses(400)))
    for _ in range(10):
        assert await ward.call() == 400
    await ward.write_down()
    assert await ward.events(channel.id) == []
    assert await ward.open_alerts() == []


# ---- the desk ------------------------------------------------------------------------------------------------------


async def test_shifts_are_written_by_themselves_and_the_last_ones_at_the_end(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    ward.house.board.listeners.clear()
    ward.health.start()
    ward.health.desk.hear(shift(channel.id))

    async def written() -> bool:
        return len(await ward.events(channel.id)) == 1

    await ward.until(written)
    ward.health.desk.hear(shift(channel.id, kind="closed"))
    await ward.health.close()
    assert [event.kind for event in await ward.events(channel.id)] == ["opened", "closed"]


async def test_what_cannot_be_written_waits_in_order(
    ward: Ward, services: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await ward.rig.channel(await services(Service()))
    desk = ward.health.desk
    for number in range(5):
        desk.hear(shift(channel.id, reason=f"r{number}"))

    async def fails(batch: object) -> None:
        raise OSError(batch)

    with monkeypatch.context() as broken:
        broken.setattr(desk, "write", fails)
        with pytest.raises(OSError, match="r0"):
            await desk.flush()
    desk.hear(shift(channel.id, reason="r5"))
    await asyncio.wait_for(desk.work(), 10)
    assert [event.reason for event in await ward.events(channel.id)] == [f"r{number}" for number in range(6)]


async def test_the_queue_is_bounded_and_keeps_the_newest(ward: Ward) -> None:
    desk: Any = ward.health.desk  # looked into
    for number in range(MOST_WAITING + 10):
        desk.hear(shift(1, reason=str(number)))
    assert len(desk._waiting) == MOST_WAITING
    assert desk._waiting[0].shift.reason == "10"
    desk._waiting.clear()


async def test_a_breaker_that_opens_again_and_again_is_one_line(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    desk = ward.health.desk
    for kind in ("opened", "opened", "closed", "opened"):
        desk.hear(shift(channel.id, kind=kind))
        await desk.flush()
    desk.hear(shift(channel.id, model="m", key_id="k"))
    desk.hear(shift(channel.id, model="m", key_id="other"))
    await desk.flush()
    assert [event.kind for event in await ward.events(channel.id)] == ["opened", "closed"] + ["opened"] * 3


async def test_history_has_the_time_of_what_happened_and_any_text_that_a_service_says(
    ward: Ward, services: Start
) -> None:
    channel = await ward.rig.channel(await services(Service()))
    before = clock.now()
    ward.health.desk.hear(shift(channel.id, reason="\x00odd \ud800" + "x" * 5000))
    after = clock.now()
    with clock.shifted(3600):
        await ward.health.desk.flush()
    [event] = await ward.events(channel.id)
    assert before <= event.at <= after
    assert event.reason is not None
    assert event.reason.startswith(" odd ?xxx")
    assert len(event.reason) == 500


async def test_a_refusal_that_is_crowded_out_can_be_heard_again(ward: Ward) -> None:
    desk: Any = ward.health.desk  # looked into
    desk.hear(shift(1, kind="key_refused", key_id="k"))
    for _ in range(MOST_WAITING):
        desk.hear(shift(1))
    desk.hear(shift(1, kind="key_refused", key_id="k"))
    assert desk._waiting[-1].shift.kind == "key_refused"
    desk._waiting.clear()


async def test_shifts_of_a_channel_that_is_gone_are_dropped(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    ward.health.desk.hear(shift(999_999))
    ward.health.desk.hear(shift(channel.id))
    ward.health.desk.hear(shift(999_999, kind="key_refused", key_id="nothing"))
    await ward.health.desk.flush()
    assert len(await ward.events(channel.id)) == 1


# ---- alerts that end another way -----------------------------------------------------------------------------------


async def test_a_channel_taken_out_of_service_is_not_down_any_more(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(drops))
    for _ in range(3):
        await ward.call()
    await ward.write_down()
    assert await ward.health.settling.work() == 0  # it is down indeed
    await ward.rig.context.channels.change(ADMIN, channel.id, ChannelChange(status="disabled"), None)
    assert await ward.health.settling.work() == 1
    assert await ward.open_alerts() == []


async def test_after_a_restart_a_good_probe_ends_the_alert(ward: Ward, services: Start) -> None:
    service = await services(drops)
    channel = await ward.rig.channel(service)
    for _ in range(3):
        await ward.call()
    await ward.write_down()
    # As a process that begins anew: nothing is held against the channel, and nothing is known of it either.
    ward.house.board.states[channel.id].breaker.succeed(0.0)
    assert await ward.health.settling.work() == 0
    service.otherwise = Service()
    await ward.probe()
    with clock.shifted(62):
        assert await ward.health.settling.work() == 1
    assert await ward.open_alerts() == []


# ---- what is shown -------------------------------------------------------------------------------------------------


async def test_a_chart_folds_probes_into_intervals(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    seconds = [
        {"at": DAY + timedelta(seconds=at), "latency_ms": float(at), "ok": at % 10 != 0, "error_rate": 0.5}
        for at in range(1, 121)
    ]
    await add_probes(ward, channel.id, seconds)
    chart = await ward.health.service.chart(ADMIN, channel.id, DAY, DAY + timedelta(hours=8))
    width_s = chart.width_s
    assert width_s == -(-8 * 3600 // 499)
    assert len(chart.points) == -(-121 // width_s)
    assert chart.uptime == pytest.approx(0.9)
    first, second = chart.points[:2]
    assert second.at - first.at == timedelta(seconds=width_s)
    of_first = [at for at in range(1, 121) if DAY + timedelta(seconds=at) < first.at + timedelta(seconds=width_s)]
    good = sorted(float(at) for at in of_first if at % 10)
    assert (first.probes, first.failures) == (len(of_first), len(of_first) - len(good))
    assert first.p50_ms == good[(len(good) - 1) // 2]
    assert (first.max_ms, first.error_rate) == (good[-1], 0.5)


async def test_a_chart_of_a_month_has_at_most_500_points(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    rows = [{"at": DAY + timedelta(minutes=20 * number), "latency_ms": 5.0} for number in range(2160)]
    await add_probes(ward, channel.id, rows)
    chart = await ward.health.service.chart(ADMIN, channel.id, DAY, DAY + timedelta(days=30))
    assert 400 < len(chart.points) <= 500
    assert sum(point.probes for point in chart.points) == 2160
    assert all(DAY - timedelta(seconds=chart.width_s) < point.at for point in chart.points)


async def test_a_chart_of_nothing_is_empty_and_odd_times_are_refused(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    chart = await ward.health.service.chart(ADMIN, channel.id, None, None)
    assert (chart.points, chart.uptime) == ([], None)
    assert chart.until - chart.since == timedelta(days=1)
    with pytest.raises(BadInput, match="from"):
        await ward.health.service.chart(ADMIN, channel.id, DAY, DAY)
    for question in (
        ward.health.service.chart(ADMIN, 77, None, None),
        ward.health.service.events(ADMIN, 77, PageRequest()),
    ):
        with pytest.raises(ChannelNotFound):
            await question


async def test_failed_probes_alone_have_no_latency(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    await add_probes(ward, channel.id, [{"at": DAY, "ok": False, "latency_ms": 9.0, "reason": "no"}])
    chart = await ward.health.service.chart(ADMIN, channel.id, DAY, DAY + timedelta(hours=1))
    [point] = chart.points
    assert (point.failures, point.p50_ms, point.max_ms, point.error_rate) == (1, None, None, None)


async def test_history_pages_without_loss_where_moments_are_equal(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    rows = [{**event_row(channel.id, "opened", reason=str(number)), "at": DAY} for number in range(25)]
    async with ward.db.write() as w:
        await w.run(insert(channel_events), rows)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await ward.health.service.events(ADMIN, channel.id, PageRequest(page_size=10, cursor=cursor))
        seen += [str(event.reason) for event in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [str(number) for number in reversed(range(25))]


async def test_a_strip_has_the_last_probes_of_each_channel(ward: Ward, services: Start) -> None:
    one = await ward.rig.channel(await services(Service()), name="one", keys=["sk-number-one", "sk-number-two"])
    two = await ward.rig.channel(await services(Service()), name="two")
    now = clock.now()
    fresh = [{"at": now - timedelta(minutes=number), "latency_ms": float(number)} for number in range(1, 8)]
    await add_probes(ward, one.id, [*fresh, {"at": now, "ok": False, "latency_ms": 900.0, "reason": "HTTP 503"}])
    first, second = await ward.health.service.strips(ADMIN, 4)
    assert (first.channel_id, first.up, first.uptime, first.active_keys) == (one.id, False, 0.75, 2)
    assert [(probe.ok, probe.latency_ms) for probe in first.probes] == [
        (True, 3.0),
        (True, 2.0),
        (True, 1.0),
        (False, 900.0),
    ]
    assert first.probe_p50_ms == 2.0
    assert (second.channel_id, second.up, second.uptime, second.probes) == (two.id, None, None, [])


async def test_what_is_older_than_30_days_is_forgotten(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    now = clock.now()
    old = now - KEEP - timedelta(seconds=5)
    await add_probes(ward, channel.id, [{"at": old + timedelta(milliseconds=n)} for n in range(2500)] + [{"at": now}])
    async with ward.db.write() as w:
        rows = [{**event_row(channel.id, "opened"), "at": at} for at in (old, now)]
        await w.run(insert(channel_events), rows)
    assert await ward.health.forget() == 2501
    async with ward.db.read() as r:
        assert len(await r.all(select(channel_health))) == 1
    assert len(await ward.events(channel.id)) == 1


async def test_over_http(ward: Ward, services: Start) -> None:
    channel = await ward.rig.channel(await services(Service()))
    await ward.probe()
    calling: list[Actor] = [ROOT]
    api = build_api(HANDLERS, {"channel_health": lambda: ward.health.service}, Settings())

    async def door(scope: Any, receive: Any, send: Any) -> None:
        if calling:
            scope.setdefault("state", {})[ACTOR] = calling[-1]
        await api(scope, receive, send)

    one = f"/api/v1/admin/channels/{channel.id}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://mill.test") as http:
        to = (clock.now() + timedelta(hours=1)).isoformat()
        chart = (await http.get(f"{one}/health", params={"to": to, "from": "2026-01-01T00:00:00Z"})).json()
        assert [point["probes"] for point in chart["points"]] == [1]
        assert (await http.get(f"{one}/events")).json()["items"] == []
        [strip] = (await http.get("/api/v1/admin/health?probes=5")).json()["items"]
        assert strip["channel_id"] == channel.id
        for path in (f"{one}/health?from=odd", f"{one}/events?cursor=odd", "/api/v1/admin/health?probes=0"):
            assert (await http.get(path)).status_code == 400
        assert (await http.get("/api/v1/admin/channels/999/health")).status_code == 404
        for callers, status in (([], 401), ([ALICE], 403)):
            calling[:] = callers
            for path in (f"{one}/health", f"{one}/events", "/api/v1/admin/health"):
                assert (await http.get(path)).status_code == status
