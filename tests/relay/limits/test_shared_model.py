"""The limits of many processes against those of one, which are proven against a plain list of calls."""

import asyncio
from contextlib import ExitStack
from uuid import uuid4

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType] - its types are incomplete
)

from tests.fixtures.valkey import ValkeyServer
from tidemill.kernel import clock
from tidemill.platform.telemetry.metrics import registry
from tidemill.relay.limits import Bound, Claim, MemoryLimits, Refusal
from tidemill.relay.limits.shared import SharedLimits

NAMES = ("key:a", "user:1", "model:m", "channel:7")
LIMIT = st.none() | st.integers(0, 6)
TOKENS = st.none() | st.sampled_from([0, 10, 25, 60])
BOUNDS = st.tuples(
    *(
        st.builds(Bound, st.just(name), LIMIT, st.none() | st.sampled_from([0, 10, 25, 60]), LIMIT)
        | st.just(Bound(name))
        for name in NAMES
    )
)
# Not a divisor of the minute: what the test itself takes of the real time then never decides.
TICK_S = 7
Pair = tuple[Claim, Claim]


class Limits(RuleBasedStateMachine):
    """Two processes that share a server, called in turn, and one engine in memory that hears of all."""

    claims = Bundle[tuple[SharedLimits, Pair]]("claims")
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.time = ExitStack()
        self.runner = asyncio.Runner()
        prefix = uuid4().hex
        self.processes = [SharedLimits(self.url, prefix=prefix, lease_s=10_000, timeout_s=30) for _ in range(2)]
        self.memory = MemoryLimits()
        for process in self.processes:
            self.runner.run(process.start())

    def teardown(self) -> None:
        self.time.close()
        for process in self.processes:
            self.runner.run(process.close())
        self.runner.close()

    @rule(ticks=st.integers(1, 9))
    def wait(self, ticks: int) -> None:
        self.time.enter_context(clock.shifted(ticks * TICK_S))

    @rule(target=claims, bounds=BOUNDS, tokens=st.integers(0, 30), turn=st.integers(0, 1))
    def claim(
        self, bounds: tuple[Bound, ...], tokens: int, turn: int
    ) -> tuple[SharedLimits, Pair] | MultipleResults[tuple[SharedLimits, Pair]]:
        process = self.processes[turn]
        expected = self.runner.run(self.memory.reserve(bounds, tokens))
        outcome = self.runner.run(process.reserve(bounds, tokens))
        if isinstance(expected, Claim):
            assert isinstance(outcome, Claim), outcome
            return process, (outcome, expected)
        assert isinstance(outcome, Refusal)
        assert outcome.never == expected.never
        assert abs(outcome.retry_after_s - expected.retry_after_s) < 3
        return multiple()

    @rule(claim=claims, tokens=st.integers(0, 40))
    def correct(self, claim: tuple[SharedLimits, Pair], tokens: int) -> None:
        process, (outcome, expected) = claim
        process.correct(outcome, tokens)
        self.memory.correct(expected, tokens)
        self.settle(process)

    @rule(claim=claims, refused=st.booleans())
    def release(self, claim: tuple[SharedLimits, Pair], refused: bool) -> None:  # noqa: FBT001 - drawn by name
        process, (outcome, expected) = claim
        assert process.release(outcome, refused=refused) == self.memory.release(expected, refused=refused)
        self.settle(process)

    def settle(self, process: SharedLimits) -> None:
        """Let what a process sent in the background arrive before another asks."""
        self.runner.run(process.look((Bound("key:nobody", rpm=1),)))

    @invariant()
    def what_is_left_is_the_same(self) -> None:
        bounds = [Bound(name, 5, 50, 5) for name in NAMES]
        found = self.runner.run(self.processes[0].look(bounds))
        expected = self.runner.run(self.memory.look(bounds))
        for mine, other in zip(found, expected, strict=True):
            assert (mine.rpm_remaining, mine.tpm_remaining, mine.in_flight) == (
                other.rpm_remaining,
                other.tpm_remaining,
                other.in_flight,
            )


def value_of(figure: str) -> float:
    return registry.get_sample_value(figure) or 0.0


def test_many_processes_are_held_as_one(valkey: ValkeyServer) -> None:
    machine = type("LimitsOfServer", (Limits,), {"url": valkey.url})
    before = value_of("tidemill_limits_shared_down_total")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a round trip a step: to shrink takes minutes
        ),
    )
    assert value_of("tidemill_limits_shared_down_total") == before, "no process judged alone"
