"""What keeps calls from a channel: itself, one of its keys, or one model by one key, and no more than that."""

import pytest

from tests.relay.states import channel, state
from tidemill.relay.channel_state import KEY_REST_S, NO_KEY, ChannelState, Ending, Verdict
from tidemill.relay.errors import FailureKind, UpstreamBusy, UpstreamFailed, UpstreamTimedOut
from tidemill.relay.shifts import Shift

GOOD = Ending(Verdict.GOOD, latency_ms=5.0)


def fails(one: ChannelState, kind: FailureKind, model: str = "m", at: float = 0.0) -> str:
    """Make a call that fails so; returns the id of the key that was used."""
    key = one.usable_key(model, at)
    assert key is not None
    one.enter(model, key)
    one.leave(model, key, Ending(Verdict.BAD, UpstreamFailed("why", kind=kind)), at)
    return key.id


def succeeds(one: ChannelState, model: str = "m", at: float = 0.0) -> str:
    key = one.usable_key(model, at)
    assert key is not None
    one.enter(model, key)
    one.leave(model, key, GOOD, at)
    return key.id


def test_keys_take_turns() -> None:
    one = state(1, keys=("a", "b", "c"))
    assert [succeeds(one) for _ in range(4)] == ["a", "b", "c", "a"]


def test_a_service_that_cannot_be_reached_is_left_alone_with_all_keys_and_models() -> None:
    told: list[Shift] = []
    one = state(1, told.append, keys=("a", "b"), models={"m": "m", "n": "n"})
    fails(one, "transport")
    fails(one, "transport", "n")
    assert not one.admits("m", 1.0)
    assert not one.admits("n", 1.0)
    assert (one.breaker_state(1.0), one.block("m", 1.0)) == ("open", one.block("n", 1.0))
    succeeds(one, at=6.0)
    assert one.breaker_state(6.0) == "closed"
    assert [(shift.kind, shift.model, shift.key_id) for shift in told] == [
        ("opened", None, None),
        ("closed", None, None),
    ]


def test_a_model_that_fails_by_one_key_is_left_to_the_others() -> None:
    told: list[Shift] = []
    one = state(1, told.append, keys=("a", "b"), models={"m": "m", "n": "n"})
    assert [fails(one, "server"), succeeds(one), fails(one, "server")] == ["a", "b", "a"]
    assert [succeeds(one, at=1.0) for _ in range(3)] == ["b", "b", "b"], "the key's breaker for this model is open"
    assert {succeeds(one, "n", at=1.0) for _ in range(2)} == {"a", "b"}
    assert one.breaker_state(1.0) == "closed", "calls go through"
    (lane,) = one.lane_views(1.0)
    assert (lane.key_last4, lane.model, lane.breaker, lane.retry_in_s, lane.reason) == ("a", "m", "open", 4.0, "why")
    assert "a" in {succeeds(one, at=6.0) for _ in range(2)}, "half open: a call finds out"
    assert list(one.lane_views(6.0)) == []
    assert [(shift.kind, shift.model, shift.key_id) for shift in told] == [("opened", "m", "a"), ("closed", "m", "a")]


def test_one_call_at_a_time_finds_out() -> None:
    one = state(1, keys=("a",))
    for _ in range(2):
        fails(one, "server")
    key = one.usable_key("m", 6.0)
    assert key is not None
    one.enter("m", key)
    assert one.usable_key("m", 6.0) is None
    one.leave("m", key, Ending(Verdict.UNKNOWN), 6.0)
    assert one.usable_key("m", 6.0) is not None, "it told nothing: another may try"


@pytest.mark.parametrize(("kind", "shift"), [("auth", "key_refused"), ("balance", "key_broke")])
def test_a_refused_key_is_out_at_once_and_the_others_serve(kind: FailureKind, shift: str) -> None:
    told: list[Shift] = []
    one = state(1, told.append, keys=("a", "b"))
    assert fails(one, kind) == "a"
    assert [succeeds(one, at=1.0) for _ in range(2)] == ["b", "b"]
    assert [(said.kind, said.key_id, said.reason) for said in told] == [(shift, "a", "why")]
    fails(one, kind, at=1.0)
    assert one.usable_key("m", 2.0) is None
    blocked = one.block("m", 2.0)
    assert blocked is not None
    assert (blocked.by, blocked.wait_s) == ("key", KEY_REST_S - 2.0)
    assert one.usable_key("m", KEY_REST_S + 1.0) is not None


def test_a_key_that_comes_back_is_not_held_to_what_it_was() -> None:
    one = state(1, keys=("a", "b"))
    fails(one, "auth")
    one.update(channel(1, keys=("b",)))
    one.update(channel(1, keys=("a", "b")))
    assert {succeeds(one, at=1.0) for _ in range(2)} == {"a", "b"}


def test_a_channel_without_a_key_can_be_refused_too() -> None:
    one = state(1)
    fails(one, "auth")
    assert one.usable_key("m", 1.0) is None


def test_a_pause_that_was_asked_for_is_kept_by_that_key_for_that_model() -> None:
    one = state(1, keys=("a", "b"), models={"m": "m", "n": "n"})
    key = one.usable_key("m", 0.0)
    assert key is not None
    one.enter("m", key)
    one.leave("m", key, Ending(Verdict.GOOD, UpstreamBusy("later", retry_after_s=30.0)), 0.0)
    assert {succeeds(one, at=1.0) for _ in range(3)} == {"b"}
    assert "a" in {succeeds(one, "n", at=1.0) for _ in range(2)}
    assert one.breaker_state(1.0) == "closed"
    assert "a" in {succeeds(one, at=31.0) for _ in range(2)}
    assert list(one.lane_views(31.0)) == []


def test_a_503_with_a_pause_keeps_calls_away_for_as_long() -> None:
    one = state(1)
    one.enter("m", NO_KEY)
    busy = UpstreamFailed("full", kind="server", upstream_status=503, retry_after_s=20.0)
    one.leave("m", NO_KEY, Ending(Verdict.BAD, busy), 0.0)
    assert not one.admits("m", 19.0)
    assert one.admits("m", 20.5)


def test_a_time_out_says_nothing_of_the_address() -> None:
    one = state(1, models={"m": "m", "n": "n"})
    for _ in range(2):
        one.enter("m", NO_KEY)
        one.leave("m", NO_KEY, Ending(Verdict.BAD, UpstreamTimedOut("slow")), 0.0)
    assert not one.admits("m", 1.0)
    assert one.admits("n", 1.0)


def test_probes_count_for_the_whole_and_recent_calls_are_told_once() -> None:
    told: list[Shift] = []
    one = state(1, told.append)
    one.probed(0.0, "refused")
    one.probed(0.0, "refused")
    assert not one.admits("m", 1.0)
    assert one.last_error == "refused"
    one.probed(1.0, None)
    assert one.admits("m", 1.0)
    assert [shift.kind for shift in told] == ["opened", "closed"]
    succeeds(one)
    fails(one, "server")
    assert one.recent() == (2, 1)
    assert one.recent() == (0, 0)


def test_a_share_of_failures_opens_it_too() -> None:
    one = state(1)
    for number in range(40):
        if not one.admits("m", float(number) / 10):
            break
        if number % 2:
            fails(one, "server", at=number / 10)
        else:
            succeeds(one, at=number / 10)
    assert not one.admits("m", 4.0)


def test_a_service_too_busy_to_say_for_how_long_is_left_alone_ever_longer() -> None:
    one = state(1)
    (key,) = one.keys

    def is_refused(at: float) -> None:
        one.enter("m", key)
        one.leave("m", key, Ending(Verdict.GOOD, UpstreamBusy("too much")), at)

    def waits_s(at: float) -> float | None:
        block = one.block("m", at)
        return None if block is None else block.wait_s

    is_refused(0.0)
    is_refused(0.1)
    assert waits_s(0.2) == pytest.approx(0.8), "what was on its way meanwhile is the same refusal"
    now, pauses = 1.0, list[float]()
    for _ in range(6):
        is_refused(now)
        pauses.append(waits_s(now) or 0.0)
        now += pauses[-1]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert one.breaker_state(now) == "closed", "who asks for patience is not broken"
    succeeds(one, at=now)
    is_refused(now + 0.1)
    assert waits_s(now + 0.1) == 1.0, "it had served"


def test_the_end_of_a_pause_is_found_by_one_call_then_by_twice_as_many() -> None:
    one = state(1)
    (key,) = one.keys
    one.enter("m", key)
    one.leave("m", key, Ending(Verdict.GOOD, UpstreamBusy("wait", retry_after_s=10.0)), 0.0)
    assert (block := one.block("m", 4.0)) is not None
    assert (block.by, block.wait_s) == ("pause", 6.0)

    def let_in(at: float) -> int:
        """Return how many calls are let in at once."""
        count = 0
        while one.admits("m", at) and count < 100:
            one.enter("m", key)
            count += 1
        return count

    assert [let_in(10.0 + 0.25 * step) for step in range(5)] == [1, 1, 2, 4, 8]
    assert (block := one.block("m", 11.1)) is not None
    assert block.wait_s == pytest.approx(0.15)
    one.leave("m", key, Ending(Verdict.GOOD, UpstreamBusy("wait", retry_after_s=10.0)), 11.2)
    assert (let_in(21.1), let_in(21.2), let_in(21.3)) == (0, 1, 0), "a second refusal begins anew"
    assert let_in(23.2) == 100
