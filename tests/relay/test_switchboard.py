"""Whatever comes and goes in whatever order: no limit is passed, nobody waits beside a free place, nothing leaks."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.relay.states import channel
from tidemill.kernel import clock
from tidemill.relay.breaker import Breaker
from tidemill.relay.channel_state import UNTOLD, Ending, Verdict
from tidemill.relay.errors import NoChannelAvailable, RateLimited, UpstreamFailed
from tidemill.relay.grants import Grant
from tidemill.relay.limits.contracts import Bound
from tidemill.relay.limits.memory import MemoryLimits
from tidemill.relay.plan import Wish
from tidemill.relay.snapshot import build
from tidemill.relay.switchboard import Switchboard

CALLERS = ("a", "b", "c")
AT_ONCE = {"a": 1, "b": 2, "c": 3}
ENDINGS = (
    Ending(Verdict.GOOD, latency_ms=1.0),
    Ending(Verdict.BAD, UpstreamFailed("x", kind="server")),
    Ending(Verdict.BAD, UpstreamFailed("x", kind="transport")),
    UNTOLD,
)


class Board(RuleBasedStateMachine):
    """Two channels (2 and 1 places), three callers (1, 2 and 3 calls at once), 5 calls at once for the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.limits = MemoryLimits()
        self.board = Switchboard(lambda: Breaker(threshold=3, base_s=2.0), max_waiting=4, limits=self.limits)
        self.places: dict[int, int] = {1: 2, 2: 1}
        self.board.swap(build([channel(number, max_concurrent=most) for number, most in self.places.items()], []))
        self.held: list[Grant] = []
        self.waiting: dict[asyncio.Task[Grant], str] = {}
        self.moved = clock.shifted(0)
        self.moved.__enter__()
        self.seconds = 0.0

    def teardown(self) -> None:
        self.moved.__exit__(None, None, None)
        for task in self.waiting:
            task.cancel()
        self.settle()
        for grant in self.held:
            self.within(partial(self.board.release, grant, UNTOLD))
        self.settle()
        assert self.board.waiting == 0
        assert all(state.in_flight == 0 for state in self.board.states.values())
        names = [*(f"key:{caller}" for caller in CALLERS), "model:m", "channel:1", "channel:2"]
        standings = self.limits.standing([Bound(name, concurrent=1) for name in names], clock.monotonic())
        assert all(standing.in_flight == 0 for standing in standings)
        self.loop.close()

    def within(self, step: Callable[[], object]) -> None:
        """Do something in the loop, as the product does: it may set a timer."""

        async def inside() -> None:
            step()

        self.loop.run_until_complete(inside())

    def settle(self) -> None:
        """Let everything that can go on go on; keep those that were let in, forget those that were refused."""

        async def turns() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        for task in [task for task in self.waiting if task.done()]:
            del self.waiting[task]
            if not task.cancelled() and task.exception() is None:
                self.held.append(task.result())
            elif not task.cancelled():
                assert isinstance(task.exception(), RateLimited | NoChannelAvailable), task.exception()

    @rule(caller=st.sampled_from(CALLERS), excluded=st.sampled_from(((), (1,), (2,))))
    def come(self, caller: str, excluded: tuple[int, ...]) -> None:
        bounds = (Bound(f"key:{caller}", concurrent=AT_ONCE[caller]), Bound("model:m", concurrent=5))
        wish = Wish(model="m", caller=caller, wait_s=3600.0, bounds=bounds, excluded=excluded)
        self.waiting[self.loop.create_task(self.board.acquire(wish))] = caller
        self.settle()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), ending=st.sampled_from(ENDINGS), again=st.booleans())
    def leave(self, data: st.DataObject, ending: Ending, *, again: bool) -> None:
        grant = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.within(lambda: self.board.release(grant, ending, is_taken_back=again))
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(list(self.waiting))).cancel()
        self.settle()

    @rule(number=st.sampled_from((1, 2)), most=st.integers(1, 3))
    def change(self, number: int, most: int) -> None:
        self.places[number] = most
        snapshot = build([channel(one, max_concurrent=places) for one, places in self.places.items()], [])
        self.within(lambda: self.board.swap(snapshot))
        self.settle()

    @rule(seconds=st.integers(1, 10))
    def time_passes(self, seconds: int) -> None:
        self.moved.__exit__(None, None, None)
        self.seconds += seconds
        self.moved = clock.shifted(self.seconds)
        self.moved.__enter__()
        self.within(lambda: self.board.swap(self.board.snapshot))  # as a timer would: those who wait are looked at
        self.settle()

    @invariant()
    def nobody_is_past_a_limit(self) -> None:
        by_caller = {caller: sum(grant.wish.caller == caller for grant in self.held) for caller in CALLERS}
        assert all(by_caller[caller] <= AT_ONCE[caller] for caller in CALLERS)
        assert len(self.held) <= 5
        for number, state in self.board.states.items():
            assert state.in_flight == sum(grant.channel.id == number for grant in self.held)

    @invariant()
    def who_waits_could_not_be_let_in(self) -> None:
        now = clock.monotonic()
        open_to_calls = [state for state in self.board.states.values() if state.admits("m", now)]
        counted: dict[str, int] = {}
        for grant in self.held:
            counted[grant.wish.caller] = counted.get(grant.wish.caller, 0) + 1
        free_callers = [caller for caller in self.waiting.values() if counted.get(caller, 0) < AT_ONCE[caller]]
        if len(open_to_calls) == len(self.board.states) and len(self.held) < 5:
            assert not free_callers, "a place, a caller and a model are free, and somebody waits"
        assert self.board.waiting == len(self.waiting)


class TestBoard(Board.TestCase):  # pyright: ignore[reportUntypedBaseClass]
    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_waiting_without_a_place_ends_at_its_time() -> None:
    async def story() -> Any:
        board = Switchboard(Breaker, max_waiting=1)
        board.swap(build([channel(1, max_concurrent=1)], []))
        held = await board.acquire(Wish(model="m", caller="a", wait_s=0.0))
        try:
            await board.acquire(Wish(model="m", caller="b", wait_s=0.01))
        except RateLimited as error:
            return error, board.waiting, held.state.in_flight
        return None

    error, waiting, in_flight = asyncio.run(story())
    assert (error.retry_after_s, waiting, in_flight) == (1.0, 0, 1)
