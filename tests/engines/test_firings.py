"""When schedules fire: in time zones, over changes of daylight saving, and after nobody was there."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.platform.jobs.firings import MAX_MADE_UP, BadCron, Misfire, Timing, UnknownZone, to_fire

BERLIN = "Europe/Berlin"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def local(timing: Timing, since: datetime, count: int) -> list[str]:
    zone = ZoneInfo(timing.timezone)
    return [f"{at.astimezone(zone):%m-%d %H:%M%z}" for at in timing.coming(since, count)]


def test_an_hour_of_the_day_stays_that_hour_when_the_clocks_change() -> None:
    daily = Timing(cron="30 3 * * *", timezone=BERLIN)
    assert local(daily, datetime(2026, 3, 28, tzinfo=UTC), 3) == [
        "03-28 03:30+0100",
        "03-29 03:30+0200",
        "03-30 03:30+0200",
    ]


def test_a_time_that_does_not_exist_comes_at_the_end_of_the_gap_and_once() -> None:
    gone = Timing(cron="0,30 2 * * *", timezone=BERLIN)
    found = local(gone, datetime(2026, 3, 28, 12, tzinfo=UTC), 3)
    assert found == ["03-29 03:00+0200", "03-30 02:00+0200", "03-30 02:30+0200"]


def test_a_time_that_exists_twice_counts_once() -> None:
    twice = Timing(cron="30 2 * * *", timezone=BERLIN)
    assert local(twice, datetime(2026, 10, 24, 12, tzinfo=UTC), 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    # Asked within the second pass, when the first lies behind.
    assert local(twice, datetime(2026, 10, 25, 1, 10, tzinfo=UTC), 1) == ["10-26 02:30+0100"]


def test_every_hour_goes_on_through_both_passes() -> None:
    hourly = Timing(cron="0 * * * *", timezone=BERLIN)
    found = hourly.coming(datetime(2026, 10, 24, 23, 30, tzinfo=UTC), 4)
    assert [after - before for before, after in pairwise(found)] == [timedelta(hours=1)] * 3


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "60 * * * *", "a b c d e", "0 0 30 2 *", "*/0 * * * *"])
def test_what_is_no_cron_expression_says_so(cron: str) -> None:
    with pytest.raises(BadCron):
        Timing(cron=cron).first_after(NOON)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd", "Europe"])
def test_what_is_no_zone_says_so(name: str) -> None:
    with pytest.raises(UnknownZone):
        Timing(cron="* * * * *", timezone=name).first_after(NOON)


def test_one_moment_comes_once() -> None:
    once = Timing(run_at=NOON)
    assert once.coming(NOON - timedelta(days=1), 5) == [NOON]
    assert once.first_after(NOON) is None
    assert to_fire(once, "once", NOON, NOON + timedelta(days=3)) == [NOON]
    assert to_fire(once, "skip", NOON, NOON + timedelta(days=3)) == []
    assert to_fire(once, "skip", NOON, NOON + timedelta(seconds=60)) == [NOON]


@pytest.mark.parametrize(
    ("misfire", "late", "expected"),
    [
        ("skip", timedelta(seconds=40), [0]),
        ("skip", timedelta(minutes=20, seconds=40), [20]),
        ("skip", timedelta(minutes=29), []),
        ("once", timedelta(minutes=29), [20]),
        ("all", timedelta(minutes=29), [0, 10, 20]),
        ("all", -timedelta(seconds=1), []),
    ],
)
def test_missed_firings(misfire: Misfire, late: timedelta, expected: list[int]) -> None:
    every = Timing(cron="*/10 * * * *")
    assert to_fire(every, misfire, NOON, NOON + late) == [NOON + timedelta(minutes=minutes) for minutes in expected]


def test_years_of_missed_minutes_are_not_walked_through() -> None:
    fired = to_fire(Timing(cron="* * * * *"), "all", NOON - timedelta(days=3650), NOON)
    assert (len(fired), fired[-1]) == (MAX_MADE_UP, NOON)


@settings(max_examples=40, deadline=None)
@given(
    cron=st.sampled_from(["*/7 * * * *", "0 * * * *", "15 2 * * *", "30 2 * * 0", "0 9 1 * *", "5,35 1-3 * * *"]),
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe"]),
    begin=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - zone beside
    hours=st.integers(0, 24 * 60),
)
def test_the_newest_missed_firings_are_those_that_one_by_one_would_have_come(
    cron: str, zone: str, begin: datetime, hours: int
) -> None:
    timing = Timing(cron=cron, timezone=zone)
    first = timing.first_after(begin)
    assert first is not None
    end = first + timedelta(hours=hours, seconds=20)
    one_by_one = [first]
    while (following := timing.first_after(one_by_one[-1])) is not None and following <= end:
        one_by_one.append(following)
    assert to_fire(timing, "all", first, end) == one_by_one[-MAX_MADE_UP:]
    assert list(takewhile(lambda at: at <= end, timing.after(begin))) == one_by_one
