import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.fault_words import Fault, parse_faults
from tidemill.simulator.faults import Faults, Seen
from tidemill.simulator.serving import Served
from tidemill.simulator.slots import Slots

Start = Callable[[SimulatorConfig], Awaitable[Served]]

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello, tell me a story"}]}


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def _post(http: aiohttp.ClientSession, running: Served, body: object = CHAT) -> int:
    async with http.post(f"{running.base_url}/chat/completions", json=body) as answer:
        await answer.read()
        return answer.status


async def _stats(http: aiohttp.ClientSession, running: Served) -> dict[str, Any]:
    async with http.get(f"{running.origin}/_simulator/stats") as answer:
        return await answer.json()


async def test_slots_bound_the_work_and_are_served_in_order() -> None:
    slots = Slots(1)
    order: list[int] = []

    async def work(number: int) -> None:
        await slots.take()
        order.append(number)
        await asyncio.sleep(0)
        slots.give_back()

    async with asyncio.timeout(5):
        await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))
    assert slots.taken == 0
    assert slots.longest_line == 19


async def test_a_cancelled_wait_loses_its_place_only() -> None:
    slots = Slots(1)
    await slots.take()
    waiting = [asyncio.ensure_future(slots.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    slots.give_back()  # the place goes to waiting[1], in the same turn as the cancellation
    await asyncio.wait(waiting[:2])
    assert waiting[0].cancelled()
    assert waiting[1].done()
    assert not waiting[2].done()
    slots.give_back()
    await waiting[2]
    slots.give_back()
    assert slots.taken == 0


async def test_latency_and_slots_give_the_expected_wall_time(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig(latency_s=0.05, slots=4))
    begun = clock.monotonic()
    assert await asyncio.gather(*(_post(http, running) for _ in range(12))) == [200] * 12
    took = clock.monotonic() - begun
    stats = await _stats(http, running)
    assert took >= 0.15
    assert stats["max_in_flight"] == 12
    assert stats["max_waiting"] == 8
    assert stats["in_flight"] == 0
    assert stats["routes"] == {"/chat/completions": {"200": 12}}


async def test_a_resize_lets_waiting_requests_in(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig(latency_s=30, slots=1))
    pending = [asyncio.ensure_future(_post(http, running)) for _ in range(2)]
    await _until(lambda: running.app.slots.waiting == 1)
    running.app.slots.resize(2)
    assert running.app.slots.waiting == 0
    assert running.app.slots.taken == 2
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)


async def test_a_client_that_leaves_frees_its_slot_and_is_counted(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig(latency_s=30, slots=1))
    pending = asyncio.ensure_future(_post(http, running))
    await _until(lambda: running.app.slots.taken == 1)
    pending.cancel()
    await asyncio.wait([pending])
    await _until(lambda: running.app.slots.taken == 0)
    stats = await _stats(http, running)
    assert stats["aborted"] == 1
    assert stats["in_flight"] == 0


async def test_a_cut_breaks_a_plain_answer_and_a_stream(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig())
    running.app.faults.follow(["cut", "cut", "ok"])
    with pytest.raises(aiohttp.ClientPayloadError):
        await _post(http, running)
    body = bytearray()

    async def read(answer: aiohttp.ClientResponse) -> None:
        async for piece in answer.content.iter_any():
            body.extend(piece)

    async with http.post(f"{running.base_url}/chat/completions", json={**CHAT, "stream": True}) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await read(answer)
    assert b'"content":' in body
    assert b"[DONE]" not in body
    assert await _post(http, running) == 200


async def test_a_hang_answers_nothing_until_the_client_gives_up(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig())
    running.app.faults.follow(["hang"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await _post(http, running)
    await _until(lambda: running.app.stats.aborted == 1)
    assert await _post(http, running) == 200


async def test_faults_change_while_it_runs_and_wrong_ones_change_nothing(
    start: Start, http: aiohttp.ClientSession
) -> None:
    running = await start(SimulatorConfig())

    async def change(body: object) -> int:
        async with http.post(f"{running.origin}/_simulator/faults", json=body) as answer:
            return answer.status

    assert await change({"faults": "429:1", "retry_after_s": 3}) == 200
    async with http.post(f"{running.base_url}/chat/completions", json=CHAT) as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "3"
        assert (await answer.json())["error"]["code"] == "rate_limit_exceeded"
    assert await change({"faults": {"nonsense": 0.1}}) == 400
    assert await change({"faults": {}, "script": ["nonsense"]}) == 400
    assert await change({"latency_s": -1}) == 400
    assert await change({"low_share": 1.5}) == 400
    assert await _post(http, running) == 429
    assert await change({"faults": {}}) == 200
    assert await _post(http, running) == 200


async def test_stats_show_the_last_requests_with_headers_and_bodies(start: Start, http: aiohttp.ClientSession) -> None:
    running = await start(SimulatorConfig(keep_requests=1))
    await _post(http, running, {**CHAT, "seed": 1})
    await _post(http, running, {**CHAT, "seed": 2})
    last = (await _stats(http, running))["last"]
    assert [entry["body"]["seed"] for entry in last] == [2]
    assert last[0]["headers"]["content-type"] == "application/json"


def test_shares_are_met_over_many_draws_and_repeat_with_the_seed() -> None:
    shares = {"429": 0.1, "500": 0.05, "cut": 0.05}
    one, other = Faults(shares, 7), Faults(shares, 7)
    drawn = [next(iter(one.plan(Seen())), None) for _ in range(4000)]
    assert drawn == [next(iter(other.plan(Seen())), None) for _ in range(4000)]
    assert 300 < drawn.count("429") < 500
    assert 130 < drawn.count("cut") < 270
    assert drawn.count(None) > 3000


@pytest.mark.parametrize(
    "text",
    [
        "429:x",
        "boom:0.1",
        "429:1.5",
        "429:0.6,500:0.6",
        "429:-0.1",
        "429:after=1",
        "cut:at=nowhere",
        "cut:times=x",
        "cut:times=inf",
        "times=2",
        "delay:s=nan",
        ",".join(["429:times=1"] * 51),
    ],
)
def test_wrong_faults_are_named(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_faults(text)
    assert refused.value.fields[0].field == "faults"


def test_faults_read_with_blanks_and_empty_parts() -> None:
    assert parse_faults(" 429:0.1, cut : 0.2,, ") == (Fault("429", 0.1), Fault("cut", 0.2))


def test_options_after_a_comma_belong_to_the_fault_before_them() -> None:
    assert parse_faults("cut:after=5,times=2;429:rate=0.1:retry=3,model=m") == (
        Fault("cut", after=5, times=2),
        Fault("429", 0.1, retry=3.0, model="m"),
    )
