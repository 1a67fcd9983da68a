"""What watchers are told of usage: the day's totals, after the commit, at most once a second for each user."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.metering.events import usage
from tidemill.kernel import clock
from tidemill.metering.facade import Meter
from tidemill.metering.news import INTERVAL_S, topic_of
from tidemill.platform.db import Database
from tidemill.platform.events import MemoryEvents, Subscription

DEADLINE_S = 20.0


def used(user_id: int, **fields: Any) -> Any:
    return usage(user_id=user_id, began_ms=int(clock.now().timestamp() * 1000), **fields)


async def told(news: Subscription) -> list[dict[str, Any]]:
    return [json.loads(event.payload) for event in await news.wait(DEADLINE_S)]


async def test_totals_of_the_day_are_told_to_each_and_to_administrators(database: Database, tmp_path: Path) -> None:
    events = MemoryEvents()
    meter = Meter(database, tmp_path, events=events)
    async with events.subscribe(topic_of(1)) as ann, events.subscribe("usage") as everybody:
        for event in (used(1), used(1), used(2), usage(user_id=1)):  # the last one is of another day
            meter.record(event)
        await meter.flush()
        [mine] = await told(ann)
        assert {key: mine[key] for key in ("user_id", "requests", "errors", "total_tokens")} == {
            "user_id": 1, "requests": 2, "errors": 0, "total_tokens": 30,
        }  # fmt: skip
        assert mine["day"] == clock.now().date().isoformat()
        heard = await told(everybody)
        assert {one["user_id"]: one["requests"] for one in heard} == {1: 2, 2: 1}
    await meter.close()


async def test_a_busy_user_is_told_of_once_a_second(database: Database, tmp_path: Path) -> None:
    events = MemoryEvents()
    meter = Meter(database, tmp_path, events=events)
    async with events.subscribe(topic_of(1)) as ann:
        began_s = asyncio.get_running_loop().time()
        meter.record(used(1))
        await meter.flush()
        assert (await told(ann))[0]["requests"] == 1
        for _ in range(5):
            meter.record(used(1))
            await meter.flush()
        [later] = await told(ann)
        assert asyncio.get_running_loop().time() - began_s >= INTERVAL_S
        assert later["requests"] == 6, "what came meanwhile is in the one later word"
    await meter.close()


async def test_a_meter_without_a_bus_says_nothing(database: Database, tmp_path: Path) -> None:
    meter = Meter(database, tmp_path)
    meter.record(used(1))
    await meter.flush()
    await meter.close()
