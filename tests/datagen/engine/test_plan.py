"""Items, directions and draws: dense numbers, fair shares, the same prompts after a restart."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datagen.engine.fakes import plan
from tidemill.datagen.engine.pending import Finished
from tidemill.datagen.plan import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    Permutation,
    Quotas,
    TaskPlan,
    chunk_items,
    draw,
    item_number,
    item_of,
    largest_remainder,
)

sizes = st.integers(1, 6)


@given(samples=sizes, rounds=sizes, variants=sizes, step=st.integers(1, 7))
def test_every_item_is_handed_out_once(samples: int, rounds: int, variants: int, step: int) -> None:
    wanted = plan(samples=samples, rounds=rounds, variants=variants)
    numbers = [
        item.number
        for round_no in range(rounds)
        for first in range(0, samples, step)
        for item in chunk_items(wanted, round_no, first, step)
    ]
    assert sorted(numbers) == list(range(wanted.total))


@given(samples=sizes, rounds=sizes, variants=sizes)
def test_a_number_and_its_item_name_each_other(samples: int, rounds: int, variants: int) -> None:
    wanted = plan(samples=samples, rounds=rounds, variants=variants)
    for number in range(wanted.total):
        item = item_of(wanted, number)
        assert item_number(wanted, item.sample, item.round, item.variant) == number


def test_variants_of_a_sample_stand_side_by_side() -> None:
    items = list(chunk_items(plan(), 0, 0, 2))
    assert [(item.sample, item.variant) for item in items] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


@given(size=st.integers(1, 3000), seed=st.integers(-(2**53), 2**53))
@settings(max_examples=40)
def test_the_shuffle_is_one_to_one(size: int, seed: int) -> None:
    shuffle = Permutation(size, seed)
    assert sorted(shuffle.at(index) for index in range(size)) == list(range(size))


@given(total=st.integers(0, 10_000), weights=st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_parts_add_up_and_stay_within_one_of_their_share(total: int, weights: list[int]) -> None:
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1


def test_directions_share_the_items_evenly_and_are_mixed() -> None:
    wanted = plan(samples=50, rounds=1, variants=2, directions=("fees", "limits", "loss"))
    quotas = Quotas(wanted)
    given_out = [quotas.direction(number) for number in range(wanted.total)]
    assert Counter(given_out) == {"fees": 34, "limits": 33, "loss": 33}
    assert len(set(given_out[:10])) == 3


def test_without_directions_items_have_none() -> None:
    assert Quotas(plan()).direction(3) is None


def test_a_restart_draws_the_same() -> None:
    wanted = plan(directions=("fees", "limits"))
    again = msgspec.convert(msgspec.to_builtins(wanted), TaskPlan)
    for number in range(wanted.total):
        item = item_of(wanted, number)
        assert draw(wanted, Quotas(wanted), item, 1) == draw(again, Quotas(again), item, 1)


def test_attempts_keep_their_persona_and_change_their_seed() -> None:
    wanted = plan()
    item = item_of(wanted, 5)
    first, second = (draw(wanted, Quotas(wanted), item, attempt) for attempt in (0, 1))
    assert (first.persona, first.style, first.difficulty) == (second.persona, second.style, second.difficulty)
    assert first.seed != second.seed


def test_items_differ_from_each_other() -> None:
    wanted = plan(samples=40)
    draws = [draw(wanted, Quotas(wanted), item_of(wanted, number), 0) for number in range(wanted.total)]
    assert len({one.persona for one in draws}) > 8
    assert len({one.seed for one in draws}) == wanted.total


@given(warmer=st.floats(-2, 2))
def test_temperature_stays_in_bounds(warmer: float) -> None:
    wanted = plan()
    one = draw(wanted, Quotas(wanted), item_of(wanted, 0), 0, warmer=warmer)
    assert MIN_TEMPERATURE <= one.temperature <= MAX_TEMPERATURE


@given(numbers=st.sets(st.integers(0, 99)))
def test_finished_items_are_counted_once(numbers: set[int]) -> None:
    finished = Finished(100)
    for number in [*numbers, *numbers]:
        finished.add(number)
    assert finished.count == len(numbers)
    assert finished.left == 100 - len(numbers)
    assert {number for number in range(100) if number in finished} == numbers
