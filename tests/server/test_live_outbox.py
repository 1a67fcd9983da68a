"""What waits for a watcher is bounded, folds by key, and never loses the newest of a key."""

from hypothesis import given
from hypothesis import strategies as st

from tidemill.server.live.outbox import LIMIT, Outbox, Outgoing


def drained(outbox: Outbox) -> list[Outgoing]:
    found: list[Outgoing] = []
    while (message := outbox.take()) is not None:
        found.append(message)
    return found


def test_a_reader_that_keeps_up_sees_every_event() -> None:
    outbox = Outbox()
    sent = [Outgoing("event", str(number).encode(), fold="task:1") for number in range(LIMIT)]
    assert all(outbox.put(message) for message in sent)
    assert drained(outbox) == sent


def test_past_the_bound_only_the_newest_of_a_key_is_kept() -> None:
    outbox = Outbox()
    for number in range(LIMIT * 4):
        assert outbox.put(Outgoing("event", str(number).encode(), fold=f"task:{number % 3}"))
    assert len(outbox) <= LIMIT
    assert drained(outbox)[-1].data == str(LIMIT * 4 - 1).encode()


def test_too_many_keys_are_refused() -> None:
    outbox = Outbox()
    assert [outbox.put(Outgoing("event", b"", fold=str(number))) for number in range(LIMIT + 1)].count(False) == 1


def test_what_may_not_be_folded_is_not() -> None:
    outbox = Outbox()
    assert all(outbox.put(Outgoing("delta", str(number).encode())) for number in range(LIMIT))
    assert not outbox.put(Outgoing("delta", b"one too many"))


@given(st.lists(st.sampled_from([*"abcdefgh", ""]), max_size=LIMIT * 3))
def test_order_and_the_newest_of_each_key_survive_any_folding(folds: list[str]) -> None:
    outbox = Outbox()
    taken = [outbox.put(Outgoing("event", str(number).encode(), fold=fold)) for number, fold in enumerate(folds)]
    if not all(taken):
        return
    left = drained(outbox)
    numbers = [int(message.data) for message in left]
    assert numbers == sorted(numbers)
    newest = {fold: number for number, fold in enumerate(folds)}
    assert {int(message.data) for message in left} >= {number for fold, number in newest.items() if fold}
    assert [number for number, fold in enumerate(folds) if not fold] == [
        int(message.data) for message in left if not message.fold
    ]
