"""kill -9 of the server in the middle of calls: what was answered is in the books exactly once, and nothing hangs."""

import asyncio
import itertools
import sqlite3
from collections import Counter
from contextlib import closing

import aiohttp
import pytest

from tests.faults.relay_rig import Home, Relay, settle_in, until
from tests.fixtures.processes import ServerFactory
from tests.relay.upstream import DEADLINE_S, ROLE, Request, Wire, answers, chunk, upstream

pytestmark = pytest.mark.xdist_group("relay server killed")
KILLS = 2
WORKERS = 8
HELD = 20
FINISHED_BEFORE_EACH_KILL = 60


class Callers:
    """Clients of one life of the server: some with quick calls, some in the middle of a stream."""

    def __init__(self, relay: Relay, quick: str, endless: str) -> None:
        self._relay = relay
        self._quick = quick
        self._endless = endless
        self._numbers = itertools.count()
        self.finished: list[str] = []
        self.speaking = 0

    async def _call(self, name: str, *, stream: bool) -> None:
        headers = {"x-request-id": name}
        async with self._relay.post(self._quick, stream=stream, headers=headers) as answer:
            raw = await answer.read()
            assert answer.status == 200
            if not stream or raw.endswith(b"data: [DONE]\n\n"):
                self.finished.append(name)

    async def work(self, life: int) -> None:
        """Call again and again, until the server is gone."""
        try:
            while True:
                number = next(self._numbers)
                await self._call(f"life-{life}-call-{number}", stream=number % 2 == 0)
        except aiohttp.ClientError:
            return

    async def listen(self) -> None:
        """Hear a stream until the server is gone."""
        try:
            async with self._relay.post(self._endless, stream=True) as answer:
                await answer.content.readany()
                self.speaking += 1
                await answer.read()
        except aiohttp.ClientError:
            return
        raise AssertionError("a stream without end ended well")


async def says_a_word(request: Request, wire: Wire) -> None:
    del request
    await wire.begin_stream()
    await wire.event(ROLE)
    await wire.event(chunk("word"))
    await wire.caller_hangs_up()
    wire.drop()


async def test_what_was_answered_is_recorded_once(make_server: ServerFactory, http: aiohttp.ClientSession) -> None:
    server = make_server().start()
    home: Home = settle_in(server)
    relay, quick, endless = Relay(home, http), "quick", "endless"
    finished: list[str] = []
    async with upstream(answers) as good, upstream(says_a_word) as slow:
        relay.channel(good.url, quick)
        relay.channel(slow.url, endless)
        for life in range(KILLS):
            callers = Callers(relay, quick, endless)
            async with asyncio.TaskGroup() as group, asyncio.timeout(DEADLINE_S):
                for _ in range(WORKERS):
                    group.create_task(callers.work(life))
                for _ in range(HELD):
                    group.create_task(callers.listen())
                await until(
                    lambda now=callers: now.speaking == HELD and len(now.finished) >= FINISHED_BEFORE_EACH_KILL,
                    "calls under way",
                )
                server.kill()
            finished += callers.finished
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(DEADLINE_S), relay.post(quick) as answer:
                assert answer.status == 200
    recorded = await counted(relay, finished)
    assert {recorded[name] for name in finished} == {1}
    assert set(recorded.values()) == {1}, "a call was recorded twice"
    totals = relay.home.server.get("/api/v1/usage?group_by=model", home.token)["groups"]
    assert next(group["requests"] for group in totals if group["key"] == quick) == sum(recorded.values())
    assert server.stop() == 0


async def counted(relay: Relay, wanted: list[str]) -> Counter[str]:
    """Return how often each call of the quick model is in the books, once those wanted and the two last are there."""

    def now() -> Counter[str]:
        path = relay.home.server.data_dir / "tidemill.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
            return Counter(name for (name,) in books.execute("select request_id from usage_events where model='quick'"))

    await until(lambda: set(wanted) <= now().keys() and len(now()) >= len(wanted) + KILLS, "every call in the books")
    return now()
