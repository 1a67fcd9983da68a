"""What several runs of one task decide from what they have told each other: calls, pauses, figures."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.datagen.engine.crew import fair_share, is_uneven, merged_live, next_pause, slots_for
from tidemill.datagen.engine.log_lines import pause
from tidemill.datagen.repository_crew import Hand


class Member:
    """A run that begins calls as it may, and does at each look what ``slots_for`` says."""

    def __init__(self, entry: int) -> None:
        self.entry = entry
        self.slots = 0
        self.limit = 0
        self.busy = 0

    def look(self, total: int, crew: "list[Member]") -> None:
        hands = [Hand(one.entry, one.slots, None) for one in crew]
        self.limit, self.slots = slots_for(total, hands, self.entry, self.busy)

    def begin(self) -> None:
        if self.busy < self.limit:
            self.busy += 1

    def end(self) -> None:
        self.busy = max(0, self.busy - 1)


@given(
    total=st.integers(1, 12),
    acts=st.lists(
        st.tuples(st.sampled_from(["join", "look", "look", "begin", "begin", "end", "leave"]), st.integers(0, 9)),
        max_size=120,
    ),
)
def test_all_together_never_have_more_calls_out_than_the_task_may(total: int, acts: list[tuple[str, int]]) -> None:
    crew: list[Member] = []
    joined = 0
    for act, which in acts:
        if act == "join" and len(crew) < 5:
            joined += 1
            crew.append(Member(joined))
            crew[-1].look(total, crew)
        elif crew:
            one = crew[which % len(crew)]
            match act:
                case "look":
                    one.look(total, crew)
                case "begin":
                    one.begin()
                case "end":
                    one.end()
                case "leave":
                    crew.remove(one)
                case _:
                    pass
        assert sum(one.slots for one in crew) <= total
        assert all(one.busy <= one.slots for one in crew)
        assert sum(one.busy for one in crew) <= total
    # Once the calls have ended, two looks of each are enough for equal shares.
    for _ in range(2):
        for one in crew:
            one.busy = 0
            one.look(total, crew)
    entries = [one.entry for one in crew]
    assert [one.limit for one in crew] == [fair_share(total, entries, entry) for entry in entries]
    assert not is_uneven(total, [Hand(one.entry, one.slots, None) for one in crew])


@pytest.mark.parametrize(("total", "runs"), [(1, 3), (7, 2), (64, 5), (3, 3)])
def test_shares_are_whole_and_equal(total: int, runs: int) -> None:
    entries = list(range(10, 10 + runs))
    shares = [fair_share(total, entries, entry) for entry in entries]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


DOWN = pause("no_service", reason="timeout")


@pytest.mark.parametrize(
    ("paused", "downs", "then", "line"),
    [
        (None, [None, None], None, None),
        (None, [DOWN, None], None, None),
        (None, [DOWN, DOWN], "no_service", "paused"),
        (DOWN, [DOWN, DOWN], "no_service", None),
        (DOWN, [DOWN, None], None, "unpaused"),
        (pause("budget_spent", spent="3"), [None, None], "budget_spent", None),
        (pause("budget_spent", spent="3"), [DOWN, DOWN], "budget_spent", None),
    ],
)
def test_a_task_waits_when_no_run_of_it_can_call(
    paused: dict[str, Any] | None, downs: list[dict[str, Any] | None], then: str | None, line: str | None
) -> None:
    now, said = next_pause(paused, [{"down": down} for down in downs])
    assert (None if now is None else now["code"]) == then
    assert (None if said is None else said["code"]) == line


def service(**changes: Any) -> dict[str, Any]:
    """Return one run's view of a service."""
    return {
        "channel": "c",
        "model": "m",
        "in_flight": 2,
        "limit": 4,
        "p95_ms": 80.0,
        "breaker": "closed",
        **changes,
    }


def test_figures_are_sums_over_the_runs_and_totals_of_all_that_ever_were() -> None:
    before = merged_live(None, [], {("c", "m"): (5, 1), ("gone", "m"): (3, 0)})
    parts = [
        {"rows_per_s": 1.5, "services": [service()]},
        {"rows_per_s": 2.0, "services": [service(in_flight=1, p95_ms=120.0, breaker="open"), service(channel="d")]},
    ]
    live = merged_live(before, parts, {("c", "m"): (2, 1)})
    assert live["rows_per_s"] == 3.5
    by_channel = {one["channel"]: one for one in live["services"]}
    assert by_channel["c"] == {
        "channel": "c",
        "model": "m",
        "in_flight": 3,
        "limit": 8,
        "done": 7,
        "errors": 2,
        "p95_ms": 120.0,
        "breaker": "closed",
    }
    assert (by_channel["d"]["done"], by_channel["d"]["limit"]) == (0, 4)
    assert (by_channel["gone"]["done"], by_channel["gone"]["breaker"]) == (3, "gone")
