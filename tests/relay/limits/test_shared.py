"""What limits shared over a Valkey cost it, and what becomes of them when it is away, slow, emptied or refuses."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import structlog

from tests.fixtures.valkey import StartValkey, ValkeyServer
from tidemill.kernel import clock
from tidemill.platform.redis import Client, Link, Word
from tidemill.platform.telemetry.metrics import registry
from tidemill.relay.limits import Bound, Claim, Refusal
from tidemill.relay.limits import dispatch as dispatch_module
from tidemill.relay.limits.shared import SharedLimits

DEADLINE_S = 30.0
FOUR = tuple(Bound(name, rpm=50, tpm=1000, concurrent=9) for name in ("key:1", "user:1", "model:m", "channel:1"))
SLOTS = Bound("channel:1", concurrent=2)


@asynccontextmanager
async def process(
    url: str, prefix: str, lease_s: float = 60.0, timeout_s: float = 20.0
) -> AsyncGenerator[SharedLimits]:
    limits = SharedLimits(url, prefix=prefix, lease_s=lease_s, timeout_s=timeout_s)
    await limits.start()
    yield limits
    await limits.close()


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


async def let_in(limits: SharedLimits, tokens: int, *bounds: Bound) -> Claim:
    outcome = await limits.reserve(bounds, tokens)
    assert isinstance(outcome, Claim), outcome
    return outcome


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)


def value_of(figure: str) -> float:
    return registry.get_sample_value(figure) or 0.0


def judged_alone() -> float:
    return value_of("tidemill_limits_shared_down_total")


async def in_flight(limits: SharedLimits, bound: Bound) -> int:
    return (await limits.look((bound,)))[0].in_flight


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every round trip, as the commands that it carries."""
    seen: list[list[str]] = []
    ask_all = Link.ask_all

    async def counted(self: Link, commands: Sequence[Sequence[Word]]) -> list[Any]:
        seen.append([str(command[0]) for command in commands])
        return await ask_all(self, commands)

    monkeypatch.setattr(Link, "ask_all", counted)
    return seen


async def test_a_call_costs_one_round_trip_whatever_it_is_bound_by(
    valkey: ValkeyServer, prefix: str, rounds: list[list[str]]
) -> None:
    async with process(valkey.url, prefix) as limits:
        limits.release(await let_in(limits, 10, *FOUR))
        await limits.look(FOUR)  # the server knows the scripts from now on
        rounds.clear()
        claim = await let_in(limits, 10, *FOUR)
        assert rounds == [["EVALSHA"]]
        limits.correct(claim, 10)
        limits.release(claim)
        await limits.look(FOUR)
        assert rounds[1:] == [["EVALSHA", "EVALSHA"]], "an estimate that was right needs no correction"


async def test_calls_that_come_together_travel_together(
    valkey: ValkeyServer, prefix: str, rounds: list[list[str]]
) -> None:
    async with process(valkey.url, prefix) as limits:
        await limits.look(FOUR)
        rounds.clear()
        outcomes = await asyncio.gather(*(limits.reserve(FOUR, 10) for _ in range(40)))
        assert sum(isinstance(outcome, Claim) for outcome in outcomes) == 9
        assert len(rounds) <= 2


async def test_who_is_bound_by_nothing_asks_nobody(valkey: ValkeyServer, prefix: str, rounds: list[list[str]]) -> None:
    async with process(valkey.url, prefix) as limits:
        rounds.clear()
        limits.release(await let_in(limits, 10, Bound("key:1")))
        assert rounds == []


async def test_the_first_call_connects_where_nobody_did(valkey: ValkeyServer, prefix: str) -> None:
    before = judged_alone()
    limits = SharedLimits(valkey.url, prefix=prefix)
    try:
        await let_in(limits, 1, SLOTS)
        async with process(valkey.url, prefix) as other:
            assert await in_flight(other, SLOTS) == 1
    finally:
        await limits.close()
    assert judged_alone() == before


async def test_everything_on_the_server_has_an_end(valkey: ValkeyServer, prefix: str) -> None:
    server = Client(valkey.url, setting="cache.url")
    async with process(valkey.url, prefix, lease_s=20) as limits:
        await let_in(limits, 10, *FOUR)
        keys = await server.ask("KEYS", f"*{prefix}*")
        assert len(keys) == 12
        for key in keys:
            assert key.startswith(b"{%s:limits}:" % prefix.encode())
            assert 0 < int(await server.ask("PTTL", key)) <= 61_000
    await server.close()


async def test_a_server_that_forgot_the_scripts_is_taught_them_again(valkey: ValkeyServer, prefix: str) -> None:
    server = Client(valkey.url, setting="cache.url")
    before = judged_alone()
    async with process(valkey.url, prefix) as limits:
        claims = [await let_in(limits, 10, SLOTS), await let_in(limits, 10, SLOTS)]
        await server.ask("SCRIPT", "FLUSH")
        assert isinstance(await limits.reserve((SLOTS,), 1), Refusal)
        await server.ask("SCRIPT", "FLUSH")
        for claim in claims:
            limits.release(claim)
        await let_in(limits, 10, SLOTS)
        assert await in_flight(limits, SLOTS) == 1
    assert judged_alone() == before
    await server.close()


async def test_a_correction_comes_before_the_next_call_also_where_it_is_the_first(
    valkey: ValkeyServer, prefix: str
) -> None:
    server = Client(valkey.url, setting="cache.url")
    minute = Bound("user:1", tpm=100)
    async with process(valkey.url, prefix) as limits:
        for _ in range(3):
            await server.ask("SCRIPT", "FLUSH")
            claim = await let_in(limits, 60, minute)  # the server knows this script again, and not the others
            limits.correct(claim, 20)
            limits.release(await let_in(limits, 80, minute), refused=True)
            limits.release(claim, refused=True)
    await server.close()


async def test_what_waits_is_sent_before_a_process_ends(valkey: ValkeyServer, prefix: str) -> None:
    async with process(valkey.url, prefix) as other:
        async with process(valkey.url, prefix) as limits:
            claim = await let_in(limits, 10, SLOTS)
            assert await in_flight(other, SLOTS) == 1
            limits.release(claim)
        assert await in_flight(other, SLOTS) == 0


async def test_each_process_judges_alone_while_the_server_is_away(start_valkey: StartValkey, prefix: str) -> None:
    server = start_valkey()
    minute = Bound("key:1", rpm=3)
    async with process(server.url, prefix, lease_s=3) as one, process(server.url, prefix, lease_s=3) as other:
        await let_in(one, 1, minute)
        await let_in(other, 1, minute)
        held = await let_in(one, 1, SLOTS)
        before = judged_alone()
        with structlog.testing.capture_logs() as logs:
            server.kill()
            await let_in(one, 1, minute)
            await let_in(one, 1, minute)
            refusal = await one.reserve((minute,), 1)
            assert isinstance(refusal, Refusal), "its own calls of before are known to it"
            await let_in(other, 1, minute)
            during = await let_in(one, 1, SLOTS)
            assert isinstance(await one.reserve((SLOTS,), 1), Refusal)
            assert judged_alone() >= before + 6
            one.release(held)
            server.restart()
            await until_shared(one)
            await until_shared(other)
        alone = [line for line in logs if line["event"] == "limits.alone"]
        assert len(alone) == 2, "each process says so once"
        await until_true(lambda: in_flight_is(other, SLOTS, 1))
        one.release(during)
        await until_true(lambda: in_flight_is(other, SLOTS, 0))


async def in_flight_is(limits: SharedLimits, bound: Bound, count: int) -> bool:
    return await in_flight(limits, bound) == count


async def until_true(asks: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await asks():
            await asyncio.sleep(0.02)


async def until_shared(limits: SharedLimits) -> None:
    """Wait until the server judges again."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            before = judged_alone()
            limits.release(await let_in(limits, 0, Bound("key:probe", concurrent=100)))
            if judged_alone() == before:
                return
            await asyncio.sleep(0.02)


async def test_a_server_that_does_not_answer_holds_nobody_up(start_valkey: StartValkey, prefix: str) -> None:
    server = start_valkey()
    async with process(server.url, prefix, timeout_s=0.5) as limits:
        await let_in(limits, 1, SLOTS)
        server.freeze()
        async with asyncio.timeout(DEADLINE_S):
            claim = await let_in(limits, 1, SLOTS)
            assert isinstance(await limits.reserve((SLOTS,), 1), Refusal)
        limits.release(claim)
        server.thaw()
        await until_shared(limits)
        await until_true(lambda: in_flight_is(limits, SLOTS, 1))


async def test_a_process_that_never_reached_a_server_holds_its_callers_to_the_limits(prefix: str) -> None:
    async with process("redis://127.0.0.1:1/0", prefix) as limits:
        await let_in(limits, 1, Bound("key:1", rpm=1))
        refusal = await limits.reserve((Bound("key:1", rpm=1),), 1)
        assert isinstance(refusal, Refusal)
        assert (await limits.look((Bound("key:1", rpm=1),)))[0].rpm_remaining == 0


async def test_a_server_that_refuses_the_script_is_told_of_and_done_without(valkey: ValkeyServer, prefix: str) -> None:
    server = Client(valkey.url, setting="cache.url")
    await server.ask("SET", f"{{{prefix}:limits}}:key:1:w", "not ours")
    before = judged_alone()
    async with process(valkey.url, prefix) as limits:
        with structlog.testing.capture_logs() as logs:
            await let_in(limits, 1, Bound("key:1", rpm=1))
            assert isinstance(await limits.reserve((Bound("key:1", rpm=1),), 1), Refusal)
        assert judged_alone() == before + 2
        alone = [line for line in logs if line["event"] == "limits.alone"]
        assert len(alone) == 1
        assert "WRONGTYPE" in alone[0]["error"]
    await server.close()


async def test_a_refusal_is_remembered_until_a_slot_may_be_free(valkey: ValkeyServer, prefix: str) -> None:
    async with process(valkey.url, prefix) as one, process(valkey.url, prefix) as other:
        minute = Bound("key:1", rpm=1)
        await let_in(one, 1, minute)
        assert other.check((minute,), 1, clock.monotonic()) is None, "it was not told yet"
        refusal = await other.reserve((minute,), 1)
        assert isinstance(refusal, Refusal)
        now = clock.monotonic()
        told = other.check((minute,), 1, now)
        assert told is not None
        assert 0 < told.retry_after_s <= refusal.retry_after_s
        assert other.check((Bound("key:1", rpm=2),), 1, now) is None, "the limit is another one by now"
        assert other.check((minute,), 1, now + 1.5) is None, "others may have left since"


async def test_changes_wait_in_bounded_number_while_the_server_is_away(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch_module, "MOST_WAITING", 100)
    before = value_of("tidemill_limits_changes_lost_total")
    async with process("redis://127.0.0.1:1/0", prefix) as limits:
        for _ in range(150):
            limits.release(await let_in(limits, 1, SLOTS))
    assert value_of("tidemill_limits_changes_lost_total") == before + 50


async def test_leases_of_a_process_that_is_no_more_run_out(valkey: ValkeyServer, prefix: str) -> None:
    async with process(valkey.url, prefix) as other:
        async with process(valkey.url, prefix, lease_s=3) as limits:
            await let_in(limits, 1, SLOTS)
            await asyncio.gather(*(let_in(limits, 1, Bound("key:1", concurrent=600)) for _ in range(600)))
            started = clock.monotonic()
            await until(lambda: clock.monotonic() > started + 4.5)  # every lease has ended, or was renewed
            assert await in_flight(other, SLOTS) == 1
            assert await in_flight(other, Bound("key:1", concurrent=600)) == 600
        await until_true(lambda: in_flight_is(other, SLOTS, 0))
