"""One suite for the limits of one process and for those of many that share a Valkey."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.fixtures.valkey import ValkeyServer
from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.platform.telemetry.metrics import registry
from tidemill.relay.limits import Bound, Claim, Limits, MemoryLimits, Refusal, open_limits
from tidemill.relay.limits.shared import SharedLimits


@pytest.fixture(params=["memory", "valkey"])
async def limits(request: pytest.FixtureRequest) -> AsyncIterator[Limits]:
    opened: Limits = MemoryLimits()
    if request.param == "valkey":
        server: ValkeyServer = request.getfixturevalue("valkey")
        opened = SharedLimits(server.url, prefix=uuid4().hex, timeout_s=10)
    await opened.start()
    before = registry.get_sample_value("tidemill_limits_shared_down_total")
    yield opened
    await opened.close()
    assert registry.get_sample_value("tidemill_limits_shared_down_total") == before, "the server judged every call"


async def let_in(limits: Limits, tokens: int, *bounds: Bound) -> Claim:
    outcome = await limits.reserve(bounds, tokens)
    assert isinstance(outcome, Claim), outcome
    return outcome


async def refused(limits: Limits, tokens: int, *bounds: Bound) -> Refusal:
    outcome = await limits.reserve(bounds, tokens)
    assert isinstance(outcome, Refusal), outcome
    return outcome


async def test_a_minute_slides(limits: Limits) -> None:
    bound = Bound("key:1", rpm=2)
    limits.release(await let_in(limits, 0, bound))
    with clock.shifted(30):
        limits.release(await let_in(limits, 0, bound))
        refusal = await refused(limits, 0, bound)
        assert (refusal.bound, refusal.what, refusal.limit, refusal.never) == ("key:1", "rpm", 2, False)
        assert 20 < refusal.retry_after_s <= 30
        with clock.shifted(refusal.retry_after_s - 10):
            await refused(limits, 0, bound)
        with clock.shifted(refusal.retry_after_s + 0.01):
            limits.release(await let_in(limits, 0, bound))
            assert 20 < (await refused(limits, 0, bound)).retry_after_s <= 30


async def test_tokens_are_held_by_estimate_and_corrected_in_their_own_moment(limits: Limits) -> None:
    bound = Bound("user:1", tpm=100)
    claim = await let_in(limits, 60, bound)
    assert (await refused(limits, 50, bound)).what == "tpm"
    limits.correct(claim, 20)
    other = await let_in(limits, 80, bound)
    limits.correct(other, 163)
    with clock.shifted(30):
        refusal = await refused(limits, 1, bound)
        assert 20 < refusal.retry_after_s <= 30, "the correction did not move the calls"
    with clock.shifted(61):
        await let_in(limits, 100, bound)


async def test_calls_at_once_are_bounded_whatever_the_minute(limits: Limits) -> None:
    bound = Bound("channel:1", concurrent=2)
    first, second = await let_in(limits, 0, bound), await let_in(limits, 0, bound)
    assert (await refused(limits, 0, bound)).what == "concurrent"
    assert limits.release(first)
    assert not limits.release(first), "ended once, it frees one slot"
    third = await let_in(limits, 0, bound)
    await refused(limits, 0, bound)
    for claim in (second, third):
        limits.release(claim)
    assert (await limits.look((bound,)))[0].in_flight == 0


async def test_a_refused_call_leaves_nothing_in_any_bound(limits: Limits) -> None:
    full = Bound("channel:1", concurrent=1)
    others = (Bound("key:1", rpm=5, tpm=50, concurrent=5), Bound("user:1", rpm=5, tpm=50, concurrent=5))
    await let_in(limits, 0, full)
    for _ in range(20):
        assert (await refused(limits, 10, *others, full)).bound == "channel:1"
    for standing in await limits.look(others):
        assert (standing.rpm_remaining, standing.tpm_remaining, standing.in_flight) == (5, 50, 0)


async def test_a_call_that_was_not_made_after_all_is_taken_back(limits: Limits) -> None:
    bound = Bound("key:1", rpm=1, tpm=10, concurrent=1)
    limits.release(await let_in(limits, 10, bound), refused=True)
    claim = await let_in(limits, 10, bound)
    limits.release(claim)
    limits.release(claim, refused=True)
    limits.correct(claim, 4)
    standing = (await limits.look((bound,)))[0]
    assert (standing.rpm_remaining, standing.tpm_remaining, standing.in_flight) == (0, 6, 0)


async def test_what_is_larger_than_the_limit_never_fits(limits: Limits) -> None:
    assert (await refused(limits, 101, Bound("key:1", tpm=100))) == Refusal("key:1", "tpm", 100, 0.0, never=True)
    assert (await refused(limits, 0, Bound("key:1", rpm=0))) == Refusal("key:1", "rpm", 0, 0.0, never=True)
    refusal = await refused(limits, 0, Bound("key:1", concurrent=0))
    assert refusal == Refusal("key:1", "concurrent", 0, 0.0, never=True)


async def test_a_changed_limit_holds_at_once(limits: Limits) -> None:
    for _ in range(3):
        limits.release(await let_in(limits, 10, Bound("key:1", rpm=3, tpm=1000)))
    await refused(limits, 10, Bound("key:1", rpm=3, tpm=1000))
    limits.release(await let_in(limits, 10, Bound("key:1", rpm=4, tpm=1000)))
    refusal = await refused(limits, 10, Bound("key:1", rpm=100, tpm=45))
    assert (refusal.what, refusal.limit) == ("tpm", 45)
    refusal = await refused(limits, 10, Bound("key:1", rpm=2, tpm=1000))
    assert (refusal.what, refusal.limit) == ("rpm", 2)


async def test_a_lowered_limit_is_waited_for_until_enough_calls_have_left(limits: Limits) -> None:
    before = Bound("key:1", rpm=3, tpm=30)
    await let_in(limits, 10, before)
    with clock.shifted(20):
        await let_in(limits, 10, before)
        with clock.shifted(20):
            await let_in(limits, 10, before)
            for lower in (Bound("key:1", rpm=2), Bound("key:1", tpm=20)):
                assert 30 < (await refused(limits, 10, lower)).retry_after_s <= 40
            for lower in (Bound("key:1", rpm=1), Bound("key:1", tpm=10)):
                assert 50 < (await refused(limits, 10, lower)).retry_after_s <= 60


async def test_bounds_that_bind_nothing_are_not_counted(limits: Limits) -> None:
    claim = await let_in(limits, 10, Bound("key:1"), Bound("user:1"))
    limits.correct(claim, 20)
    assert limits.release(claim)
    standing = (await limits.look((Bound("key:1", rpm=5),)))[0]
    assert standing.rpm_remaining == 5


async def test_the_bound_that_takes_longest_is_told(limits: Limits) -> None:
    key, user = Bound("key:1", rpm=1), Bound("user:1", rpm=1)
    await let_in(limits, 0, user)
    with clock.shifted(20):
        await let_in(limits, 0, key)
        for bounds in ((key, user), (user, key)):
            refusal = await refused(limits, 0, *bounds)
            assert refusal.bound == "key:1"
            assert refusal.retry_after_s > 50


async def test_long_waits_for_tokens_are_true_however_many_calls_hold_them(limits: Limits) -> None:
    bound = Bound("user:1", tpm=1000)
    for _ in range(250):
        limits.release(await let_in(limits, 4, bound))
    with clock.shifted(40):
        refusal = await refused(limits, 1000, bound)
        assert 10 < refusal.retry_after_s <= 20
        with clock.shifted(refusal.retry_after_s + 0.01):
            await let_in(limits, 1000, bound)


async def test_what_is_left_is_told_without_asking(limits: Limits) -> None:
    bound = Bound("key:1", rpm=5, tpm=100, concurrent=3)
    assert limits.check((bound,), 10, clock.monotonic()) is None
    claim = await let_in(limits, 30, bound)
    standing = limits.standing((bound,), clock.monotonic())[0]
    assert (standing.rpm_remaining, standing.tpm_remaining, standing.in_flight) == (4, 70, 1)
    assert 50 < (standing.rpm_reset_s or 0) <= 60
    assert 50 < (standing.tpm_reset_s or 0) <= 60
    limits.release(claim)
    with clock.shifted(61):
        standing = limits.standing((bound,), clock.monotonic())[0]
        assert (standing.rpm_remaining, standing.rpm_reset_s, standing.tpm_remaining) == (5, 0.0, 100)


async def test_many_at_once_are_let_in_exactly(limits: Limits) -> None:
    bounds = (Bound("key:1", rpm=50), Bound("user:1", tpm=3000), Bound("channel:1", concurrent=7))
    inside = most = 0
    let: list[Claim] = []

    async def call() -> None:
        nonlocal inside, most
        for _ in range(20):
            outcome = await limits.reserve(bounds, 10)
            if isinstance(outcome, Refusal):
                await asyncio.sleep(0)
                continue
            let.append(outcome)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            limits.release(outcome)

    await asyncio.gather(*(call() for _ in range(60)))
    assert len(let) == 50
    assert most <= 7
    assert (await limits.look(bounds))[2].in_flight == 0


async def test_a_caller_who_leaves_while_it_is_let_in_holds_nothing(limits: Limits) -> None:
    bound = Bound("key:1", rpm=5, tpm=100, concurrent=1)
    for turns in range(6):
        call = asyncio.ensure_future(limits.reserve((bound,), 10))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not call.cancel():
            outcome = call.result()
            assert isinstance(outcome, Claim)
            limits.release(outcome, refused=True)
        await asyncio.gather(call, return_exceptions=True)
    standing = (await limits.look((bound,)))[0]
    assert (standing.rpm_remaining, standing.tpm_remaining, standing.in_flight) == (5, 100, 0)


def test_the_cache_says_which_engine() -> None:
    assert isinstance(open_limits("memory://"), MemoryLimits)
    assert isinstance(open_limits("redis://127.0.0.1:1/0"), SharedLimits)
    with pytest.raises(BadInput):
        open_limits("http://127.0.0.1")
