"""Who makes room when ports or memory do not suffice for all."""

import asyncio
import random

import pytest

from tests.localmodels.conftest import PLENTY, Mill, chat, until, until_status
from tidemill.localmodels.errors import LocalModelNotFound, NotEnoughMemory, PortRangeExhausted
from tidemill.localmodels.memory import MemoryFacts
from tidemill.platform.settings.groups.local_models import LocalModel


async def test_two_models_on_one_port_answer_fifty_alternating_requests(mill: Mill) -> None:
    for name in ("a", "b"):
        mill.model(name, chat_s=0.02)
    models = await mill.open(ports=1, slots=2, eviction_patience_s=0.2)
    answers = await asyncio.gather(*(chat(models, "ab"[number % 2]) for number in range(50)))
    assert [answer["model"] for answer in answers] == ["a", "b"] * 25


async def test_a_stream_of_requests_cannot_starve_another_model(mill: Mill) -> None:
    mill.model("greedy", chat_s=0.02)
    mill.model("patient")
    models = await mill.open(ports=1, slots=1, eviction_patience_s=0.3)
    over = asyncio.Event()

    async def never_idle() -> int:
        count = 0
        while not over.is_set():
            await chat(models, "greedy")
            count += 1
        return count

    greedy = [asyncio.ensure_future(never_idle()) for _ in range(2)]
    await until_status(models, "greedy", "running")
    assert (await chat(models, "patient"))["model"] == "patient"
    over.set()
    assert sum(await asyncio.gather(*greedy)) > 0


async def test_the_least_recently_used_goes_first(mill: Mill) -> None:
    for name in ("a", "b", "c"):
        mill.model(name)
    models = await mill.open(ports=2)
    await chat(models, "a")
    await chat(models, "b")
    await chat(models, "a")
    await chat(models, "c")
    await until_status(models, "b", "available")
    assert models.get("a").status == "running"


async def test_a_start_by_hand_evicts_the_idle_but_not_the_busy(mill: Mill) -> None:
    for name in ("a", "b"):
        mill.model(name)
    models = await mill.open(ports=1)
    async with models.lease("a"):
        with pytest.raises(PortRangeExhausted):
            await models.start("b")
    assert (await models.start("b", wait=True)).status == "running"
    assert models.get("a").status == "available"


async def test_what_runs_by_hand_is_never_evicted(mill: Mill) -> None:
    for name in ("a", "b"):
        mill.model(name)
    models = await mill.open(ports=1)
    await models.start("a", wait=True)
    with pytest.raises(PortRangeExhausted):
        await chat(models, "b")
    assert models.get("a").status == "running"


async def test_memory_makes_room_as_ports_do(mill: Mill) -> None:
    for name in ("a", "b"):
        mill.model(name)
    models = await mill.open()
    one = models.get("a").memory_estimate_bytes
    reserve = PLENTY.total // 10
    mill.memory = MemoryFacts(total=PLENTY.total, available=reserve + one + 1_000_000)
    await chat(models, "a")
    mill.memory = MemoryFacts(total=PLENTY.total, available=reserve + 1_000_000)
    asked = asyncio.ensure_future(chat(models, "b"))
    await until(lambda: models.get("a").status in {"stopping", "available"}, "a makes room")
    mill.memory = MemoryFacts(total=PLENTY.total, available=reserve + one + 1_000_000)
    assert (await asked)["model"] == "b"


async def test_a_model_that_can_never_fit_is_refused_at_once(mill: Mill) -> None:
    mill.model("a")
    mill.memory = MemoryFacts(total=4 << 30, available=1_200_000_000)
    models = await mill.open()
    with pytest.raises(NotEnoughMemory, match="lower context or slots"):
        await models.start("a")
    with pytest.raises(NotEnoughMemory):
        await chat(models, "a")
    mill.memory = PLENTY
    assert (await chat(models, "a"))["model"] == "a"


async def test_the_check_of_memory_can_be_switched_off(mill: Mill) -> None:
    mill.model("a")
    mill.memory = MemoryFacts(total=4 << 30, available=0)
    models = await mill.open(memory_check=False)
    assert (await chat(models, "a"))["model"] == "a"


async def test_a_model_waits_for_a_port_and_leaves_the_line_with_its_callers(mill: Mill) -> None:
    mill.model("a")
    mill.model("b")
    models = await mill.open(ports=1, eviction_patience_s=0.05)
    async with models.lease("a"):
        asked = asyncio.ensure_future(chat(models, "b"))
        await until(lambda: models.get("b").status == "starting")
        asked.cancel()
        await until(lambda: models.get("b").status == "available")
        assert (await asyncio.gather(chat(models, "a")))[0]["model"] == "a"


async def test_a_file_taken_away_while_it_runs_is_forgotten_after_its_end(mill: Mill) -> None:
    path = mill.model("a")
    models = await mill.open(idle_timeout_s=0.5)
    async with models.lease("a"):
        path.unlink()
        await models.rescan()
        assert models.get("a").status == "running"
    await until(lambda: "a" not in models.names(), "the model gone")
    with pytest.raises(LocalModelNotFound):
        await chat(models, "a")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_mix_of_requests_ends_well(mill: Mill, seed: int) -> None:
    """Three models, two ports, callers who leave and an operator who stops things: nobody waits for ever."""
    for name in ("a", "b", "c"):
        mill.model(name, chat_s=0.01)
    replicas = {"b": LocalModel(replicas=2)}
    models = await mill.open(ports=2, slots=2, eviction_patience_s=0.1, idle_timeout_s=0.2, models=replicas)
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    answered = 0

    async def caller(name: str, patience_s: float | None) -> None:
        nonlocal answered
        try:
            async with asyncio.timeout(patience_s):
                await chat(models, name)
        except TimeoutError:
            return
        answered += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(60):
            patience_s = dice.choice([None, None, None, 0.05])
            group.create_task(caller(dice.choice("abc"), patience_s))
    assert answered >= 30
    await until(lambda: all(view.in_flight == 0 and view.queued == 0 for view in models.list()))
    await until(lambda: all(view.status == "available" for view in models.list()), "all unloaded")
