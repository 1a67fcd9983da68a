"""One process's limits: what they cost in memory, and what the engines' common suite cannot see."""

import pytest

from tidemill.relay.limits import Bound, Claim, MemoryLimits, Refusal


def test_idle_names_are_forgotten() -> None:
    limits = MemoryLimits()
    for second in range(10_000):
        claim = limits.claim((Bound(f"key:{second}", rpm=5),), 1, float(second))
        assert isinstance(claim, Claim)
        limits.release(claim)
    assert len(limits) < 200


def test_names_that_fell_silent_are_forgotten_while_others_go_on() -> None:
    limits = MemoryLimits()
    for number in range(1000):
        claim = limits.claim((Bound(f"key:{number}", rpm=5),), 1, 0.0)
        assert isinstance(claim, Claim)
        limits.release(claim)
    for turn in range(20_000):
        claim = limits.claim((Bound("key:busy", concurrent=5),), 1, 61.0 + turn)
        assert isinstance(claim, Claim)
        limits.release(claim)
    assert len(limits) == 1


def test_a_name_in_use_is_never_forgotten() -> None:
    limits = MemoryLimits()
    slow = Bound("key:slow", concurrent=1)
    assert isinstance(limits.claim((slow,), 1, 0.0), Claim)
    for second in range(5000):
        claim = limits.claim((Bound(f"key:{second}", rpm=5),), 1, float(second))
        assert isinstance(claim, Claim)
        limits.release(claim)
    assert limits.check((slow,), 1, 5000.0) is not None


def test_open_bounds_are_not_counted() -> None:
    limits = MemoryLimits()
    claim = limits.claim((Bound("key:1"), Bound("user:1")), 10, 0.0)
    assert isinstance(claim, Claim)
    assert len(limits) == 0
    limits.correct(claim, 20)
    limits.release(claim)


def test_asking_makes_no_name_known() -> None:
    limits = MemoryLimits()
    bound = Bound("key:1", rpm=1, tpm=1, concurrent=1)
    assert limits.check((bound,), 1, 0.0) is None
    assert limits.check((bound,), 2, 0.0) is not None
    assert limits.standing((bound,), 0.0)[0].rpm_remaining == 1
    assert len(limits) == 0


def test_calls_taken_back_hold_no_memory() -> None:
    limits = MemoryLimits()
    bound = Bound("key:1", rpm=2)
    first = limits.claim((bound,), 1, 0.0)
    assert isinstance(first, Claim)
    for _ in range(10_000):
        older = limits.claim((bound,), 1, 1.0)
        assert isinstance(older, Claim)
        limits.release(older, refused=True)
    assert limits.kept == 1


def test_calls_taken_back_out_of_order_hold_no_memory() -> None:
    limits = MemoryLimits()
    bound = Bound("key:1", rpm=2)
    previous = None
    for _ in range(10_000):
        claim = limits.claim((bound,), 1, 1.0)
        assert isinstance(claim, Claim)
        if previous is not None:
            limits.release(previous, refused=True)
        previous = claim
    assert limits.kept < 100
    assert limits.standing((bound,), 1.0)[0].rpm_remaining == 1


def test_a_clock_that_goes_back_opens_nothing() -> None:
    limits = MemoryLimits()
    bound = Bound("key:1", rpm=1)
    assert isinstance(limits.claim((bound,), 1, 100.0), Claim)
    assert limits.check((bound,), 1, 50.0) is not None
    assert limits.check((bound,), 1, 160.0) is None


def test_a_call_taken_back_from_the_middle_of_the_minute_is_not_waited_for() -> None:
    limits = MemoryLimits()
    bound = Bound("key:1", rpm=2, tpm=100)
    first, second = limits.claim((bound,), 50, 0.0), limits.claim((bound,), 50, 10.0)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    limits.release(first, refused=True)
    assert isinstance(limits.claim((bound,), 50, 20.0), Claim)
    calls = limits.check((Bound("key:1", rpm=2),), 0, 30.0)
    assert calls == Refusal("key:1", "rpm", 2, 40.0)
    tokens = limits.check((Bound("key:1", tpm=100),), 50, 30.0)
    assert tokens == Refusal("key:1", "tpm", 100, 40.0)


def test_the_longest_wait_is_told() -> None:
    limits = MemoryLimits()
    key, user = Bound("key:1", rpm=1, concurrent=9), Bound("user:1", tpm=100)
    assert isinstance(limits.claim((user,), 100, 0.0), Claim)
    assert isinstance(limits.claim((key,), 1, 30.0), Claim)
    assert limits.check((user, key), 1, 31.0) == Refusal("key:1", "rpm", 1, 59.0)
    assert limits.check((key, user), 1, 59.5) == Refusal("key:1", "rpm", 1, 30.5)
    assert limits.check((key, user), 101, 59.5) == Refusal("user:1", "tpm", 100, 0.0, never=True)


def test_a_claim_of_other_limits_is_an_error() -> None:
    mine, other = MemoryLimits(), Claim("1", (), 0, 0)
    with pytest.raises(TypeError):
        mine.release(other)
    with pytest.raises(TypeError):
        mine.correct(other, 1)
