from datetime import timedelta

from tidemill.audit.refusals import MAX_DISTINCT, Refusal, Refusals
from tidemill.kernel import clock


def refusal(subject: str = "sk-tm-abcd…wxyz", address: str = "192.0.2.1") -> Refusal:
    return Refusal("credential.use", subject, "unknown_key", address)


def test_a_flood_of_one_bad_key_makes_one_entry_a_minute() -> None:
    refusals = Refusals()
    # From the beginning of a minute, so that none of this straddles two.
    with clock.shifted(60 - clock.now().second):
        for _ in range(500):
            refusals.note(refusal())
        with clock.shifted(60):
            refusals.note(refusal())
    taken = refusals.take()
    assert [count for _, _, count in taken] == [500, 1]
    assert taken[1][0] - taken[0][0] == timedelta(minutes=1)
    assert refusals.take() == []


def test_another_key_address_or_reason_is_another_entry() -> None:
    refusals = Refusals()
    refusals.note(refusal())
    refusals.note(refusal(address="192.0.2.2"))
    refusals.note(refusal(subject="other"))
    assert len(refusals.take()) == 3


def test_memory_is_bounded_and_nothing_goes_uncounted() -> None:
    refusals = Refusals()
    for number in range(MAX_DISTINCT * 3):
        refusals.note(refusal(subject=f"key {number}"))
    taken = refusals.take()
    # At most one "others" for each minute that passed meanwhile.
    assert len(taken) <= MAX_DISTINCT + 2
    assert sum(count for _, _, count in taken) == MAX_DISTINCT * 3


def test_what_could_not_be_written_is_counted_again() -> None:
    refusals = Refusals()
    refusals.note(refusal())
    taken = refusals.take()
    refusals.note(refusal())
    refusals.give_back(taken)
    assert sum(count for _, _, count in refusals.take()) == 2
