"""One suite for every engine of the event bus and of the cache (memory is the only one yet)."""

import asyncio

from tidemill.kernel import clock
from tidemill.platform.cache import MemoryCache
from tidemill.platform.events import MemoryEvents


async def test_every_watcher_of_a_topic_is_woken_and_no_other() -> None:
    bus = MemoryEvents()
    async with bus.subscribe("a") as first, bus.subscribe("a") as second, bus.subscribe("b") as other:
        await bus.publish("a", b"1")
        assert await first.wait(1) == b"1"
        assert await second.wait(1) == b"1"
        assert await other.wait(0.01) is None


async def test_a_slow_watcher_gets_the_newest_only() -> None:
    bus = MemoryEvents()
    async with bus.subscribe("a") as slow:
        for number in range(1000):
            await bus.publish("a", str(number).encode())
        assert await slow.wait(1) == b"999"
        assert await slow.wait(0.01) is None


async def test_a_waiting_watcher_is_woken() -> None:
    bus = MemoryEvents()
    async with bus.subscribe("a") as watcher:
        waiting = asyncio.ensure_future(watcher.wait(5))
        await asyncio.sleep(0)
        await bus.publish("a")
        assert await waiting == b""


async def test_values_live_for_their_time() -> None:
    cache = MemoryCache()
    await cache.put("k", b"v", ttl_s=60)
    assert await cache.get("k") == b"v"
    with clock.shifted(61):
        assert await cache.get("k") is None


async def test_counters_keep_the_life_of_their_first_call() -> None:
    cache = MemoryCache()
    assert await cache.add("n", 2, ttl_s=60) == 2
    with clock.shifted(30):
        assert await cache.add("n", 3, ttl_s=60) == 5
    with clock.shifted(61):
        assert await cache.add("n", 1, ttl_s=60) == 1


async def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    cache = MemoryCache(max_entries=2)
    await cache.put("a", b"1", ttl_s=60)
    await cache.put("b", b"2", ttl_s=60)
    await cache.get("a")
    await cache.put("c", b"3", ttl_s=60)
    assert [await cache.get(key) for key in ("a", "b", "c")] == [b"1", None, b"3"]
    await cache.delete("a")
    assert await cache.get("a") is None
