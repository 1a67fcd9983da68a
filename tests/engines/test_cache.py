"""One suite for every cache: in one process, by Redis."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import structlog

from tests.fixtures.valkey import StartValkey, ValkeyServer
from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.platform.cache import Cache, MemoryCache, open_cache
from tidemill.platform.cache.redis import REST_S, RedisCache
from tidemill.platform.redis import Away

DEADLINE_S = 10.0


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    opened: Cache = MemoryCache()
    if request.param == "redis":
        server: ValkeyServer = request.getfixturevalue("valkey")
        opened = RedisCache(server.url, prefix=uuid4().hex)
    yield opened
    await opened.close()


async def until_gone(cache: Cache, key: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await cache.get(key) is not None:
            await asyncio.sleep(0.01)


async def test_values_are_any_bytes_until_they_are_forgotten(cache: Cache) -> None:
    assert await cache.get("k") is None
    value = bytes(range(256))
    await cache.put("k", value, ttl_s=60)
    assert await cache.get("k") == value
    await cache.put("k", b"", ttl_s=60)
    assert await cache.get("k") == b""
    await cache.delete("k")
    await cache.delete("k")
    assert await cache.get("k") is None


async def test_many_values_are_kept_and_found_at_once(cache: Cache) -> None:
    await cache.put_many({"a": b"1", "c": b"\x00\xff"}, ttl_s=60)
    assert await cache.get_many(["c", "b", "a", "c"]) == [b"\x00\xff", None, b"1", b"\x00\xff"]
    await cache.put_many({}, ttl_s=60)
    assert await cache.get_many([]) == []
    await cache.put_many({"short": b"v"}, ttl_s=0.2)
    await until_gone(cache, "short")
    assert await cache.get_many(["short"]) == [None]


async def test_values_live_for_their_time(cache: Cache) -> None:
    await cache.put("short", b"v", ttl_s=0.2)
    await cache.put("long", b"v", ttl_s=60)
    await until_gone(cache, "short")
    assert await cache.get("long") == b"v"


async def test_counters_keep_the_life_of_their_first_call(cache: Cache) -> None:
    started = clock.monotonic()
    assert await cache.add("n", 2, ttl_s=1.5) == 2
    assert await cache.add("n", 3, ttl_s=60) == 5
    assert await cache.add("n", -1, ttl_s=60) == 4
    await until_gone(cache, "n")
    assert clock.monotonic() - started < DEADLINE_S
    assert await cache.add("n", 1, ttl_s=60) == 1


async def test_counters_are_exact_among_many(cache: Cache) -> None:
    totals = await asyncio.gather(*(cache.add("n", 1, ttl_s=60) for _ in range(100)))
    assert sorted(totals) == list(range(1, 101))


async def test_a_cache_says_how_long_a_question_takes(cache: Cache) -> None:
    assert 0 <= await cache.check() < DEADLINE_S


async def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    cache = MemoryCache(max_entries=2)
    await cache.put("a", b"1", ttl_s=60)
    await cache.put("b", b"2", ttl_s=60)
    await cache.get("a")
    await cache.put("c", b"3", ttl_s=60)
    assert [await cache.get(key) for key in ("a", "b", "c")] == [b"1", None, b"3"]


async def test_memory_is_bounded_in_bytes_too() -> None:
    cache = MemoryCache(max_bytes=10)
    await cache.put("a", b"1234", ttl_s=60)
    await cache.put("b", b"1234", ttl_s=60)
    assert await cache.get_many(["a", "b"]) == [b"1234", b"1234"]
    await cache.put("a", b"12", ttl_s=60)
    await cache.put("c", b"1", ttl_s=60)
    assert await cache.get_many(["b", "a", "c"]) == [b"1234", b"12", b"1"], (
        "what is replaced or forgotten counts no more"
    )
    await cache.put("d", b"123", ttl_s=60)
    assert await cache.get_many(["b", "a", "c", "d"]) == [None, b"12", b"1", b"123"]
    await cache.put("too large", b"0123456789", ttl_s=60)
    assert await cache.get_many(["too large", "a"]) == [None, b"12"]
    await cache.delete("a")
    assert await cache.get("a") is None


async def test_memory_forgets_by_the_kernels_clock() -> None:
    cache = MemoryCache()
    await cache.put("k", b"v", ttl_s=60)
    with clock.shifted(61):
        assert await cache.get("k") is None


async def test_what_one_process_keeps_another_finds_but_not_under_another_prefix(valkey: ValkeyServer) -> None:
    prefix = uuid4().hex
    one, two, other = (RedisCache(valkey.url, prefix=name) for name in (prefix, prefix, uuid4().hex))
    await one.put("k", b"v", ttl_s=60)
    assert await two.get("k") == b"v"
    assert await other.get("k") is None
    assert await one.add("n", 1, ttl_s=60) == 1
    assert await two.add("n", 1, ttl_s=60) == 2
    for cache in (one, two, other):
        await cache.close()


async def test_a_cache_that_is_away_finds_nothing_and_says_so_once(start_valkey: StartValkey) -> None:
    server = start_valkey()
    cache = RedisCache(server.url)
    await cache.put("k", b"v", ttl_s=60)
    assert await cache.add("n", 5, ttl_s=60) == 5
    server.kill()
    with structlog.testing.capture_logs() as lines:
        assert await cache.get("k") is None
        await cache.put("k", b"w", ttl_s=60)
        await cache.delete("k")
        # This process counts for itself.
        assert [await cache.add("n", 1, ttl_s=60) for _ in range(3)] == [1, 2, 3]
        with clock.shifted(REST_S + 1):
            assert await cache.get("k") is None
        with pytest.raises(Away):
            await cache.check()
    assert [line["event"] for line in lines] == ["cache.away"]
    server.restart()
    with clock.shifted(2 * REST_S + 2):
        await cache.put("k", b"x", ttl_s=60)
        assert await cache.get("k") == b"x"
    await cache.close()


async def test_a_frozen_server_delays_one_question_not_all(start_valkey: StartValkey) -> None:
    server = start_valkey()
    cache = RedisCache(server.url)
    await cache.put("k", b"v", ttl_s=60)
    server.freeze()
    started = clock.monotonic()
    for _ in range(1000):
        assert await cache.get("k") is None
    assert clock.monotonic() - started < 5
    server.thaw()
    with clock.shifted(REST_S + 1):
        assert await cache.get("k") == b"v"
    await cache.close()


async def test_a_password_in_the_address_is_used(start_valkey: StartValkey) -> None:
    server = start_valkey(password="p-w")
    cache = open_cache(server.url_of(3))
    await cache.put("k", b"v", ttl_s=60)
    assert await cache.get("k") == b"v"
    await cache.close()


@pytest.mark.parametrize("url", ["memcached://localhost", "redis", "redis://localhost:port", ""])
def test_an_unknown_scheme_names_the_setting(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_cache(url)
    assert refused.value.fields[0].field == "cache.url"
