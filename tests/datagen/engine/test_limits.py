"""The adaptive limit: grows while it pays, shrinks once for one piece of news, stays in bounds."""

from hypothesis import given
from hypothesis import strategies as st

from tidemill.datagen.engine.limits import START, AdaptiveLimit


def served(limit: AdaptiveLimit, now_s: float, latency_s: float, rounds: int) -> float:
    """Let full rounds of calls through a service that serves any number at once."""
    for _ in range(rounds):
        calls = [limit.admit(now_s) for _ in range(limit.limit)]
        now_s += latency_s
        for call in calls:
            limit.succeeded(call, now_s, 10, saturated=True)
    return now_s


def test_starts_at_eight_or_the_ceiling() -> None:
    assert AdaptiveLimit(64, 0.0).limit == START
    assert AdaptiveLimit(3, 0.0).limit == 3


def test_doubles_with_each_round_while_throughput_rises() -> None:
    limit = AdaptiveLimit(64, 0.0)
    served(limit, 0.0, 0.1, 3)
    assert limit.limit == 64


def test_stops_doubling_when_more_calls_bring_no_more() -> None:
    limit = AdaptiveLimit(1024, 0.0)
    now_s = 0.0
    for _ in range(12):
        calls = [limit.admit(now_s) for _ in range(limit.limit)]
        now_s += limit.limit / 160  # a service of 16 slots of 100 ms: more calls only wait longer
        for call in calls:
            limit.succeeded(call, now_s, 10, saturated=True)
    assert limit.limit <= 64


def test_an_idle_limit_does_not_grow() -> None:
    limit = AdaptiveLimit(64, 0.0)
    for second in range(100):
        limit.succeeded(limit.admit(float(second)), second + 0.1, 10, saturated=False)
    assert limit.limit == START


def test_a_burst_of_refusals_shrinks_once() -> None:
    limit = AdaptiveLimit(64, 0.0)
    now_s = served(limit, 0.0, 0.1, 3)
    calls = [limit.admit(now_s) for _ in range(60)]
    assert [limit.refused(call, now_s) for call in calls].count(True) == 1
    assert limit.limit == 44


def test_a_time_out_halves() -> None:
    limit = AdaptiveLimit(64, 0.0)
    now_s = served(limit, 0.0, 0.1, 3)
    assert limit.timed_out(limit.admit(now_s), now_s)
    assert limit.limit == 32


def test_after_a_refusal_it_grows_by_one_for_each_25_successes() -> None:
    limit = AdaptiveLimit(64, 0.0)
    limit.refused(limit.admit(0.0), 0.0)
    assert limit.limit == 5
    for number in range(50):
        limit.succeeded(limit.admit(number / 10), number / 10 + 0.1, 10, saturated=True)
    assert limit.limit == 7


def test_slower_tokens_without_more_throughput_give_some_back() -> None:
    limit = AdaptiveLimit(64, 0.0)
    now_s = served(limit, 0.0, 0.1, 4)
    assert limit.limit == 64
    now_s = served(limit, now_s, 0.1, 2)
    served(limit, now_s, 1.0, 3)
    assert START < limit.limit < 64


def test_short_answers_among_long_ones_are_no_slowness() -> None:
    limit = AdaptiveLimit(16, 0.0)
    now_s = 0.0
    lengths = [200, 200, 15, 180, 12, 220]
    for number in range(200):
        calls = [limit.admit(now_s) for _ in range(limit.limit)]
        now_s += 0.1
        for place, call in enumerate(calls):
            tokens = lengths[(number + place) % len(lengths)]
            kind = "judge" if tokens < 100 else "generate"
            limit.succeeded(call, now_s, tokens, saturated=True, kind=kind)
    assert limit.limit == 16


def test_slowness_alone_never_takes_it_below_its_start() -> None:
    limit = AdaptiveLimit(64, 0.0)
    now_s = served(limit, 0.0, 0.1, 6)
    for _ in range(60):
        now_s = served(limit, now_s, 5.0, 1)
    assert limit.limit >= START


@given(
    ceiling=st.integers(1, 200),
    events=st.lists(st.tuples(st.sampled_from(["ok", "refused", "late"]), st.floats(0.001, 10)), max_size=300),
)
def test_stays_between_one_and_the_ceiling(ceiling: int, events: list[tuple[str, float]]) -> None:
    limit = AdaptiveLimit(ceiling, 0.0)
    now_s = 0.0
    for kind, seconds in events:
        call = limit.admit(now_s)
        now_s += seconds
        if kind == "ok":
            limit.succeeded(call, now_s, 5, saturated=True)
        elif kind == "refused":
            limit.refused(call, now_s)
        else:
            limit.timed_out(call, now_s)
        assert 1 <= limit.limit <= ceiling
