"""The engine of one process against a plain list of calls, whatever happens in whatever order."""

import copy
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple, rule

from tidemill.relay.limits import Bound, Claim, MemoryLimits, Refusal

MINUTE_MS = 60_000
NAMES = ("key:a", "user:1", "model:m", "channel:7")
LIMIT = st.none() | st.integers(0, 6)
BOUNDS = st.tuples(
    *(
        st.builds(Bound, st.just(name), LIMIT, st.none() | st.sampled_from([0, 10, 25, 60]), LIMIT)
        | st.just(Bound(name))
        for name in NAMES
    )
)


@dataclass
class Call:
    claim: Claim
    bounds: tuple[Bound, ...]
    at_ms: int
    tokens: int
    under_way: bool = True
    counts: bool = True


class Limits(RuleBasedStateMachine):
    """Claims, corrections and releases at every moment; the model looks through all calls ever made."""

    calls = Bundle[Call]("calls")

    def __init__(self) -> None:
        super().__init__()
        self.limits = MemoryLimits()
        self.now_ms = 1_000_000
        self.made: list[Call] = []

    def seconds(self) -> float:
        return self.now_ms / 1000

    def of_minute(self, name: str) -> list[Call]:
        return [
            call
            for call in self.made
            if call.counts
            and call.at_ms > self.now_ms - MINUTE_MS
            and any(b.name == name and (b.rpm is not None or b.tpm is not None) for b in call.bounds)
        ]

    def in_flight(self, name: str) -> int:
        return sum(call.under_way and any(b.name == name and not b.is_open for b in call.bounds) for call in self.made)

    def broken(self, bounds: tuple[Bound, ...], tokens: int) -> set[tuple[str, str, int]]:
        found: set[tuple[str, str, int]] = set()
        for bound in bounds:
            minute = self.of_minute(bound.name)
            if bound.rpm is not None and len(minute) + 1 > bound.rpm:
                found.add((bound.name, "rpm", bound.rpm))
            if bound.tpm is not None and sum(call.tokens for call in minute) + tokens > bound.tpm:
                found.add((bound.name, "tpm", bound.tpm))
            if bound.concurrent is not None and self.in_flight(bound.name) + 1 > bound.concurrent:
                found.add((bound.name, "concurrent", bound.concurrent))
        return found

    @rule(milliseconds=st.integers(0, 3000) | st.integers(0, 70_000))
    def wait(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    @rule(target=calls, bounds=BOUNDS, tokens=st.integers(0, 30))
    def claim(self, bounds: tuple[Bound, ...], tokens: int) -> Call | MultipleResults[Call]:
        broken = self.broken(bounds, tokens)
        peeked = self.limits.check(bounds, tokens, self.seconds())
        outcome = self.limits.claim(bounds, tokens, self.seconds())
        if isinstance(outcome, Refusal):
            assert outcome == peeked
            assert (outcome.bound, outcome.what, outcome.limit) in broken
            self.comes_back(outcome, bounds, tokens)
            return multiple()
        assert peeked is None
        assert not broken
        call = Call(outcome, bounds, self.now_ms, tokens)
        self.made.append(call)
        return call

    def comes_back(self, refusal: Refusal, bounds: tuple[Bound, ...], tokens: int) -> None:
        """Take the refusal at its word: after its seconds the call is let in, a millisecond sooner it is not."""
        alone = next(bound for bound in bounds if bound.name == refusal.bound)
        if refusal.never:
            assert MemoryLimits().check((alone,), tokens, 0.0) is not None
            return
        assert all(bound.admits_alone(tokens) for bound in bounds)
        if refusal.what == "concurrent":
            return
        assert 0 < refusal.retry_after_s <= 60
        sooner = copy.deepcopy(self.limits).check(bounds, tokens, self.seconds() + refusal.retry_after_s - 0.001)
        assert sooner is not None
        then = copy.deepcopy(self.limits).check(bounds, tokens, self.seconds() + refusal.retry_after_s)
        assert then is None or then.what == "concurrent"

    @rule(call=calls, tokens=st.integers(0, 40))
    def correct(self, call: Call, tokens: int) -> None:
        self.limits.correct(call.claim, tokens)
        call.tokens = tokens

    @rule(call=calls, refused=st.booleans())
    def release(self, call: Call, refused: bool) -> None:  # noqa: FBT001 - drawn by name
        self.limits.release(call.claim, refused=refused)
        if call.under_way:
            call.under_way = False
            call.counts = not refused

    @invariant()
    def what_is_left_is_told(self) -> None:
        bounds = [Bound(name, 5, 50, 5) for name in NAMES]
        for standing in self.limits.standing(bounds, self.seconds()):
            minute = self.of_minute(standing.bound)
            assert standing.rpm_remaining == max(0, 5 - len(minute))
            assert standing.tpm_remaining == max(0, 50 - sum(call.tokens for call in minute))
            assert standing.in_flight == self.in_flight(standing.bound)
            assert standing.rpm_reset_s == self.left_s([call.at_ms for call in minute])
            assert standing.tpm_reset_s == self.left_s([call.at_ms for call in minute if call.tokens])

    def left_s(self, moments_ms: list[int]) -> float:
        return (max(moments_ms) + MINUTE_MS - self.now_ms) / 1000 if moments_ms else 0.0


TestLimits = Limits.TestCase
TestLimits.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
