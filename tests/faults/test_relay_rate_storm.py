"""A service that answers 429 with a pause to everything: the pause is kept, and its end is found without a stampede."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.faults.relay_rig import Relay, until
from tests.relay.upstream import DEADLINE_S, Request, Upstream, Wire, answers, upstream

pytestmark = pytest.mark.xdist_group("relay rate storm")
CALLS = 200
SLOTS = 16


class Limited:
    """A service that has too much to do until it is told otherwise; counts who asked meanwhile."""

    def __init__(self, pause_s: float | None) -> None:
        self._pause_s = pause_s
        self.is_busy = True
        self.refused = 0
        self.served = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        if self.is_busy:
            self.refused += 1
            headers = [] if self._pause_s is None else [("retry-after", f"{self._pause_s:.0f}")]
            await wire.json({"error": {"message": "slow down", "type": "rate_limit_error"}}, 429, headers)
            return
        self.served += 1
        await answers(request, wire)


Services = tuple[Limited, Upstream]


@pytest.fixture
async def limited() -> AsyncIterator[Services]:
    service = Limited(pause_s=30)
    async with upstream(service) as served:
        yield service, served


async def storm(relay: Relay, model: str, *, stream: bool = False) -> Counter[int]:
    """Make 200 calls at once; return their statuses. Each 429 must say when to come back."""

    async def call() -> int:
        async with relay.post(model, stream=stream) as answer:
            body = await answer.read()
            if answer.status == 429:
                assert 0 < int(answer.headers["retry-after"]) <= 30
                assert 0 < int(answer.headers["retry-after-ms"]) <= 30_000
                assert b'"error"' in body
            return answer.status

    return Counter(await asyncio.gather(*(call() for _ in range(CALLS))))


async def test_the_pause_is_kept_and_every_client_told(relay: Relay, limited: Services) -> None:
    service, served = limited
    model = relay.new_model()
    channel = relay.channel(served.url, model, max_concurrent=SLOTS)
    assert await storm(relay, model) == {429: CALLS}
    first = service.refused
    # Those that were on their way when the first refusal came; nobody after it.
    assert first <= SLOTS
    for stream in (False, True, False):
        assert await storm(relay, model, stream=stream) == {429: CALLS}
    assert service.refused == first
    rows = await relay.usage(model, 4 * CALLS)
    assert {row["total_tokens"] for row in rows} == {0}
    assert Counter(row["status"] for row in rows) == {"upstream_error": first, "refused": 4 * CALLS - first}
    assert relay.state(channel)["breaker"] == "closed", "who asks for patience is not broken"


async def test_another_channel_serves_meanwhile(relay: Relay, limited: Services) -> None:
    service, served = limited
    model = relay.new_model()
    relay.channel(served.url, model, max_concurrent=SLOTS, priority=9)
    async with upstream() as other:
        relay.channel(other.url, model)
        for stream in (False, True):
            assert await storm(relay, model, stream=stream) == {200: CALLS}
        assert service.refused <= SLOTS
        assert len(other.seen) == 2 * CALLS


async def test_the_end_of_the_pause_is_found_by_one_and_not_by_all(relay: Relay) -> None:
    service, model = Limited(pause_s=1), relay.new_model()
    async with upstream(service) as served:
        channel = relay.channel(served.url, model, max_concurrent=SLOTS)
        async with asyncio.TaskGroup() as group:
            storming = group.create_task(storm(relay, model))
            await until(lambda: service.refused, "the first refusal")
            began = asyncio.get_running_loop().time()
            # What was on its way when the pause began comes at once; then only who asks whether it is over.
            await until(lambda: asyncio.get_running_loop().time() > began + 3.5, "three pauses over")
            pauses = asyncio.get_running_loop().time() - began
            assert SLOTS < service.refused <= SLOTS + 2 * pauses + 2
            service.is_busy = False
        statuses = storming.result()
        assert statuses.keys() <= {200, 429}
        assert statuses[200] >= CALLS - service.refused
        assert service.served == statuses[200]
        assert relay.state(channel)["in_flight"] == 0


async def test_a_service_that_names_no_pause_is_given_one(relay: Relay) -> None:
    service, model = Limited(pause_s=None), relay.new_model()
    async with upstream(service) as served, upstream() as other:
        relay.channel(served.url, model, max_concurrent=SLOTS, priority=9)
        relay.channel(other.url, model)
        for _ in range(5):
            assert await storm(relay, model) == {200: CALLS}
        # Those that were on their way when it began; then one or two whenever a pause was over.
        assert service.refused <= 2 * SLOTS
        assert len(other.seen) == 5 * CALLS


async def test_a_client_waits_through_a_short_refusal_and_is_told_of_a_long_one(relay: Relay) -> None:
    service, model = Limited(pause_s=None), relay.new_model()
    async with upstream(service) as served:
        relay.channel(served.url, model)
        async with relay.post(model) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "4")
        assert service.refused == 3, "pauses of one and of two seconds were waited for, four are too long"
        service.is_busy = False
        assert await status_of(relay, model) == 200


async def test_a_pause_of_one_channel_does_not_turn_away_from_a_full_one(relay: Relay, limited: Services) -> None:
    paused, served = limited
    model, free = relay.new_model(), asyncio.Event()

    async def slow(request: Request, wire: Wire) -> None:
        await free.wait()
        await answers(request, wire)

    async with upstream(slow) as other:
        relay.channel(served.url, model, max_concurrent=SLOTS, priority=9)
        full = relay.channel(other.url, model, max_concurrent=1)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(status_of(relay, model)) for _ in range(4)]
            await until(lambda: relay.state(full)["in_flight"] == 1 and paused.refused, "one full, one paused")
            calls += [group.create_task(status_of(relay, model)) for _ in range(4)]
            async with asyncio.timeout(DEADLINE_S):
                while await relay.waiting() != 7:
                    await asyncio.sleep(0.01)
            free.set()
        assert [call.result() for call in calls] == [200] * 8
    assert paused.refused <= 4


async def status_of(relay: Relay, model: str) -> int:
    async with relay.post(model) as answer:
        await answer.read()
        return int(answer.status)
