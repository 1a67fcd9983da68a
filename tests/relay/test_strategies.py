"""Each strategy keeps its promise, and none names a channel that was not offered."""

import random
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.relay.states import state
from tidemill.relay.channel_state import NO_KEY, ChannelState, Ending, Verdict
from tidemill.relay.contracts import Price, Strategy
from tidemill.relay.strategies import Choice, Turns, pick

ALL: tuple[Strategy, ...] = get_args(Strategy)


def choice(turns: Turns | None = None, *, affinity: str = "", seed: int = 1, now: float = 0.0) -> Choice:
    draw = random.Random(seed).random  # noqa: S311 - a repeatable draw
    return Choice("m", now, turns or Turns(), draw, affinity)


def served(strategy: Strategy, tier: list[ChannelState], times: int) -> Counter[int]:
    """Return how often each was chosen, everyone free at every choice."""
    made = choice()
    return Counter(pick(strategy, tier, made).channel.id for _ in range(times))


def ended(one: ChannelState, *, at: float, latency_ms: float | None = None, bad: bool = False) -> None:
    one.enter("m", NO_KEY)
    one.leave("m", NO_KEY, Ending(Verdict.BAD if bad else Verdict.GOOD, latency_ms=latency_ms), at)


@given(st.sampled_from(ALL), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.text(max_size=8))
def test_only_what_is_free_is_chosen(strategy: Strategy, weights: list[int], affinity: str) -> None:
    tier = [state(number, weight=weight) for number, weight in enumerate(weights, 1)]
    assert pick(strategy, tier, choice(affinity=affinity)) in tier


@pytest.mark.parametrize("strategy", ["random", "weighted"])
def test_weights_are_kept(strategy: Strategy) -> None:
    found = served(strategy, [state(1, weight=1), state(2, weight=3), state(3, weight=6)], 10_000)
    for number, share in ((1, 0.1), (2, 0.3), (3, 0.6)):
        assert abs(found[number] / 10_000 - share) < 0.02


@given(st.lists(st.integers(1, 7), min_size=2, max_size=5))
def test_smooth_weights_are_exact_over_every_round_and_never_far_off_within(weights: list[int]) -> None:
    tier = [state(number, weight=weight) for number, weight in enumerate(weights)]
    made, total, counted = choice(), sum(weights), Counter[int]()
    for step in range(1, 3 * total + 1):
        counted[pick("weighted", tier, made).channel.id] += 1
        for number, weight in enumerate(weights):
            assert abs(counted[number] - step * weight / total) < len(weights)
        if step % total == 0:
            assert [counted[number] for number in range(len(weights))] == [w * step // total for w in weights]


def test_round_robin_takes_everyone_in_turn_whoever_is_missing() -> None:
    one, two, three = state(1), state(2), state(3)
    made = choice()
    assert [pick("round_robin", [one, two, three], made).channel.id for _ in range(4)] == [1, 2, 3, 1]
    assert pick("round_robin", [one, three], made) is three
    assert pick("round_robin", [one, two, three], made) is one


def test_least_errors_leaves_out_who_fails_of_late_and_forgives() -> None:
    good, bad = state(1), state(2)
    for _ in range(4):
        ended(good, at=0.0)
        ended(bad, at=0.0, bad=True)
    good.enter("m", NO_KEY)
    assert pick("least_errors", [bad, good], choice()) is good
    assert pick("least_errors", [bad, good], choice(now=600.0)) is bad, "long ago: then the less busy"


def test_lowest_latency_is_quick_to_see_a_peak_and_slow_to_forget_it() -> None:
    fast, slow = state(1), state(2)
    for _ in range(5):
        ended(fast, at=0.0, latency_ms=100.0)
        ended(slow, at=0.0, latency_ms=300.0)
    assert pick("lowest_latency", [slow, fast], choice()) is fast
    for _ in range(3):
        fast.enter("m", NO_KEY)
    assert pick("lowest_latency", [slow, fast], choice()) is slow, "four times as many calls wait there"
    for _ in range(3):
        fast.leave("m", NO_KEY, Ending(Verdict.GOOD, latency_ms=100.0), 1.0)
    ended(fast, at=1.0, latency_ms=5000.0)
    assert pick("lowest_latency", [slow, fast], choice()) is slow, "one peak counts at once"
    ended(fast, at=2.0, latency_ms=100.0)
    assert pick("lowest_latency", [slow, fast], choice()) is slow
    for second in range(3, 60):
        ended(fast, at=float(second), latency_ms=100.0)
    assert pick("lowest_latency", [slow, fast], choice()) is fast


def test_a_streams_first_content_is_its_latency() -> None:
    stream = state(1)
    stream.enter("m", NO_KEY)
    stream.leave("m", NO_KEY, Ending(Verdict.GOOD, latency_ms=60_000.0, first_ms=200.0), 0.0)
    assert stream.latency.ms == 200.0
    assert stream.percentile_ms(0.5) == 60_000.0


def test_a_channel_nobody_knows_is_tried() -> None:
    known, new = state(1), state(2)
    ended(known, at=0.0, latency_ms=1.0)
    assert pick("lowest_latency", [known, new], choice()) is new


def test_least_in_flight_counts_by_weight() -> None:
    small, large = state(1, weight=1), state(2, weight=4)
    for _ in range(2):
        large.enter("m", NO_KEY)
    assert pick("least_in_flight", [small, large], choice()) is large
    for _ in range(2):
        large.enter("m", NO_KEY)
    assert pick("least_in_flight", [small, large], choice()) is small


def test_the_lowest_price_of_the_model_counts_and_no_price_comes_last() -> None:
    dear = state(1, prices={"m": Price(input=3, output=15)})
    cheap = state(2, prices={"*": Price(input=1, output=2), "n": Price(input=90, output=90)})
    unknown = state(3)
    assert pick("lowest_price", [unknown, dear, cheap], choice()) is cheap
    assert pick("lowest_price", [unknown, dear], choice()) is dear


def test_the_same_conversation_stays_and_a_lost_channel_moves_only_its_own() -> None:
    tier = [state(number, weight=weight) for number, weight in ((1, 1), (2, 1), (3, 2))]
    names = [f"talk-{number}" for number in range(4000)]
    before = {name: pick("consistent_hash", tier, choice(affinity=name)).channel.id for name in names}
    assert before == {name: pick("consistent_hash", tier, choice(affinity=name)).channel.id for name in names}
    shares = Counter(before.values())
    for number, share in ((1, 0.25), (2, 0.25), (3, 0.5)):
        assert abs(shares[number] / len(names) - share) < 0.03
    after = {name: pick("consistent_hash", tier[:2], choice(affinity=name)).channel.id for name in names}
    assert all(after[name] == number for name, number in before.items() if number != 3)
