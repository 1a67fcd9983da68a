import pytest

from tidemill.identity.attempts import MAX_NAMES, PER_ACCOUNT, PER_ADDRESS, WINDOW_S, SignInAttempts
from tidemill.identity.errors import TooManyAttempts
from tidemill.kernel import clock


def test_ten_failures_close_an_account_from_every_address() -> None:
    attempts = SignInAttempts()
    for number in range(PER_ACCOUNT):
        attempts.begin("alice", f"10.0.0.{number}")
    with pytest.raises(TooManyAttempts) as refused:
        attempts.begin("alice", "10.0.9.9")
    assert refused.value.retry_after_s is not None
    assert WINDOW_S - 5 < refused.value.retry_after_s <= WINDOW_S
    attempts.begin("bob", "10.0.9.9")


def test_a_hundred_failures_close_an_address_for_every_account() -> None:
    attempts = SignInAttempts()
    for number in range(PER_ADDRESS):
        attempts.begin(f"user{number}", "10.0.0.1")
    with pytest.raises(TooManyAttempts):
        attempts.begin("somebody else", "10.0.0.1")
    attempts.begin("somebody else", "10.0.0.2")


def test_successes_do_not_count() -> None:
    attempts = SignInAttempts()
    for _ in range(PER_ADDRESS * 2):
        attempts.begin("alice", "10.0.0.1").succeeded()
    attempts.begin("alice", "10.0.0.1")


def test_attempts_under_way_count_so_that_many_at_once_do_not_slip_under() -> None:
    attempts = SignInAttempts()
    pending = [attempts.begin("alice", None) for _ in range(PER_ACCOUNT)]
    with pytest.raises(TooManyAttempts):
        attempts.begin("alice", None)
    pending[3].succeeded()
    attempts.begin("alice", None)


def test_the_account_opens_again_when_the_wait_is_over() -> None:
    attempts = SignInAttempts()
    for _ in range(PER_ACCOUNT):
        attempts.begin("alice", None)
    with pytest.raises(TooManyAttempts) as refused:
        attempts.begin("alice", None)
    with clock.shifted((refused.value.retry_after_s or 0) + 0.01):
        attempts.begin("alice", None)


def test_off_limits_nothing() -> None:
    attempts = SignInAttempts(limited=False)
    for _ in range(PER_ADDRESS + PER_ACCOUNT):
        attempts.begin("alice", "10.0.0.1")


def test_memory_is_bounded() -> None:
    attempts = SignInAttempts()
    for number in range(MAX_NAMES + 100):
        attempts.begin(f"user{number}", None)
    assert len(attempts) == MAX_NAMES
