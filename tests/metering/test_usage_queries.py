"""Reading usage: totals, hours, groups; one's own unless one administers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.metering.events import BEGAN_MS, usage
from tidemill.kernel.actor import AdminScope, UserScope
from tidemill.kernel.errors import BadInput
from tidemill.metering.contracts import CallStatus
from tidemill.metering.facade import Balances, Meter
from tidemill.metering.service import UsageService
from tidemill.metering.tables import usage_events
from tidemill.platform.db import Database

SINCE = datetime(2026, 1, 2, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
HOUR_MS = 3_600_000


async def filled(db: Database, folder: Path) -> UsageService:
    meter = Meter(db, folder)
    for event in (
        usage(latency_ms=10.0),
        usage(model="n", latency_ms=30.0, key_id="k"),
        usage(began_ms=BEGAN_MS + HOUR_MS, status=CallStatus.TIMEOUT),
        usage(user_id=2, surface="datagen"),
        usage(began_ms=BEGAN_MS + 48 * HOUR_MS),
    ):
        meter.record(event)
    await meter.flush()
    await meter.close()
    return UsageService(db)


async def test_ones_own_usage_and_everybodys(database: Database, tmp_path: Path) -> None:
    service = await filled(database, tmp_path)
    mine = await service.summary(UserScope(1), since=SINCE, until=UNTIL)
    assert (mine.totals.requests, mine.totals.errors, mine.totals.total_tokens) == (3, 1, 45)
    assert (mine.totals.latency_ms_avg, mine.totals.latency_ms_max) == (20.0, 30.0)
    assert [(hour.hour.hour, hour.requests) for hour in mine.series] == [(3, 2), (4, 1)]
    assert [(group.key, group.requests) for group in mine.groups] == [("m", 2), ("n", 1)]
    everybody = await service.summary(AdminScope(9), since=SINCE, until=UNTIL, group_by="user")
    assert [(group.key, group.requests) for group in everybody.groups] == [("1", 3), ("2", 1)]
    by_key = await service.summary(UserScope(1), since=SINCE, until=UNTIL, group_by="key")
    assert {group.key for group in by_key.groups} == {"session", "k"}


async def test_nothing_used_is_zero_and_not_an_error(memory_database: Database) -> None:
    found = await UsageService(memory_database).summary(UserScope(1), since=None, until=None)
    assert (found.totals.requests, found.totals.latency_ms_avg, found.series, found.groups) == (0, None, [], [])


@pytest.mark.parametrize(
    ("since", "until", "group_by", "field"),
    [
        (None, None, "colour", "group_by"),
        (UNTIL, SINCE, "model", "from"),
        (SINCE, SINCE + timedelta(days=200), "model", "from"),
        (datetime(2026, 1, 1), UNTIL, "model", "from"),  # noqa: DTZ001 - without a zone on purpose
    ],
)
async def test_what_is_wrong_with_a_question_is_named(
    memory_database: Database, since: datetime | None, until: datetime | None, group_by: str, field: str
) -> None:
    with pytest.raises(BadInput) as problem:
        await UsageService(memory_database).summary(UserScope(1), since=since, until=until, group_by=group_by)
    assert problem.value.fields[0].field == field


async def test_an_erased_account_leaves_its_figures_without_a_name(database: Database, tmp_path: Path) -> None:
    service = await filled(database, tmp_path)
    for _ in range(2):  # a second account joins the sums of the first
        async with database.write() as w:
            await service.erase(w, AdminScope(9), 1)
    async with database.write() as w:
        await service.erase(w, AdminScope(9), 2)
    everybody = await service.summary(AdminScope(9), since=SINCE, until=UNTIL, group_by="user")
    assert [(group.key, group.requests, group.total_tokens) for group in everybody.groups] == [("deleted", 4, 60)]
    async with database.read() as r:
        rows = await r.all(select(usage_events.c.user_id, usage_events.c.key_id))
    assert {(row["user_id"], row["key_id"]) for row in rows} == {(None, None)}


async def test_newest_calls_come_first_and_page_by_key(database: Database, tmp_path: Path) -> None:
    service = await filled(database, tmp_path)
    first = await service.rows(UserScope(1), limit=3)
    rest = await service.rows(UserScope(1), limit=3, before=first[-1]["id"])
    assert len(first) == 3
    assert len(rest) == 1
    assert len({row["id"] for row in [*first, *rest]}) == 4


async def test_everybody_has_what_a_new_user_gets(memory_database: Database) -> None:
    async with memory_database.read() as r:
        assert await Balances().balance(r, UserScope(1), 1) == 1000
    assert Balances().remaining(1) == 1000
