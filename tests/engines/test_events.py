"""One suite for every event bus: in one process, by Redis, by PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from uuid import uuid4

import asyncpg
import pytest

from tests.fixtures.postgres import PostgresServer
from tests.fixtures.valkey import StartValkey, ValkeyServer
from tidemill.kernel.errors import BadInput
from tidemill.platform.events import Event, EventBus, MemoryEvents, Subscription, open_events, relayed
from tidemill.platform.events.mailbox import MAX_KEYS
from tidemill.platform.events.postgres import PostgresEvents
from tidemill.platform.events.redis import RedisEvents
from tidemill.platform.events.relayed import RelayedEvents

DEADLINE_S = 20.0
Open = Callable[[], Awaitable[EventBus]]
Step = Callable[[], Awaitable[None] | None]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)


async def heard(watcher: Subscription, key: str, payload: bytes) -> Sequence[Event]:
    """Wait for an event, whatever comes before it; returns all that came."""
    came: list[Event] = []
    async with asyncio.timeout(DEADLINE_S):
        while Event(key, payload) not in came:
            came.extend(await watcher.wait(1))
    return came


@pytest.fixture(params=["memory", "redis", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def open_bus(engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Give a way to open buses that hear each other (in memory: the same one again)."""
    name = uuid4().hex
    async with AsyncExitStack() as opened:
        memory = MemoryEvents()

        async def open_one() -> EventBus:
            bus: EventBus = memory
            if engine == "redis":
                server: ValkeyServer = request.getfixturevalue("valkey")
                bus = RedisEvents(server.url, prefix=name)
            elif engine == "postgresql":
                postgres: PostgresServer = request.getfixturevalue("postgres")
                bus = PostgresEvents(postgres.url("postgres"), channel=f"c{name}")
            await bus.start()
            opened.push_async_callback(bus.close)
            if isinstance(bus, RelayedEvents):
                await until(lambda: bus.connected)
            return bus

        if engine == "redis":
            request.getfixturevalue("valkey")
        elif engine == "postgresql":
            request.getfixturevalue("postgres")
        yield open_one


async def test_every_watcher_of_a_topic_is_woken_and_no_other(open_bus: Open) -> None:
    here, there = await open_bus(), await open_bus()
    async with here.subscribe("a") as first, there.subscribe("a") as second, there.subscribe("b") as other:
        await here.publish("a", b"1")
        assert await heard(first, "", b"1") == [Event("", b"1")]
        assert await heard(second, "", b"1") == [Event("", b"1")]
        assert not first.missed
        assert not second.missed
        assert await other.wait(0.05) == ()


async def test_a_slow_watcher_gets_the_newest_of_each_key(open_bus: Open) -> None:
    here, there = await open_bus(), await open_bus()
    async with there.subscribe("jobs") as slow:
        for number in range(300):
            await here.publish("jobs", str(number).encode(), key=f"k{number % 3}")
        await here.publish("jobs", b"end", key="end")
        # Everything that was published before the last has been heard before it.
        newest = {event.key: event.payload for event in await heard(slow, "end", b"end")}
        assert newest == {"k0": b"297", "k1": b"298", "k2": b"299", "end": b"end"}
        assert not slow.missed
        assert await slow.wait(0.05) == ()


async def test_a_waiting_watcher_is_woken(open_bus: Open) -> None:
    here, there = await open_bus(), await open_bus()
    async with there.subscribe("a") as watcher, asyncio.TaskGroup() as both:
        waiting = both.create_task(watcher.wait(DEADLINE_S))
        await asyncio.sleep(0)
        await here.publish("a")
    assert waiting.result() == (Event("", b""),)


async def test_more_keys_than_a_watcher_holds_are_missed_once(open_bus: Open) -> None:
    bus = await open_bus()
    async with bus.subscribe("a") as watcher:
        for number in range(MAX_KEYS + 5):
            await bus.publish("a", key=str(number))
        events = await watcher.wait(1)
        assert [event.key for event in events] == [str(number) for number in range(5, MAX_KEYS + 5)]
        assert watcher.missed
        await bus.publish("a", key="next")
        assert await watcher.wait(1) == (Event("next", b""),)
        assert not watcher.missed


async def test_a_large_payload_arrives_or_is_missed(open_bus: Open) -> None:
    here, there = await open_bus(), await open_bus()
    large = bytes(range(256)) * 40
    async with there.subscribe("a") as watcher:
        await here.publish("a", large, key="é")
        (event,) = await watcher.wait(DEADLINE_S)
        assert event.key == "é"
        assert (event.payload, watcher.missed) in [(large, False), (b"", True)]


async def test_who_watches_no_more_hears_no_more(open_bus: Open) -> None:
    here, there = await open_bus(), await open_bus()
    async with there.subscribe("a"):
        pass
    async with there.subscribe("b") as other:
        await here.publish("a", b"1")
        await here.publish("b", b"2")
        assert await heard(other, "", b"2") == [Event("", b"2")]
    async with there.subscribe("a") as again:
        await here.publish("a", b"3")
        assert await heard(again, "", b"3") == [Event("", b"3")]


async def test_a_name_that_is_too_long_is_refused(open_bus: Open) -> None:
    bus = await open_bus()
    with pytest.raises(ValueError, match="200 characters"):
        await bus.publish("a", key="k" * 201)
    with pytest.raises(ValueError, match="200 characters"):
        async with bus.subscribe("t" * 201):
            pass


async def test_what_was_published_before_closing_is_sent(open_bus: Open) -> None:
    here, there = await open_bus(), await open_bus()
    async with there.subscribe("a") as watcher:
        for number in range(50):
            await here.publish("a", key=str(number))
        await here.close()
        seen: set[str] = set()
        async with asyncio.timeout(DEADLINE_S):
            while len(seen) < 50:
                seen.update(event.key for event in await watcher.wait(1))


async def test_who_publishes_and_leaves_is_heard(valkey: ValkeyServer) -> None:
    """As a command does: it is not connected yet when it is done."""
    prefix = uuid4().hex
    there, here = RedisEvents(valkey.url, prefix=prefix), RedisEvents(valkey.url, prefix=prefix)
    await there.start()
    await until(lambda: there.connected)
    async with there.subscribe("a") as watcher:
        await here.publish("a", b"1")
        await here.close()
        await heard(watcher, "", b"1")
    await there.close()


async def breaks(first: RelayedEvents, second: RelayedEvents, cut: Step, mend: Step) -> None:
    """While the server is away watchers of the same process are served; after it everybody is told of the gap."""
    async with first.subscribe("a") as near, second.subscribe("a") as far:
        await first.publish("a", b"1")
        await heard(near, "", b"1")
        await heard(far, "", b"1")
        await maybe(cut())
        await until(lambda: not (first.connected or second.connected))
        await first.publish("a", b"2", key="while away")
        assert await near.wait(1) == (Event("while away", b"2"),)
        await maybe(mend())
        missed = False
        async with asyncio.timeout(DEADLINE_S):
            while not missed:
                await far.wait(1)
                missed = far.missed
        await first.publish("a", b"3", key="after")
        await heard(far, "after", b"3")


async def maybe(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result


async def test_watchers_outlive_a_killed_redis(start_valkey: StartValkey) -> None:
    server = start_valkey()
    first, second = RedisEvents(server.url), RedisEvents(server.url)
    for bus in (first, second):
        await bus.start()
    await until(lambda: first.connected and second.connected)
    await breaks(first, second, server.kill, server.restart)
    await first.close()
    await second.close()


@pytest.fixture
def own_database(postgres: PostgresServer) -> Iterator[str]:
    name = f"events_{uuid4().hex[:12]}"
    yield postgres.create(name)
    postgres.drop(name)


async def test_watchers_outlive_terminated_connections(own_database: str) -> None:
    first, second = PostgresEvents(own_database), PostgresEvents(own_database)
    for bus in (first, second):
        await bus.start()
    await until(lambda: first.connected and second.connected)
    admin = await asyncpg.connect(own_database)

    async def cut() -> None:
        killed = await admin.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert len(killed) == 2

    await breaks(first, second, cut, lambda: None)
    await admin.close()
    await first.close()
    await second.close()


async def test_what_waits_for_the_server_is_bounded(start_valkey: StartValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "MAX_WAITING", 10)
    server = start_valkey()
    near, far = RedisEvents(server.url), RedisEvents(server.url)
    await far.start()
    await until(lambda: far.connected)
    async with far.subscribe("a") as watcher:
        # Nothing is connected yet: everything waits.
        for number in range(20):
            await near.publish("a", key=str(number))
        seen: list[str] = []
        missed = False
        async with asyncio.timeout(DEADLINE_S):
            while not (missed and len(seen) == 10):
                seen.extend(event.key for event in await watcher.wait(1))
                missed |= watcher.missed
        assert seen == [str(number) for number in range(10)]
    await near.close()
    await far.close()


async def test_databases_of_one_server_do_not_hear_each_other(valkey: ValkeyServer) -> None:
    prefix = uuid4().hex
    zero, one = RedisEvents(valkey.url_of(0), prefix=prefix), RedisEvents(valkey.url_of(1), prefix=prefix)
    for bus in (zero, one):
        await bus.start()
    await until(lambda: zero.connected and one.connected)
    async with one.subscribe("a") as watcher, zero.subscribe("a"):
        await zero.publish("a", b"0")
        await one.publish("a", b"1")
        assert await watcher.wait(1) == (Event("", b"1"),)
        assert await watcher.wait(0.05) == ()
    await zero.close()
    await one.close()


async def test_a_closed_bus_leaves_nothing_running(open_bus: Open) -> None:
    before = asyncio.all_tasks()
    bus = await open_bus()
    async with bus.subscribe("a"):
        await bus.publish("a")
    await bus.close()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("cache_url", "database_url", "kind"),
    [
        ("redis://localhost", "postgresql://db/x", RedisEvents),
        ("rediss://:secret@localhost:6390/3", "sqlite://", RedisEvents),
        ("memory://", "postgresql+asyncpg://db/x", PostgresEvents),
        ("memory://", "sqlite:///data/x.db", MemoryEvents),
    ],
)
def test_the_bus_follows_from_cache_and_database(cache_url: str, database_url: str, kind: type[EventBus]) -> None:
    assert isinstance(open_events(cache_url, database_url), kind)


@pytest.mark.parametrize("url", ["redis://localhost:not-a-port", "memcached://localhost", ""])
def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_events(url, "postgresql://db/x")
    assert refused.value.fields[0].field == "cache.url"
