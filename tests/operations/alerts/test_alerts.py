"""An alert is one row from its first sign to its end, told once at each turn, however often it is seen."""

import asyncio

import pytest
from sqlalchemy import text

from tests.operations.alerts.conftest import SYSTEM, Office, Postbox, wish
from tests.operations.conftest import ROOT
from tidemill.audit.contracts import AuditFilter
from tidemill.audit.facade import AuditLog, Refusals
from tidemill.kernel import clock
from tidemill.kernel.pages import PageRequest
from tidemill.operations.alerts.contracts import AlertFilter
from tidemill.operations.alerts.ports import Undelivered
from tidemill.operations.alerts.service import HOLD, KEEP_RECOVERED
from tidemill.operations.errors import AlertNotFound
from tidemill.platform.db import Database
from tidemill.platform.jobs import JobFailed, JobRetry

MINUTE_S = 60.0


async def test_it_is_raised_once_and_seen_often(office: Office, hook: Postbox) -> None:
    assert [await office.raise_() for _ in range(5)] == [True, False, False, False, False]
    [alert] = await office.all()
    assert (alert.status, alert.count, alert.title) == ("open", 5, "Channel a is down")
    assert alert.sent_at is None
    assert await office.work() == 1
    assert hook.told == ["raised"]
    [alert] = await office.all()
    assert alert.sent_at is not None


async def test_twenty_processes_that_see_it_at_once_make_one_row(office: Office, hook: Postbox) -> None:
    raised = await asyncio.gather(*(office.raise_() for _ in range(20)))
    assert sum(raised) == 1
    [alert] = await office.all()
    assert alert.count == 20
    await office.work()
    assert hook.told == ["raised"]


async def test_its_end_is_told_and_the_next_one_is_another_incident(office: Office, hook: Postbox) -> None:
    await office.raise_()
    await office.work()
    assert await office.recover()
    assert not await office.recover()
    await office.work()
    assert hook.told == ["raised", "recovered"]
    with clock.shifted(HOLD.total_seconds() + 1):
        assert await office.raise_()
        await office.work()
        assert hook.told == ["raised", "recovered", "raised"]
        later, first = await office.all()
    assert (first.status, later.status) == ("recovered", "open")


async def test_what_flaps_is_one_incident_and_is_not_told_anew(office: Office, hook: Postbox) -> None:
    await office.raise_()
    await office.work()
    for minute in range(1, 9):
        with clock.shifted(minute * MINUTE_S):
            if minute % 2:
                assert await office.recover()
            else:
                assert await office.raise_()
            await office.work()
    [alert] = await office.all()
    assert (alert.status, alert.count) == ("open", 5)
    # Its first end was told at once; what came within five minutes waits.
    assert hook.told == ["raised", "recovered"]
    with clock.shifted(8 * MINUTE_S + HOLD.total_seconds() + 1):
        await office.work()
        # By now it has stood for five minutes that it is down: those who were told of an end learn of it, once.
        assert hook.told == ["raised", "recovered", "raised"]
        await office.recover()
        await office.work()
        assert hook.told == ["raised", "recovered", "raised", "recovered"]


async def test_what_is_over_before_it_was_told_is_not_told(office: Office, hook: Postbox) -> None:
    await office.raise_()
    await office.recover()
    assert await office.work() == 2
    assert hook.told == []


async def test_a_way_that_fails_is_tried_again_and_the_other_is_not_repeated(database: Database) -> None:
    hook, mail = Postbox(), Postbox()
    office = Office(database, {"webhook": hook, "mail": mail})
    hook.failures = [Undelivered("busy", retry_after_s=7.0), Undelivered("gone", lasting=True)]
    await office.raise_()
    runs = {run.payload["way"]: run for run in await office.runs()}
    with pytest.raises(JobRetry) as passing:
        await office.sender.send(runs["webhook"])
    assert (passing.value.after_s, passing.value.code) == (7.0, "undelivered")
    with pytest.raises(JobFailed, match="gone"):
        await office.sender.send(runs["webhook"])
    for _ in range(2):  # a run that was taken for dead is made again
        await office.sender.send(runs["mail"])
        await office.sender.send(runs["webhook"])
    assert (hook.told, mail.told) == (["raised"], ["raised"])


async def test_without_a_way_nothing_is_queued(database: Database) -> None:
    office = Office(database, {})
    await office.raise_()
    await office.recover()
    async with database.read() as r:
        assert await r.scalar(text("SELECT count(*) FROM job")) == 0
    assert [view.status for view in await office.all()] == ["recovered"]


async def test_a_rolled_back_raise_leaves_nothing(office: Office, hook: Postbox) -> None:
    with pytest.raises(RuntimeError):
        async with office.db.write() as w:
            await office.alerts.raise_(w, SYSTEM, wish())
            raise RuntimeError
    assert await office.all() == []
    assert await office.work() == 0
    assert hook.told == []


async def test_acknowledging_is_audited_once_and_survives_a_flap(office: Office) -> None:
    await office.raise_()
    [alert] = await office.all()
    for _ in range(2):
        view = await office.alerts.acknowledge(ROOT.admin_scope, alert.id, ROOT, "zh")
        assert (view.status, view.acknowledged_by, view.title) == ("acknowledged", 1, "渠道 a 不可用")
    log = AuditLog(office.db, Refusals())
    entries = await log.page(SYSTEM, AuditFilter(action="alert.acknowledge"), PageRequest())
    assert [entry.details for entry in entries.items] == [{"kind": "channel_down", "subject": "channel:1"}]
    await office.recover()
    await office.raise_()
    assert [view.status for view in await office.all(status="acknowledged")] == ["acknowledged"]
    for unknown in ("nothing", "\x00", "ü"):
        with pytest.raises(AlertNotFound):
            await office.alerts.acknowledge(ROOT.admin_scope, unknown, ROOT, "en")


async def test_lists_filter_and_page(office: Office) -> None:
    for number in range(5):
        await office.raise_(key=f"channel_down:{number}", subject_id=str(number))
    await office.raise_(key="balance_low:1", kind="balance_low", severity="warning")
    await office.recover("channel_down:3")
    assert [view.subject_id for view in await office.all(kind="channel_down", status="active")] == ["4", "2", "1", "0"]
    assert [view.kind for view in await office.all(kind="balance_low")] == ["balance_low"]
    assert [view.subject_id for view in await office.all(status="recovered")] == ["3"]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        request = PageRequest(page_size=4, cursor=cursor)
        page = await office.alerts.page(SYSTEM, AlertFilter(), request, "en")
        seen += [view.id for view in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 6
    still = await office.alerts.open_of_kind(SYSTEM, "channel_down")
    assert [one.subject_id for one in still] == ["0", "1", "2", "4"]


async def test_what_recovered_long_ago_is_forgotten(office: Office) -> None:
    await office.raise_(key="a")
    await office.raise_(key="b")
    await office.recover("a")
    assert await office.alerts.forget() == 0
    with clock.shifted(KEEP_RECOVERED.total_seconds() + 1):
        assert await office.alerts.forget() == 1
    assert [view.status for view in await office.all()] == ["open"]


async def test_watchers_hear_of_every_turn(office: Office) -> None:
    async with office.events.subscribe("alerts") as subscription:
        await office.raise_()
        heard = await subscription.wait(10.0)
    [alert] = await office.all()
    assert [(event.key, b"raised" in event.payload) for event in heard] == [(alert.id, True)]
